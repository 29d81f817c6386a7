// The whole way of a cookie header to a handler, fuzzed.

package ginsession_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ginsession/gin-session/models/modelstest"
)

// FuzzCookieHeader: whoever is let in sent the exact live token, exactly once.
// Whatever else comes is turned away, without a query, and is no fault of the
// server.
//
// The input is the Cookie lines of a request. TOKEN, HEADER, PAYLOAD and MAC stand
// for the live token and its segments, which are others in each process.
func FuzzCookieHeader(f *testing.F) {
	ours := func(value string) string { return cookieName + "=" + value }
	for _, line := range []string{
		"", ours(""), cookieName, ours("TOKEN"), ours("junk"), // A1
		ours("TOKEN") + "; " + ours("TOKEN"), ours("TOKEN") + "\n" + ours("TOKEN"), ours("TOKEN") + "; " + ours("x"), ours("TOKEN") + ";" + cookieName, // A2, A3
		ours(`"TOKEN"`), ours("HEADER%2EPAYLOAD%2EMAC"), ours("TOKEN+"), ours("TOKEN%20"), ours("TOKEN TOKEN"), ours("TOKEN\t;"), ours(" TOKEN"), // A4 to A6
		"__host-session=TOKEN", "__host-session=TOKEN; " + cookieName + "-device=x", cookieName + " =TOKEN", "=" + ours("TOKEN"), "session=TOKEN", "a=" + ours("TOKEN"), cookieName + "-device=TOKEN", // A7
		strings.Repeat("a=1; ", 40) + ours("TOKEN"), ours(strings.Repeat("A", 2049)), ours(strings.Repeat(".", 3000)), // A8 to A10
		ours("TOKEN\x80"), ours(`TOKEN\`), ours("TOKEN,"), ours("TO\x00KEN"), ours("HEADER.PAYLOAD.MAC\r\n"), // A11, A12
		"a=1\n" + ours("TOKEN"), "a=1;" + ours("TOKEN") + ";b=2", "; ;" + ours("TOKEN") + "; ;", "Authorization: Bearer TOKEN", // C138
		ours("eyJhbGciOiJub25lIn0.PAYLOAD."), ours("HEADER.PAYLOAD"), ours("HEADER.PAYLOAD."), ours("HEADER..MAC"), ours("TOKEN.MAC"), ours("PAYLOAD.HEADER.MAC"), // A20, A40, A41
		ours("HEADER.PAYLOAD.MAC="), ours("HEADER.PAYLOAD.MA\nC"), ours("HEADER.PAYLOAD.MACA"), ours("HEADER.PAYLOADA.MAC"), // A45, A46
		ours(`{"payload":"PAYLOAD","signatures":[{"protected":"HEADER","signature":"MAC"}]}`), // A39
	} {
		f.Add(line)
	}
	a := newApp(f, modelstest.SQLite(f))
	token := a.signIn("ada").Cookie(cookieName)
	parts := strings.Split(token, ".")
	names := strings.NewReplacer("TOKEN", token, "HEADER", parts[0], "PAYLOAD", parts[1], "MAC", parts[2])

	f.Fuzz(func(t *testing.T, lines string) {
		sent := strings.Split(names.Replace(lines), "\n")
		values := fuzzedValues(sent)
		a.wire.reset()
		for path, in := range map[string]int{"/me": 200, "/open": 200, "/session": 200} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header["Cookie"] = append([]string(nil), sent...)
			w := httptest.NewRecorder()
			a.engine.ServeHTTP(w, r)
			body := w.Body.String()
			signedIn := w.Code == in && (path == "/me" || body == "true ada" || strings.Contains(body, `"isAuthenticated":true`))
			if want := len(values) == 1 && values[0] == token; signedIn != want {
				t.Errorf("%s: signed in is %v, and should be %v:\n%q\n%d %s", path, signedIn, want, sent, w.Code, body)
			}
			if !signedIn && path == "/me" && w.Code != 401 || path != "/me" && w.Code != 200 {
				t.Errorf("%s: answered %d %s to\n%q", path, w.Code, body, sent)
			}
			if len(w.Header()["Set-Cookie"]) > 0 {
				t.Errorf("%s: a cookie was set", path)
			}
			if !signedIn && len(a.wire.statements()) > 0 {
				t.Errorf("%s: the database was asked %q", path, a.wire.statements())
			}
			a.wire.reset()
		}
		if told := a.logs.forget(); strings.Contains(told, parts[1]) || strings.Contains(told, parts[2]) {
			t.Errorf("the log or an answer holds the token:\n%s", told)
		}
	})
}

// fuzzedValues returns the values of our cookie by the words of RFC 6265bis: pairs
// end with a semicolon, spaces and tabs around them do not count, the name ends
// with the first equals sign.
func fuzzedValues(lines []string) (values []string) {
	for _, pair := range strings.Split(strings.Join(lines, ";"), ";") {
		for pair != "" && (pair[0] == ' ' || pair[0] == '\t') {
			pair = pair[1:]
		}
		for pair != "" && (pair[len(pair)-1] == ' ' || pair[len(pair)-1] == '\t') {
			pair = pair[:len(pair)-1]
		}
		if pair == cookieName {
			values = append(values, "")
		} else if strings.HasPrefix(pair, cookieName+"=") {
			values = append(values, pair[len(cookieName)+1:])
		}
	}
	return values
}

// forget returns the log and the answers so far, and forgets them: a fuzzer makes
// too many.
func (k *capture) forget() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.log.String() + k.bodies.String()
	k.log.Reset()
	k.bodies.Reset()
	return told
}
