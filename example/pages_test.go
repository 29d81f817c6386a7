// The pages, as they work without a script: forms and redirects, on every database.

package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// signedIn is a browser in which somebody has used the form.
func signedIn(t *testing.T, p program, name string) *caller {
	t.Helper()
	c := newCaller(t, p, visitor)
	c.form("/auth/login", "username", name, "password", demoPassword, "next", "/dashboard").leads(t, "/dashboard")
	return c
}

// sessionID is what the status says, which is no activity.
func (c *caller) sessionID() string {
	c.t.Helper()
	var status struct{ Session struct{ ID string } }
	require.NoError(c.t, json.Unmarshal([]byte(c.get("/auth/session").body), &status))
	require.NotEmpty(c.t, status.Session.ID)
	return status.Session.ID
}

// userID is that of a user in the table of users.
func (c *caller) userID(name string) string {
	c.t.Helper()
	page := c.get("/admin/users").body
	_, row, _ := strings.Cut(page, `<tr data-user="`+name+`">`)
	found := regexp.MustCompile(`/admin/users/([A-Z2-7]+)"`).FindStringSubmatch(row)
	require.NotNil(c.t, found, page)
	return found[1]
}

func guardsStory(t *testing.T, p program) {
	c := newCaller(t, p, visitor)
	for _, path := range []string{"/dashboard", "/notes", "/devices", "/settings", "/reauthenticate", "/editor", "/admin/users", "/admin/users/x", "/admin/events", "/lab"} {
		c.get(path).leads(t, "/login?next="+url.QueryEscape(path))
	}
	for _, path := range []string{"/devices/x/end", "/devices/end-others", "/settings/password", "/admin/users/x/role", "/admin/users/x/disable", "/admin/users/x/impersonate"} {
		c.form(path).leads(t, "/login?error=SESSION_NOT_FOUND")
	}
	viewer := signedIn(t, p, "viewer")
	for _, path := range []string{"/editor", "/admin/users", "/admin/users/x", "/admin/events"} {
		viewer.get(path).shows(t, 403, "Your role does not allow this")
	}
	for _, path := range []string{"/admin/users/x/role", "/admin/users/x/disable", "/admin/users/x/sessions/y/end", "/admin/users/x/impersonate"} {
		viewer.form(path, "role", "admin").shows(t, 403, "Your role does not allow this")
	}
}

func devicesStory(t *testing.T, p program) {
	here, there, third := signedIn(t, p, "viewer"), signedIn(t, p, "viewer"), signedIn(t, p, "viewer")
	id, other := here.sessionID(), there.sessionID()
	here.get("/devices").shows(t, 200, `<tr data-session="`+id+`" class="current">`, `<tr data-session="`+other+`">`)

	here.form("/devices/"+other+"/end", "next", "/devices").leads(t, "/devices")
	require.NotContains(t, here.get("/devices").body, other)
	there.get("/devices").leads(t, "/login?next=%2Fdevices")
	there.get("/login?next=%2Fdevices").shows(t, 200, `role="alert">You were signed out from another device.`, `value="/devices"`)
	here.form("/devices/"+other+"/end", "next", "/devices").shows(t, 404, "There is no such session.")

	admin := signedIn(t, p, "admin")
	here.form("/devices/"+admin.sessionID()+"/end", "next", "/devices").shows(t, 404, "There is no such session.")

	here.form("/devices/end-others", "next", "/devices").leads(t, "/devices")
	third.get("/dashboard").leads(t, "/login?next=%2Fdashboard")
	here.form("/devices/"+id+"/end", "next", "/devices").leads(t, "/devices")
	here.get("/devices").leads(t, "/login?next=%2Fdevices")
	admin.get("/dashboard").shows(t, 200, `<span id="who">admin</span>`)
}

func passwordStory(t *testing.T, p program) {
	here, there := signedIn(t, p, "viewer"), signedIn(t, p, "viewer")
	const other = "another one, and long enough"
	change := func(current, next string) answer {
		return here.form("/settings/password", "current", current, "new", next)
	}
	here.get("/settings").shows(t, 200, `id="change-password"`)
	change("wrong", other).shows(t, 403, `role="alert">The current password is wrong.`)
	change(demoPassword, "short").shows(t, 400, "must have 15")
	here.form("/settings/password", "current", strings.Repeat("x", 9<<10)).shows(t, 413, "The request is too large.")
	there.get("/dashboard").shows(t, 200)

	change(demoPassword, other).leads(t, "/settings?changed=1")
	here.get("/settings?changed=1").shows(t, 200, "You were signed out on all other devices.")
	there.get("/dashboard").leads(t, "/login?next=%2Fdashboard")
	there.get("/login").shows(t, 200, "You were signed out because the password was changed.")
	change(other, demoPassword).leads(t, "/settings?changed=1")
}

func adminStory(t *testing.T, p program) {
	admin, editor := signedIn(t, p, "admin"), signedIn(t, p, "editor")
	id := admin.userID("editor")
	editor.get("/editor").shows(t, 200)
	admin.form("/admin/users/"+id+"/role", "role", "viewer").leads(t, "/admin/users")
	editor.get("/editor").shows(t, 403, "Your role does not allow this")
	admin.form("/admin/users/"+id+"/role", "role", "king").shows(t, 400)
	admin.form("/admin/users/"+id+"/role", "role", "editor").leads(t, "/admin/users")
	editor.get("/editor").shows(t, 200)

	admin.get("/admin/users/"+id).shows(t, 200, "<h1>Devices of editor</h1>", editor.sessionID())
	admin.form("/admin/users/"+id+"/sessions/"+editor.sessionID()+"/end").leads(t, "/admin/users/"+id)
	editor.get("/login").shows(t, 200, "You were signed out by an admin.")
	admin.get("/admin/users/"+id).shows(t, 200, "ended: admin")

	editor = signedIn(t, p, "editor")
	admin.form("/admin/users/"+id+"/disable").leads(t, "/admin/users")
	editor.get("/dashboard").leads(t, "/login?error=SESSION_INVALID&next=%2Fdashboard")
	editor.form("/auth/login", "username", "editor", "password", demoPassword).leads(t, "/login?error=CREDENTIALS_INVALID")
	admin.get("/admin/users").shows(t, 200, `>disabled</small>`)
	admin.form("/admin/users/"+id+"/enable").leads(t, "/admin/users")
	editor = signedIn(t, p, "editor")
	admin.form("/admin/users/"+id+"/end").leads(t, "/admin/users/"+id)
	editor.get("/dashboard").leads(t, "/login?next=%2Fdashboard")

	own := admin.userID("admin")
	for _, what := range []string{"role", "disable", "end"} {
		admin.form("/admin/users/"+own+"/"+what, "role", "viewer").shows(t, 400, "You cannot do this to yourself.")
	}
	admin.form("/admin/users/"+id+"/nothing").shows(t, 404, "There is no such page.")
	admin.get("/admin/users/nobody").shows(t, 404, "There is no such user.")
}

func impersonationStory(t *testing.T, p program) {
	admin := signedIn(t, p, "admin")
	own := admin.sessionID()
	id := admin.userID("viewer")
	admin.form("/admin/users/"+id+"/impersonate").leads(t, "/dashboard")
	for _, path := range []string{"/", "/dashboard", "/devices", "/notes"} {
		admin.get(path).shows(t, 200, `id="impersonating"`, "You are <strong>admin</strong>, signed in as <strong>viewer</strong>.", `<span id="who">viewer</span>`)
	}
	admin.get("/admin/users").shows(t, 403, "Your role does not allow this")
	admin.get("/settings").shows(t, 403, "This is not to be done in the name of another.", `id="impersonating"`)
	admin.form("/devices/end-others").shows(t, 403, "This is not to be done in the name of another.")
	admin.form("/impersonation/stop").leads(t, "/admin/users")
	page := admin.get("/admin/users")
	page.shows(t, 200, `<span id="who">admin</span>`)
	require.NotContains(t, page.body, `id="impersonating"`)
	require.Equal(t, own, admin.sessionID())
	admin.form("/impersonation/stop").shows(t, 403, "This is not to be done in the name of another.")
	admin.form("/admin/users/"+admin.userID("admin")+"/impersonate").shows(t, 403)
}

func eventsStory(t *testing.T, p program) {
	admin, viewer := signedIn(t, p, "admin"), signedIn(t, p, "viewer")
	id := viewer.sessionID()
	admin.form("/admin/users/"+admin.userID("viewer")+"/sessions/"+id+"/end").leads(t, "/admin/users/"+admin.userID("viewer"))

	page := admin.get("/admin/events")
	page.shows(t, 200, "<code>session_created</code>", "<code>authn_token_revoked</code>")
	kinds := regexp.MustCompile(`data-kind="(\w+)"`)
	revoked, created := strings.Index(page.body, `data-kind="authn_token_revoked"`), strings.Index(page.body, `data-kind="session_created"`)
	require.Less(t, revoked, created, "the newest first")
	page = admin.get("/admin/events?kind=authn_token_revoked")
	page.shows(t, 200, "<option selected>authn_token_revoked</option>", `<td data-label="User">viewer</td>
<td data-label="By">admin</td>
<td data-label="Why">admin</td>
<td data-label="Address">127.0.0.1</td>`)
	for _, kind := range kinds.FindAllStringSubmatch(page.body, -1) {
		require.Equal(t, "authn_token_revoked", kind[1])
	}
	admin.get("/admin/events?kind=%27%20OR%201=1").shows(t, 200, "Nothing of this kind.")
}

// A stream ends with its session, and says why.
func clockStory(t *testing.T, p program) {
	here, there := signedIn(t, p, "viewer"), signedIn(t, p, "viewer")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/api/clock", nil)
	require.NoError(t, err)
	resp, err := there.http.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	event := func() string { // and its data
		text, buffer := "", make([]byte, 1)
		for !strings.HasSuffix(text, "\n\n") {
			n, err := resp.Body.Read(buffer)
			text += string(buffer[:n])
			if n == 0 {
				require.NoError(t, err, text)
			}
		}
		return text
	}
	require.Regexp(t, `^event: tick\ndata: "20`, event())
	here.form("/devices/end-others", "next", "/devices").leads(t, "/devices")
	last := event()
	for strings.HasPrefix(last, "event: tick") {
		last = event()
	}
	require.Equal(t, "event: ended\ndata: {\"code\":\"SESSION_NOT_FOUND\",\"reason\":\"revoked\"}\n\n", last)
}

// activity says of itself whether it has a new cookie.
func activityStory(t *testing.T, p program) {
	c := signedIn(t, p, "viewer")
	a := c.post("/api/activity", "")
	require.Equal(t, 200, a.status)
	require.Contains(t, a.body, `"renewed":false`)
	require.Empty(t, a.header["Set-Cookie"])
	require.Equal(t, 200, c.post("/lab/due", "").status)
	a = c.post("/api/activity", "")
	require.Contains(t, a.body, `"renewed":true`)
	require.NotEmpty(t, a.header["Set-Cookie"])
	require.Equal(t, 200, c.post("/api/sensitive", "").status)
}

// Nobody is fresh here, so everybody is asked for the password.
func TestAskedForThePassword(t *testing.T) {
	p := start(t, "-db", temporary(t), "-fresh", "1ns")
	c := signedIn(t, p, "viewer")
	c.get("/settings?x=1").leads(t, "/reauthenticate?next=%2Fsettings%3Fx%3D1")
	c.referer = p.url + "/devices"
	c.form("/devices/end-others", "next", "/devices").leads(t, "/reauthenticate?next=%2Fdevices")
	c.referer = "https://other.example/devices"
	c.form("/devices/end-others", "next", "/devices").leads(t, "/reauthenticate?next=%2Fdashboard")

	c.get("/reauthenticate?next=%2Fsettings%3Fx%3D1").shows(t, 200, `action="/auth/session/reauthenticate?next=%2fsettings%3fx%3d1"`, `name="next" value="/settings?x=1"`)
	admin := signedIn(t, p, "admin")
	admin.get("/admin/users").leads(t, "/reauthenticate?next=%2Fadmin%2Fusers")
	admin.referer = p.url + "/admin/users"
	admin.form("/admin/users/x/impersonate").leads(t, "/reauthenticate?next=%2Fadmin%2Fusers")

	again := func(password, next string) answer {
		return c.form("/auth/session/reauthenticate?next="+url.QueryEscape(next), "password", password, "next", next)
	}
	again("wrong", "/settings").shows(t, 401, `role="alert">Username or password is wrong.`, `name="next" value="/settings"`, `<span id="who">viewer</span>`)
	again("", "/settings").shows(t, 400, `name="next" value="/settings"`)
	again(demoPassword, "/settings").leads(t, "/settings")
	again(demoPassword, "https://other.example/").leads(t, "/")

	c.accept = script
	require.Equal(t, "REAUTH_REQUIRED", c.post("/api/sensitive", "").code(t))
	require.Equal(t, "REAUTH_REQUIRED", c.get("/settings").code(t))
}

// All that pages refer to is there, and their policy lets it in.
func TestFilesOfPages(t *testing.T) {
	p := start(t, "-db", temporary(t))
	c := signedIn(t, p, "admin")
	refers := regexp.MustCompile(`(?:href|src|action)="(/[^"?]*)|"(/(?:static|auth)/[^"]*\.js)"`)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/dashboard", "/notes", "/devices", "/settings", "/reauthenticate", "/editor", "/admin/users", "/admin/events", "/react", "/lab"} {
		page := c.get(path)
		page.shows(t, 200, `<html lang="en">`, `<main id="main">`, "<h1>")
		require.NotRegexp(t, `(?i)\son\w+=|<style|style=|https?://`, page.body, path)
		_, text, _ := strings.Cut(page.body, `<script type="importmap">`)
		text, _, _ = strings.Cut(text, "</script>")
		sum := sha256.Sum256([]byte(text))
		require.Equal(t, "default-src 'none'; script-src 'self' 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; "+
			"style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			page.header.Get("Content-Security-Policy"), path)
		for _, found := range refers.FindAllStringSubmatch(page.body, -1) {
			seen[found[1]+found[2]] = true
		}
	}
	for path := range seen {
		a := c.get(path)
		if a.status != 200 && a.status != 303 && a.status != 404 && a.status != 405 { // forms are not for GET
			t.Errorf("%s: %d", path, a.status)
		}
		if strings.HasSuffix(path, ".js") {
			require.Equal(t, 200, a.status, path)
			require.Equal(t, "text/javascript; charset=utf-8", a.header.Get("Content-Type"), path)
		}
	}
	require.NoError(t, fs.WalkDir(files, "static", func(path string, entry fs.DirEntry, err error) error {
		if !entry.IsDir() {
			require.Equal(t, 200, c.get("/"+path).status, path)
		}
		return err
	}))
	require.Equal(t, 404, c.get("/static/").status, "no list of files")
}

func TestDeviceInWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0":                                                                  "Firefox 145 on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":           "Edge 142 on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15":                   "Safari 26 on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1": "Safari 26 on iPhone",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                         "Chrome 142 on Android",
		"curl/8.17.0":      "curl 8",
		"":                 "Unknown program",
		"the test's agent": "Unknown program",
	} {
		if got := deviceInWords(agent); got != want {
			t.Errorf("%s: got %q, want %q", agent, got, want)
		}
	}
}
