// The security bar, row by row: the checklist C1 to C155 and the attacks A1 to
// A190. Each row is a subtest that carries its number, in the files security_*, or
// is listed in security_rows_test.go with the test that shows it or the reason why it does not
// apply.

package ginsession_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models/modelstest"
)

// stage is an application behind a real server, on a clock that can be set.
type stage struct {
	*app
	server *httptest.Server
	clock  *atomic.Int64 // what the application's clock is ahead, in nanoseconds
}

// onStages runs test on every database.
func onStages(t *testing.T, test func(s *stage), configure ...func(*ginsession.Config)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) { test(newStage(t, d, configure...)) })
}

// onStage runs test on SQLite, for rows that touch no database.
func onStage(t *testing.T, test func(s *stage), configure ...func(*ginsession.Config)) {
	t.Helper()
	test(newStage(t, modelstest.SQLite(t), configure...))
}

func newStage(t *testing.T, d modelstest.Database, configure ...func(*ginsession.Config)) *stage {
	t.Helper()
	s := &stage{clock: &atomic.Int64{}}
	setClock := func(c *ginsession.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }
	}
	s.app = newApp(t, d, append([]func(*ginsession.Config){setClock}, configure...)...)
	s.server = httptest.NewServer(s.engine)
	t.Cleanup(s.server.Close)
	return s
}

// row runs the subtest of some rows, such as "A2" or "C4 A13".
func (s *stage) row(numbers, name string, test func(s *stage)) {
	s.t.(*testing.T).Run(numbers+" "+name, func(t *testing.T) {
		inner, application := *s, *s.app
		application.t = t
		inner.app = &application
		inner.wire.reset()
		test(&inner)
	})
}

// row is the same for what needs no application.
func row(t *testing.T, numbers, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(numbers+" "+name, test)
}

// pass lets the application's clock go on.
func (s *stage) pass(d time.Duration) { s.clock.Add(int64(d)) }

// send sends a request as it is, without any help of a cookie jar. A header is
// written "Name: value".
func (s *stage) send(method, path, body string, header ...string) ginsessiontest.Response {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header[http.CanonicalHeaderKey(name)] = append(request.Header[http.CanonicalHeaderKey(name)], value)
		if name == "Host" {
			request.Host = value
		}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return ginsessiontest.Response{Response: response, Text: string(text)}
}

// login sends a sign-in as JSON.
func (s *stage) login(username, password string, header ...string) ginsessiontest.Response {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"username": username, "password": password})
	require.NoError(s.t, err)
	return s.send("POST", "/login", string(body), append(header, "Content-Type: application/json")...)
}

// token signs a user in and returns his cookie's value.
func (s *stage) token(name string) string {
	s.t.Helper()
	answer := s.login(name, password)
	require.Equal(s.t, http.StatusOK, answer.StatusCode, answer.Text)
	return cookieValue(s.t, answer)
}

// bearing is the header of a request with a session cookie.
func bearing(token string) string { return "Cookie: " + cookieName + "=" + token }

// cookieValue returns the value of the session cookie that an answer sets.
func cookieValue(t testing.TB, answer ginsessiontest.Response) string {
	t.Helper()
	line := setCookie(t, answer)
	value, _, _ := strings.Cut(strings.TrimPrefix(line, cookieName+"="), ";")
	return value
}

// refused asserts that an answer turns its request away as DESIGN 5 says.
func (s *stage) refused(answer ginsessiontest.Response, want ginsession.Code) {
	s.t.Helper()
	require.Equal(s.t, want, code(s.t, answer), answer.Text)
	require.Equal(s.t, want.Status(), answer.StatusCode)
	require.Equal(s.t, "application/json; charset=utf-8", answer.Header.Get("Content-Type"))
	require.Equal(s.t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
	require.Equal(s.t, "no-store", answer.Header.Get("Cache-Control"))
	require.Equal(s.t, want.Status() == http.StatusUnauthorized, answer.Header.Get("WWW-Authenticate") != "")
	waits := want.Status() == http.StatusTooManyRequests || want.Status() == http.StatusServiceUnavailable
	require.Equal(s.t, waits, answer.Header.Get("Retry-After") != "")
}
