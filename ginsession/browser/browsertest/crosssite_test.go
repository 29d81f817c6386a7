// What another site can make a browser do here: nothing.

package browsertest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// attack is a page that sends forms, fetches and images to the program at once, and
// says on itself what came of it.
const attack = `<!doctype html><title>attack</title><p id="result"></p>
<form id="form" method="post"></form>
<script>
const to = "%s", credentials = "username=editor&password=%s";
const outcome = (p) => Promise.resolve(p).then((v) => "" + v, (e) => e.name);
const event = (o) => new Promise((done) => { for (const name of ["open", "load", "message", "error"]) o.addEventListener(name, () => done(name)); });
const image = (src) => event(Object.assign(new Image(), { src }));
const post = (path, body, type, mode) => fetch(to + path, { method: "POST", mode, credentials: "include", headers: { "Content-Type": type }, body }).then((r) => r.type);
const form = "application/x-www-form-urlencoded";
(async () => {
	const result = {
		logout: await outcome(post("/auth/logout", "", form, "no-cors")),
		logoutPlain: await outcome(post("/auth/logout", "{}", "text/plain", "no-cors")),
		logoutCORS: await outcome(post("/auth/logout", "{}", "application/json", "cors")),
		logoutImage: await outcome(image(to + "/auth/logout")),
		login: await outcome(post("/auth/login", credentials, form, "no-cors")),
		loginPlain: await outcome(post("/auth/login", '{"username":"editor","password":"%s"}', "text/plain", "no-cors")),
		loginCORS: await outcome(post("/auth/login", '{"username":"editor","password":"%s"}', "application/json", "cors")),
		beacon: navigator.sendBeacon(to + "/auth/logout"),
		read: await outcome(fetch(to + "/auth/session", { credentials: "include" }).then((r) => r.text())),
		readPage: await outcome(fetch(to + "/dashboard", { credentials: "include" }).then((r) => r.text())),
		stream: await outcome(event(new EventSource(to + "%s", { withCredentials: true }))),
		socket: await outcome(event(new WebSocket(to.replace("http", "ws") + "%s"))),
	};
	document.getElementById("result").textContent = JSON.stringify(result);
})();
</script>`

func TestAnotherOriginNeitherSignsInNorOutNorReads(t *testing.T) {
	t.Parallel()
	p := start(t)
	password, inQuery := html.EscapeString(p.password), url.QueryEscape(p.password)
	site := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			fmt.Fprintf(w, attack, p.url, inQuery, password, password, stream, stream)
		case "/login": // a form by itself, as a page of its own
			fmt.Fprintf(w, `<form method="post" action="%s/auth/login"><input name="username" value="editor">`+
				`<input name="password" value="%s"></form><script>document.forms[0].submit()</script>`, p.url, password)
		case "/logout":
			fmt.Fprintf(w, `<form method="post" action="%s/auth/logout"></form><script>document.forms[0].submit()</script>`, p.url)
		default:
			http.NotFound(w, r)
		}
	}))
	for name, at := range map[string]string{
		"another site":                     strings.Replace(site, "127.0.0.1", evil, 1), // the cookie does not come
		"another port of the same machine": site,                                        // it does, since ports are one site
	} {
		t.Run(name, func(t *testing.T) {
			for _, signedIn := range []bool{true, false} {
				if !signedIn && at == site {
					continue // it makes no difference to whom nothing is sent
				}
				b := somebody(t, p)
				mine := b.tab()
				mine.open("/login")
				if signedIn {
					mine.signIn("viewer", p.password, false)
					mine.shows(who, "viewer")
				}
				before := mine.jar()
				refused := strings.Count(p.log.String(), "csrf_rejected")

				x := b.tab()
				x.foresee(".") // the browser says what it blocks
				x.open(at + "/")
				x.until(`document.getElementById("result").textContent`)
				got := eval[map[string]any](x, `JSON.parse(document.getElementById("result").textContent)`)
				// What was sent cannot be told from what was not: the log below can.
				require.Equal(t, map[string]any{
					"logout": "TypeError", "logoutPlain": "TypeError", "logoutCORS": "TypeError", "logoutImage": "error",
					"login": "TypeError", "loginPlain": "TypeError", "loginCORS": "TypeError", "beacon": true,
					"read": "TypeError", "readPage": "TypeError", "stream": "error", "socket": "error",
				}, got)
				for _, path := range []string{"/login", "/logout"} {
					x.open(at + path)
					x.until(`location.origin === ` + fmt.Sprintf("%q", p.url) + ` && document.readyState === "complete"`)
					// The answer is a page of the program. Once it hears who is signed in it is
					// made anew, which must not send the form again: this time it would be ours.
					if signedIn && eval[bool](x, `JSON.parse(document.getElementById("ginsession-state")?.textContent ?? "{}").isAuthenticated === false`) {
						eval[chromedp.Void](x, `{ window.old = true; import("/static/auth.js").then((m) => m.auth.refresh({ force: true })); undefined }`)
						x.until(`!window.old && document.readyState === "complete"`)
					}
				}

				require.Equal(t, before, mine.jar(), "the cookies")
				s := mine.status()
				require.Equal(t, signedIn, s.IsAuthenticated)
				if signedIn {
					require.Equal(t, "viewer", s.User.Username)
					mine.reload()
					mine.open("/dashboard")
					mine.shows(who, "viewer")
				}
				// Five posts of the script reach the server, with the beacon, and both forms.
				// CORS keeps the other two back.
				within(t, patience, "the log does not tell of all", func() bool {
					return strings.Count(p.log.String(), "csrf_rejected")-refused >= 7
				})
			}
		})
	}
	require.NotContains(t, p.log.String(), "session_logout")
}
