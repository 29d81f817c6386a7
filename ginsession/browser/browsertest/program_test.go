// The example program, run as a process, as a user would run it.

package browsertest

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	keyOld = "the old key of the browser tests 0123456789"
	keyNew = "the new key of the browser tests 9876543210"
)

// built is the program, compiled once.
var built = sync.OnceValues(func() (string, error) {
	file := filepath.Join(scratch, "example")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", file, "./example")
	build.Dir = "../../.."
	out, err := build.CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: "go build ./example: " + string(out), Err: err}
	}
	return file, nil
})

// program is a running one.
type program struct {
	t        *testing.T
	url      string // without a slash at the end
	password string // of admin, editor and viewer
	args     []string
	database string
	env      []string
	log      *text // what it has written, out and err
	end      func()
}

// start runs the program on a free port with a database of its own.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	return startWith(t, []string{"JWT_SECRET=" + keyOld}, args...)
}

func startWith(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	chromium(t)
	p := &program{t: t, args: args, env: env, database: filepath.Join(t.TempDir(), "example.db"), log: &text{}}
	p.run("127.0.0.1:0")
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("the program's log:\n%s", p.log.tail(80))
		}
	})
	return p
}

// restart ends the program in order and starts it again at the same address, with
// the same database.
func (p *program) restart(env ...string) {
	p.t.Helper()
	at := strings.TrimPrefix(p.url, "http://")
	p.end()
	if env != nil {
		p.env = env
	}
	p.run(at)
}

func (p *program) run(at string) {
	p.t.Helper()
	file, err := built()
	require.NoError(p.t, err)
	cmd := exec.Command(file, append([]string{"-addr", at, "-db", p.database}, p.args...)...)
	cmd.Dir = filepath.Dir(p.database)
	cmd.Env = append(withoutSecrets(os.Environ()), p.env...)
	out := &text{}
	cmd.Stdout, cmd.Stderr = both{out, p.log}, p.log
	require.NoError(p.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p.end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				p.t.Errorf("the program ended with: %v", err)
			}
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			p.t.Error("the program does not end")
		}
	})
	address := regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)
	word := regexp.MustCompile(`(?m)^ +password +(.*)$`)
	within(p.t, 30*time.Second, "the program does not answer", func() bool {
		found := address.FindStringSubmatch(out.String())
		if found == nil {
			return false
		}
		p.url = found[0]
		if m := word.FindStringSubmatch(out.String()); m != nil {
			p.password = m[1]
		}
		c, err := net.Dial("tcp", found[1])
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func withoutSecrets(env []string) []string {
	var kept []string
	for _, line := range env {
		if !strings.HasPrefix(line, "JWT_SECRET=") && !strings.HasPrefix(line, "GIN_MODE=") {
			kept = append(kept, line)
		}
	}
	return kept
}

// logs waits until the program has logged something.
func (p *program) logs(what string) {
	p.t.Helper()
	within(p.t, patience, "not in the log: "+what, func() bool { return strings.Contains(p.log.String(), what) })
}

// proxy stands before the program and says what passes.
type proxy struct {
	url  string
	mu   sync.Mutex
	seen []string // method and path
}

// front puts a proxy before the program, at another port of the same host.
func front(t *testing.T, p *program) *proxy {
	t.Helper()
	to, err := url.Parse(p.url)
	require.NoError(t, err)
	x := &proxy{}
	handler := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			x.mu.Lock()
			x.seen = append(x.seen, r.In.Method+" "+r.In.URL.Path)
			x.mu.Unlock()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	x.url = serve(t, handler)
	return x
}

// passed is how many requests begin with a text.
func (x *proxy) passed(begin string) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, line := range x.seen {
		if strings.HasPrefix(line, begin) {
			n++
		}
	}
	return n
}

// all forgets what it returns.
func (x *proxy) all() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	seen := x.seen
	x.seen = nil
	return seen
}

// serve listens on loopback until the test ends.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
	})
	return "http://" + l.Addr().String()
}

// text is written by one and read by another.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func (x *text) tail(lines int) string {
	all := strings.Split(x.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

type both [2]*text

func (b both) Write(p []byte) (int, error) {
	_, _ = b[0].Write(p)
	return b[1].Write(p)
}
