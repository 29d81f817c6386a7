// Two real processes over one database.

package main

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "GINSESSION_EXAMPLE_PROGRAM"

// startProcess starts the program as a process of its own.
func startProcess(t *testing.T, args ...string) (program, *exec.Cmd) {
	t.Helper()
	command := exec.CommandContext(context.Background(), os.Args[0], append([]string{"-addr", "127.0.0.1:0"}, args...)...) //nolint:gosec // this very binary
	command.Env = append(os.Environ(), asProgram+"=1", "JWT_SECRET="+someSecret)
	command.Stderr = &logged
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	p := program{stop: sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := command.Wait(); err != nil {
			t.Errorf("the process ended with: %v", err)
		}
	})}
	t.Cleanup(func() { _ = command.Process.Kill() })
	lines := bufio.NewReader(out)
	for p.url == "" {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "the output so far: %s", p.output)
		p.output += line
		p.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	}
	go func() { _, _ = lines.WriteTo(&logged) }()
	return p, command
}

// status asks a process for a page; 0 if it does not answer.
func (c *caller) status(p program, path string) int {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.url+path, nil)
	if err != nil {
		return 0
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestTwoProcesses(t *testing.T) {
	database := postgresURL(t)
	first, command := startProcess(t, "-db", database)
	second, _ := startProcess(t, "-db", database)

	signIn := func(p program) *caller {
		c := newCaller(t, p, script)
		require.Equal(t, 200, c.login("viewer", demoPassword).status)
		return c
	}
	staying := []*caller{signIn(first), signIn(second), signIn(first), signIn(second)}
	leaving, late := signIn(first), signIn(second)

	// Traffic on both, from here to the end. What a killed process does not answer
	// is no refusal.
	var traffic sync.WaitGroup
	var answered, refused atomic.Int64
	var third atomic.Pointer[program]
	stop := make(chan struct{})
	for i, c := range staying {
		traffic.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				p := []program{first, second}[n%2]
				if again := third.Load(); again != nil && n%2 == 0 {
					p = *again
				}
				switch status := c.status(p, "/api/me"); status {
				case 200:
					answered.Add(1)
				case 0:
				default:
					refused.Add(1)
					t.Errorf("an honest user got %d", status)
				}
			}
		})
	}
	defer func() {
		close(stop)
		traffic.Wait()
		require.Zero(t, refused.Load())
		require.Greater(t, answered.Load(), int64(100))
		t.Logf("%d requests of honest users were answered", answered.Load())
		second.stop()
	}()

	// By now both answer from memory: they have followed the feed for long enough.
	time.Sleep(8 * time.Second)
	require.Equal(t, 200, leaving.status(second, "/api/me"))
	require.Equal(t, 200, leaving.status(second, "/api/me"))
	copied := newCaller(t, second, script) // of the cookie, which the logout deletes
	home, err := url.Parse(first.url)
	require.NoError(t, err)
	copied.http.Jar.SetCookies(home, leaving.http.Jar.Cookies(home))
	require.Equal(t, 200, leaving.post("/auth/logout", "").status)
	require.Equal(t, 401, copied.status(first, "/api/me"), "at once here")
	began := time.Now()
	for copied.status(second, "/api/me") != 401 {
		require.Less(t, time.Since(began), 20*time.Second, "the other process never heard of it")
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("signed out on one, refused on the other after %v", time.Since(began))

	// Killed in the midst of traffic. The other goes on, and so does whoever was on
	// the one that is gone.
	require.NoError(t, command.Process.Kill())
	_ = command.Wait()
	require.Zero(t, staying[0].status(first, "/api/me"))
	for _, c := range append(staying, late) {
		require.Equal(t, 200, c.status(second, "/api/me"))
	}
	late.url = second.url
	require.Equal(t, 200, late.post("/auth/logout", "").status)

	again, _ := startProcess(t, "-db", database)
	third.Store(&again)
	for _, c := range staying {
		require.Equal(t, 200, c.status(again, "/api/me"))
		require.Equal(t, 200, c.status(second, "/api/me"))
	}
	require.Equal(t, 401, copied.status(again, "/api/me"))
	require.Equal(t, 200, staying[0].status(again, "/api/me"))
	again.stop()
}
