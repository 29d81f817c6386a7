// What the tests stand on: the program in this process, and somebody who calls it.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// logged is all that the tests' programs have logged.
var logged lockedBuffer

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	// Whatever the environment says here.
	gin.SetMode(gin.TestMode)
	_ = os.Unsetenv("JWT_SECRET")
	gin.DefaultWriter, gin.DefaultErrorWriter = &logged, &logged
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	os.Exit(m.Run())
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// program is a running one.
type program struct {
	url    string
	output string // until it was ready
	stop   func() // waits until it has ended in order
}

// start runs the program on a free port and waits until it answers.
func start(t *testing.T, args ...string) program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), writer)
		_ = writer.Close()
	}()
	p := program{stop: sync.OnceFunc(func() {
		cancel()
		<-ended
		if err != nil {
			t.Errorf("the program ended with: %v", err)
		}
	})}
	t.Cleanup(p.stop)

	lines := bufio.NewReader(reader)
	for blank := 0; blank < 2; { // one follows the address, one the rest
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "the output so far: %s", p.output)
		p.output += line
		if line == "\n" {
			blank++
		}
	}
	p.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(p.output)
	require.NotEmpty(t, p.url, p.output)
	return p
}

// fails runs the program with arguments that must not let it start.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	err := run(t.Context(), append([]string{"-addr", "127.0.0.1:0"}, args...), io.Discard)
	require.Error(t, err)
	return err.Error()
}

func temporary(t *testing.T) string { return filepath.Join(t.TempDir(), "example.db") }

func inReleaseMode(t *testing.T) {
	t.Helper()
	before := gin.Mode()
	gin.SetMode(gin.ReleaseMode)
	t.Cleanup(func() { gin.SetMode(before) })
}

// caller keeps its cookies and follows no redirect.
type caller struct {
	t      *testing.T
	url    string
	accept string
	http   *http.Client

	referer string
}

const (
	visitor = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
	script  = "application/json"
)

func newCaller(t *testing.T, p program, accept string) *caller {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, url: p.url, accept: accept, http: &http.Client{
		Jar:           jar,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c *caller) send(method, path, contentType, body string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("Accept", c.accept)
	r.Header.Set("User-Agent", "the test's agent")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if c.referer != "" {
		r.Header.Set("Referer", c.referer)
	}
	resp, err := c.http.Do(r)
	require.NoError(c.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (c *caller) get(path string) answer {
	c.t.Helper()
	return c.send(http.MethodGet, path, "", "")
}

func (c *caller) post(path, body string) answer {
	c.t.Helper()
	return c.send(http.MethodPost, path, "application/json", body)
}

func (c *caller) form(path string, fields ...string) answer {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return c.send(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode())
}

func (c *caller) login(username, password string) answer {
	c.t.Helper()
	body, err := json.Marshal(map[string]string{"username": username, "password": password})
	require.NoError(c.t, err)
	return c.post("/auth/login", string(body))
}

// code is that of a JSON error.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var body struct {
		Error struct{ Code string }
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body), a.body)
	return body.Error.Code
}

// leads checks a redirect.
func (a answer) leads(t *testing.T, to string) {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	require.Equal(t, to, a.header.Get("Location"))
}

// shows checks a page.
func (a answer) shows(t *testing.T, status int, texts ...string) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	for _, text := range texts {
		require.Contains(t, a.body, text)
	}
}
