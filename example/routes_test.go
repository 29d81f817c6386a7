// The routes, as a script and as a browser see them, on every database.

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/models/modelstest"
)

func TestOnSQLite(t *testing.T) { everything(t, start(t, "-db", temporary(t))) }

func TestOnPostgreSQL(t *testing.T) { onServer(t, postgresURL(t)) }

// postgresURL is what -db gets for a schema of the test's own.
func postgresURL(t *testing.T) string {
	t.Helper()
	db := modelstest.Postgres(t).Open(t)
	var schema string
	require.NoError(t, db.Raw("SELECT current_schema()").Scan(&schema).Error)
	u, err := url.Parse(os.Getenv("GINSESSION_TEST_POSTGRES"))
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

func TestOnMariaDB(t *testing.T) {
	db := modelstest.MariaDB(t).Open(t)
	config, err := mysqldriver.ParseDSN(os.Getenv("GINSESSION_TEST_MYSQL"))
	require.NoError(t, err)
	require.NoError(t, db.Raw("SELECT database()").Scan(&config.DBName).Error)
	u := url.URL{Scheme: "mysql", User: url.User(config.User), Host: config.Addr, Path: "/" + config.DBName}
	if config.Passwd != "" {
		u.User = url.UserPassword(config.User, config.Passwd)
	}
	onServer(t, u.String())
}

// onServer also sees where the development secret goes, which has no file of
// the database to lie beside.
func onServer(t *testing.T, database string) {
	t.Chdir(t.TempDir())
	everything(t, start(t, "-db", database))
	require.FileExists(t, "example.secret")
}

func everything(t *testing.T, p program) {
	t.Helper()
	t.Run("roles", func(t *testing.T) { rolesStory(t, p) })
	t.Run("auth", func(t *testing.T) { authStory(t, p) })
	t.Run("notes", func(t *testing.T) { notesStory(t, p) })
	t.Run("bad notes", func(t *testing.T) { badNotesStory(t, p) })
	t.Run("browser", func(t *testing.T) { browserStory(t, p) })
	t.Run("browser without the role", func(t *testing.T) { roleStory(t, p) })
	t.Run("guards", func(t *testing.T) { guardsStory(t, p) })
	t.Run("devices", func(t *testing.T) { devicesStory(t, p) })
	t.Run("password", func(t *testing.T) { passwordStory(t, p) })
	t.Run("admin", func(t *testing.T) { adminStory(t, p) })
	t.Run("impersonation", func(t *testing.T) { impersonationStory(t, p) })
	t.Run("events", func(t *testing.T) { eventsStory(t, p) })
	t.Run("clock", func(t *testing.T) { clockStory(t, p) })
	t.Run("activity", func(t *testing.T) { activityStory(t, p) })
	t.Run("lab", func(t *testing.T) { labStory(t, p) })
	t.Run("headers", func(t *testing.T) { headersStory(t, p) })
	p.stop()
}

func rolesStory(t *testing.T, p program) {
	nobody := newCaller(t, p, script)
	for _, path := range []string{"/api/me", "/api/editor", "/api/admin", "/api/clock", "/dashboard", "/notes", "/devices",
		"/settings", "/reauthenticate", "/editor", "/admin/users", "/admin/users/x", "/admin/events"} {
		a := nobody.get(path)
		require.Equal(t, 401, a.status, path)
		require.Equal(t, "SESSION_NOT_FOUND", a.code(t), path)
	}
	require.Equal(t, 401, nobody.post("/api/note", `{"text":"x"}`).status)

	for role, want := range map[string][3]int{ // me, editor, admin
		"admin":  {200, 200, 200},
		"editor": {200, 200, 403},
		"viewer": {200, 403, 403},
	} {
		c := newCaller(t, p, script)
		require.Equal(t, 200, c.login(role, demoPassword).status)
		for _, prefix := range []string{"/api", ""} {
			me, admin := "/me", "/admin"
			if prefix == "" {
				me, admin = "/dashboard", "/admin/users"
			}
			got := [3]int{c.get(prefix + me).status, c.get(prefix + "/editor").status, c.get(prefix + admin).status}
			if got != want {
				t.Errorf("%s: got %v, want %v", role, got, want)
			}
		}
	}
}

func authStory(t *testing.T, p program) {
	c := newCaller(t, p, script)
	require.Equal(t, "CREDENTIALS_INVALID", c.login("viewer", "wrong password").code(t))
	require.Equal(t, 200, c.login("viewer@example.com", demoPassword).status)

	a := c.get("/api/me")
	var me struct {
		User    struct{ Username, Email, Role string }
		Session struct{ ID, UserAgent, IPAddress string }
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &me), a.body)
	require.Equal(t, [3]string{"viewer", "viewer@example.com", "viewer"}, [3]string{me.User.Username, me.User.Email, me.User.Role})
	require.Equal(t, [2]string{"the test's agent", "127.0.0.1"}, [2]string{me.Session.UserAgent, me.Session.IPAddress})
	require.NotEmpty(t, me.Session.ID)

	require.Contains(t, c.get("/auth/session").body, `"isAuthenticated":true`)
	require.Equal(t, 200, c.post("/auth/session/refresh", "").status)
	require.Equal(t, 200, c.post("/auth/logout", "").status)
	require.Contains(t, c.get("/auth/session").body, `"isAuthenticated":false`)
	require.Equal(t, 401, c.get("/api/me").status)
	require.Equal(t, http.StatusMethodNotAllowed, c.get("/auth/login").status)
	require.Equal(t, http.StatusNotFound, c.get("/api/nothing").status)
}

func notesStory(t *testing.T, p program) {
	c := newCaller(t, p, script)
	require.Equal(t, 200, c.login("viewer", demoPassword).status)
	before := time.Now().Truncate(time.Millisecond)
	a := c.post("/api/note", `{"text":" <b>naïve</b> ☃ 𝄞\r\nsecond line "}`)
	require.Equal(t, 201, a.status, a.body)
	var body struct {
		Note struct {
			ID           int64
			Author, Text string
			WrittenAt    time.Time
		}
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	require.NotZero(t, body.Note.ID)
	require.Equal(t, "viewer", body.Note.Author)
	require.Equal(t, "<b>naïve</b> ☃ 𝄞\nsecond line", body.Note.Text)
	require.False(t, body.Note.WrittenAt.Before(before), a.body)

	c.accept = visitor
	c.get("/notes").shows(t, 200, "<p>&lt;b&gt;naïve&lt;/b&gt; ☃ 𝄞\nsecond line</p>")
	c.form("/notes", "text", "from the form").leads(t, "/notes")
	c.get("/notes").shows(t, 200, "<p>from the form</p>\n<small>viewer, <time")

	editor := newCaller(t, p, visitor)
	require.Equal(t, 200, editor.login("editor", demoPassword).status)
	require.NotContains(t, editor.get("/notes").body, "from the form", "another user's note")
	editor.get("/editor").shows(t, 200, "<p>from the form</p>")
	editor.accept = script
	require.Contains(t, editor.get("/api/editor").body, `"text":"from the form"`)
}

func badNotesStory(t *testing.T, p program) {
	c := newCaller(t, p, script)
	require.Equal(t, 200, c.login("editor", demoPassword).status)
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		message                 string
	}{
		{"empty", "application/json", `{"text":""}`, 400, "text: must have 1 to 500 characters"},
		{"missing", "application/json", `{}`, 400, "text: must have 1 to 500 characters"},
		{"blank", "application/json", `{"text":" \n\t "}`, 400, "text: must have 1 to 500 characters"},
		{"too long", "application/json", `{"text":"` + strings.Repeat("é", 501) + `"}`, 400, "text: must have 1 to 500 characters"},
		{"NUL", "application/json", `{"text":"a\u0000b"}`, 400, "none that do not print"},
		{"not UTF-8", "application/json", "{\"text\":\"a\xffb\"}", 400, "none that do not print"},
		{"a number", "application/json", `{"text":5}`, 400, `body: must be like`},
		{"no JSON", "application/json", `text`, 400, `body: must be like`},
		{"no body", "application/json", ``, 400, `body: must be like`},
		{"bad form", "application/x-www-form-urlencoded", `text=%zz`, 400, `body: must be like`},
		{"other type", "text/plain", `hello`, 415, "The content type is not supported."},
		{"too large", "application/json", `{"text":"` + strings.Repeat("x", 9<<10) + `"}`, 413, "The request is too large."},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := c.send(http.MethodPost, "/api/note", test.contentType, test.body)
			require.Equal(t, test.status, a.status, a.body)
			require.Contains(t, a.body, strings.ReplaceAll(test.message, `"`, `\"`))
		})
	}
	longest := strings.Repeat("é", 500)
	require.Equal(t, 201, c.post("/api/note", `{"text":"`+longest+`"}`).status)

	c.accept = visitor
	c.form("/notes", "text", "kept "+longest).
		shows(t, 400, `role="alert">The note must have 1 to 500 characters`, "required>kept "+longest+"</textarea>")
	c.form("/notes", "text", strings.Repeat("x", 9<<10)).shows(t, 413, "The request is too large.")
}

func browserStory(t *testing.T, p program) {
	c := newCaller(t, p, visitor)
	home := c.get("/")
	home.shows(t, 200, `<a class="who" href="/login">Sign in</a>`, `id="ginsession-state">{"isAuthenticated":false`)
	require.NotContains(t, home.body, `id="who"`)
	c.get("/dashboard").leads(t, "/login?next=%2Fdashboard")
	c.get("/editor?page=2&x=%26").leads(t, "/login?next=%2Feditor%3Fpage%3D2%26x%3D%2526")
	c.form("/notes", "text", "late").leads(t, "/login?error=SESSION_NOT_FOUND")
	c.get("/login?error=SESSION_NOT_FOUND").shows(t, 200, "Not signed in.")

	page := c.get("/login?next=%2Feditor%3Fpage%3D2")
	page.shows(t, 200, `<input type="hidden" name="next" value="/editor?page=2">`, `action="/auth/login"`)
	require.NotContains(t, page.body, `role="alert"`)
	require.NotContains(t, page.body, "Sign out")

	wrong := "/login?error=CREDENTIALS_INVALID&next=%2Feditor%3Fpage%3D2"
	c.form("/auth/login", "username", "editor", "password", "wrong", "next", "/editor?page=2").leads(t, wrong)
	c.form("/auth/login", "username", "nobody", "password", "wrong", "next", "/editor?page=2").leads(t, wrong)
	c.get(wrong).shows(t, 200, `role="alert">Username or password is wrong.`, `value="/editor?page=2"`)
	c.form("/auth/login", "username", "editor").leads(t, "/login?error=REQUEST_INVALID")
	c.get("/login?error=REQUEST_INVALID").shows(t, 200, "The request is not valid.")
	c.get("/login?error=SESSION_EXPIRED").shows(t, 200, "The session has expired.")
	c.get("/login?error=%3Cscript%3E").shows(t, 200, `role="alert">Something went wrong.`)

	c.form("/auth/login", "username", "editor", "password", demoPassword, "next", "/editor?page=2").leads(t, "/editor?page=2")
	c.get("/").shows(t, 200, `<span id="who">editor</span>`, `"username":"editor"`)
	c.get("/editor?page=2").shows(t, 200, "<h1>Editor</h1>", `<a href="/editor" aria-current="page">`, `role editor</small>`)
	c.get("/login").leads(t, "/dashboard")
	c.get("/login?next=%2Fdevices%3Fx%3D1").leads(t, "/devices?x=1") // signed in already, in another tab
	for _, outside := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "evil.example"} {
		c.get("/login?next="+url.QueryEscape(outside)).leads(t, "/dashboard")
	}
	c.get("/dashboard").shows(t, 200, "<h1>Your session</h1>", "<dd>editor (editor@example.com)</dd>",
		"until it ends, if it is not used", "until its next use refreshes it", "<dt>Created</dt>", "<dt>Last access</dt>",
		"<dt>Expires</dt>", "<dt>Absolute end</dt>", "<dd>127.0.0.1</dd>", "<dd>the test&#39;s agent</dd>", "ends with the browser")

	c.form("/auth/logout").leads(t, "/login")
	c.get("/dashboard").leads(t, "/login?next=%2Fdashboard")

	c.form("/auth/login", "username", "editor", "password", demoPassword, "remember", "on").leads(t, "/")
	c.get("/dashboard").shows(t, 200, "outlives the browser")
	c.form("/auth/login", "username", "editor", "password", demoPassword, "next", "https://other.example/").leads(t, "/")
}

func roleStory(t *testing.T, p program) {
	c := newCaller(t, p, visitor)
	c.form("/auth/login", "username", "viewer", "password", demoPassword, "next", "/admin").leads(t, "/admin")
	c.get("/admin/users").shows(t, 403, "<h1>Forbidden</h1>", "Your role does not allow this: it needs the role admin.",
		"You are signed in as <strong>viewer</strong>, with the role <strong>viewer</strong>.")
	c.get("/nothing").shows(t, 404, "There is no such page.")

	c.form("/auth/login", "username", "admin", "password", demoPassword).leads(t, "/")
	c.get("/admin").leads(t, "/admin/users")
	page := c.get("/admin/users")
	page.shows(t, 200, "<h1>Users</h1>", `<tr data-user="viewer">`, `>viewer@example.com</small>`)
	list := c.get("/api/admin")
	require.Contains(t, list.body, `"username":"editor"`)
	for _, text := range []string{"argon2id", "password"} {
		require.NotContains(t, page.body+list.body, text)
	}
}

func headersStory(t *testing.T, p program) {
	c := newCaller(t, p, visitor)
	for _, path := range []string{"/login", "/dashboard", "/static/style.css", "/static/icon.svg", "/nothing", "/auth/session", "/api/me"} {
		a := c.get(path)
		policy := a.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.Contains(t, policy, "frame-ancestors 'none'", path)
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "same-origin", a.header.Get("Referrer-Policy"), path)
		if isFile := strings.HasPrefix(path, "/static/"); !isFile {
			require.Equal(t, "no-store", a.header.Get("Cache-Control"), path)
		} else {
			require.Equal(t, 200, a.status, path)
			require.Empty(t, a.header.Get("Vary"), "a stylesheet is no use of the session")
		}
	}
}

// What the database does not answer is neither let through nor blamed on the
// user, and the cause stays in the log.
func TestWithoutNotes(t *testing.T) {
	file := temporary(t)
	p := start(t, "-db", file)
	c := newCaller(t, p, script)
	require.Equal(t, 200, c.login("admin", demoPassword).status)

	at, err := locate(file)
	require.NoError(t, err)
	db, closeDB, err := open(at)
	require.NoError(t, err)
	require.NoError(t, db.Migrator().DropTable(&note{}))
	closeDB()

	for _, a := range []answer{c.get("/api/editor"), c.post("/api/note", `{"text":"x"}`)} {
		require.Equal(t, 503, a.status)
		require.Equal(t, "STORE_UNAVAILABLE", a.code(t))
	}
	c.accept = visitor
	for _, a := range []answer{c.get("/notes"), c.get("/editor"), c.form("/notes", "text", "x")} {
		a.shows(t, 503, "The session store does not answer.", "Sign out")
		require.Equal(t, "5", a.header.Get("Retry-After"))
		require.NotContains(t, a.body, "no such table")
	}
	require.Contains(t, logged.String(), "no such table")
}

func TestInWords(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "0s", 59: "59s", 24*60*60 - 1: "23h59m59s", 2 * 24 * 60 * 60: "2 days 0s", 30*24*60*60 - 1: "29 days 23h59m59s",
	} {
		if got := inWords(seconds); got != want {
			t.Errorf("%d seconds: got %q, want %q", seconds, got, want)
		}
	}
}
