// What is on the wire: bodies, headers, cookies, codes.

package ginsession_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

// inBubble runs test on one fake clock, which starts at 2000-01-01 00:00:00 UTC.
func inBubble(t *testing.T, test func(t *testing.T, a *app), configure ...func(*ginsession.Config)) {
	t.Helper()
	d := modelstest.SQLite(t)
	synctest.Test(t, func(t *testing.T) { test(t, newApp(t, d, configure...)) })
}

// onEach is inBubble on every database.
func onEach(t *testing.T, test func(t *testing.T, a *app), configure ...func(*ginsession.Config)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		synctest.Test(t, func(t *testing.T) { test(t, newApp(t, d, configure...)) })
	})
}

// onEachAwake is onEach on the real clock, for tests with subtests.
func onEachAwake(t *testing.T, test func(t *testing.T, a *app)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) { test(t, newApp(t, d)) })
}

// golden replaces what is random.
func golden(a *app, text string) string {
	text = strings.ReplaceAll(text, a.ada.UserID, "ADA")
	text = regexp.MustCompile(`[\w-]{60,}\.[\w-]{100,}\.[\w-]{43}`).ReplaceAllString(text, "TOKEN")
	text = regexp.MustCompile(`device=[\w-]{22}(\.[\w-]{22})+`).ReplaceAllString(text, "device=DEVICE")
	return regexp.MustCompile(`\b[A-Z2-7]{26}\b`).ReplaceAllString(text, "SESSION")
}

func TestLoginAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.client()
		c.Header.Set("User-Agent", "Browser/1.0")
		time.Sleep(1500 * time.Millisecond)
		r := c.PostJSON("/login", gin.H{"username": "ada", "password": password})

		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, `{"isAuthenticated":true,"isExpired":false,"remainingTime":86399,"refreshIn":84599,`+
			`"serverTime":"2000-01-01T00:00:01.5Z","reason":null,`+
			`"user":{"userId":"ADA","username":"ada","email":"ada@example.com","role":"admin","lastLogin":"2000-01-01T00:00:01.5Z"},`+
			`"session":{"id":"SESSION","createdAt":"2000-01-01T00:00:01.5Z","lastAccessed":"2000-01-01T00:00:01.5Z",`+
			`"authenticatedAt":"2000-01-01T00:00:01.5Z","expiresAt":"2000-01-02T00:00:01Z","absoluteExpiresAt":"2000-01-31T00:00:01Z",`+
			`"userAgent":"Browser/1.0","ipAddress":"192.0.2.1"}}`, golden(a, r.Text))
		require.Equal(t, http.Header{
			"Cache-Control":     {"no-store"},
			"Cdn-Cache-Control": {"no-store"},
			"Content-Type":      {"application/json; charset=utf-8"},
			"Set-Cookie": {
				"__Host-session=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax",
				"__Host-session-device=DEVICE; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax",
			},
			"Vary":                         {"Cookie"},
			"Cross-Origin-Resource-Policy": {"same-origin"},
			"X-Content-Type-Options":       {"nosniff"},
		}, goldenHeader(a, r.Header))
	})
}

func goldenHeader(a *app, h http.Header) http.Header {
	h = h.Clone()
	for i, line := range h["Set-Cookie"] {
		h["Set-Cookie"][i] = golden(a, line)
	}
	return h
}

func TestSetCookieLines(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.client()
		r := c.PostJSON("/login", gin.H{"username": "ada", "password": password, "remember": true})
		require.Equal(t, "__Host-session=TOKEN; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax", golden(a, setCookie(t, r)))

		c = a.signIn("ada")
		time.Sleep(time.Second)
		r = c.Do("POST", "/session/refresh", "", nil)
		require.Equal(t, http.StatusOK, r.StatusCode, r.Text)
		require.Equal(t, "__Host-session=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax", golden(a, setCookie(t, r)))

		time.Sleep(23*time.Hour + 40*time.Minute)
		r = c.Get("/me")
		require.Equal(t, "__Host-session=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax", golden(a, setCookie(t, r)))
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))

		r = c.Do("POST", "/logout", "", nil)
		require.Equal(t, "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax", setCookie(t, r))
	})
}

func TestInsecureCookieForDevelopment(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := a.client().PostJSON("/login", gin.H{"username": "ada", "password": password})
		require.Equal(t, "session=TOKEN; Path=/; HttpOnly; SameSite=Lax", golden(a, setCookie(t, r)))
		require.Contains(t, a.logs.text(), "Insecure is set")
	}, func(c *ginsession.Config) { c.Insecure = true })
}

// setCookie returns the one Set-Cookie line of the session in an answer.
func setCookie(t testing.TB, r ginsessiontest.Response) string {
	t.Helper()
	var lines []string
	for _, line := range r.Header["Set-Cookie"] {
		if strings.HasPrefix(line, cookieName+"=") || strings.HasPrefix(line, "session=") {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, 1, "one Set-Cookie of the session")
	return lines[0]
}

func TestStatusAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		const noOne = `,"remainingTime":0,"serverTime":"2000-01-01T00:00:00Z","reason":null,"user":null,"session":null}`
		c := a.client()
		r := c.Get("/session")
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, `{"isAuthenticated":false,"isExpired":false`+noOne, r.Text)
		require.Empty(t, r.Header["Set-Cookie"])

		c = a.signIn("ada")
		time.Sleep(23*time.Hour + 45*time.Minute)
		r = c.Get("/session")
		require.Contains(t, r.Text, `{"isAuthenticated":true,"isExpired":false,"remainingTime":900,"refreshIn":0,`)
		require.Empty(t, r.Header["Set-Cookie"], "a status is no activity")

		time.Sleep(15 * time.Minute)
		r = c.Get("/session")
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, `{"isAuthenticated":false,"isExpired":true,"remainingTime":0,"serverTime":"2000-01-02T00:00:00Z",`+
			`"reason":"SESSION_EXPIRED","endReason":"expired","user":null,"session":null}`, r.Text)
		require.Empty(t, r.Header["Set-Cookie"])

		c.Header.Set("Cookie", cookieName+"=junk")
		require.Contains(t, c.Get("/session").Text, `"isExpired":false,"remainingTime":0,"serverTime":"2000-01-02T00:00:00Z","reason":"JWT_INVALID"`)
	})
}

func TestLogoutAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		for range 2 { // the second time without a session
			r := c.Do("POST", "/logout", "", nil)
			require.Equal(t, http.StatusOK, r.StatusCode)
			require.Equal(t, `{"isAuthenticated":false,"isExpired":false,"remainingTime":0,"serverTime":"2000-01-01T00:00:00Z","reason":null,"user":null,"session":null}`, r.Text)
			require.Contains(t, setCookie(t, r), "Max-Age=0")
		}
		require.Equal(t, []string{"user_created", "user_created", "session_created", "session_logout"}, a.events())
	})
}

func TestErrorAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := a.client().Get("/me")
		require.Equal(t, http.StatusUnauthorized, r.StatusCode)
		require.Equal(t, `{"error":{"code":"SESSION_NOT_FOUND","message":"Not signed in.","timestamp":"2000-01-01T00:00:00Z"}}`, r.Text)
		require.Equal(t, http.Header{
			"Cache-Control":                {"no-store"},
			"Content-Type":                 {"application/json; charset=utf-8"},
			"Vary":                         {"Cookie"},
			"Cross-Origin-Resource-Policy": {"same-origin"},
			"Www-Authenticate":             {"Session"},
			"X-Content-Type-Options":       {"nosniff"},
		}, r.Header)
	})
}

// Every code that this package answers with, each through HTTP.
func TestEveryCode(t *testing.T) {
	seen := map[ginsession.Code]bool{}
	expect := func(t *testing.T, r ginsessiontest.Response, want ginsession.Code) {
		t.Helper()
		got := code(t, r)
		seen[got] = true
		require.Equal(t, want, got)
		require.Equal(t, want.Status(), r.StatusCode)
		require.Equal(t, want.Status() == 401, r.Header.Get("WWW-Authenticate") != "")
		require.Equal(t, want.Status() == 429 || want.Status() == 503, r.Header.Get("Retry-After") != "")
		require.Equal(t, want.Status() == 405, r.Header.Get("Allow") != "")
	}
	inBubble(t, func(t *testing.T, a *app) {
		a.engine.Any("/any/login", a.sessions.Login)
		a.engine.GET("/missing", func(c *gin.Context) {
			ginsession.Refuse(c, a.sessions.Accounts().SetRole(c, "nobody", "x"))
		})
		a.engine.GET("/taken", func(c *gin.Context) {
			_, err := a.sessions.Accounts().Create(c, ginsession.NewUser{Username: "ADA"})
			ginsession.Refuse(c, err)
		})
		policy, err := rbac.NewPolicy(map[string]rbac.Role{"editor": {Permissions: []string{"posts:*"}}})
		require.NoError(t, err)
		a.engine.GET("/posts", policy.Require("posts:write"))
		a.engine.GET("/bug", func(c *gin.Context) { ginsession.Refuse(c, errors.New("a bug")) })
		post := func(contentType, body string) ginsessiontest.Response {
			return a.client().Do("POST", "/login", contentType, strings.NewReader(body))
		}

		expect(t, a.client().Get("/me"), ginsession.ErrSessionNotFound)
		c := a.signIn("bob")
		expect(t, c.Get("/admin"), ginsession.ErrRoleRequired)
		expect(t, c.Get("/posts"), ginsession.ErrPermissionRequired)
		c.Header.Set("Sec-Fetch-Site", "cross-site")
		expect(t, c.Do("POST", "/act", "", nil), ginsession.ErrCrossOrigin)
		c.Header.Del("Sec-Fetch-Site")
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.bob.UserID))
		expect(t, c.Get("/me"), ginsession.ErrSessionInvalid)
		c = a.signIn("ada")
		time.Sleep(24 * time.Hour)
		expect(t, c.Get("/me"), ginsession.ErrSessionExpired)
		c.Header.Set("Cookie", cookieName+"=a.b.c")
		expect(t, c.Get("/me"), ginsession.ErrTokenInvalid)

		expect(t, post("application/json", `{"username":"ada","password":"wrong"}`), ginsession.ErrCredentialsInvalid)
		expect(t, post("application/json", `{`), ginsession.ErrRequestInvalid)
		expect(t, post("text/plain", `{}`), ginsession.ErrMediaType)
		expect(t, post("application/json", strings.Repeat(" ", 9000)), ginsession.ErrRequestTooLarge)
		expect(t, a.client().Get("/any/login"), ginsession.ErrMethodNotAllowed)
		expect(t, a.client().Get("/missing"), ginsession.ErrUserNotFound)
		expect(t, a.client().Get("/taken"), ginsession.ErrUserExists)
		expect(t, a.client().Get("/bug"), ginsession.ErrInternal)

		c = a.signIn("ada")
		a.wire.breakAt(1, false, fails)
		expect(t, c.Get("/me"), ginsession.ErrStoreUnavailable)
	})
	inBubble(t, func(t *testing.T, a *app) {
		r := a.client().PostJSON("/login", gin.H{"username": "x", "password": "y"})
		expect(t, r, ginsession.ErrRateLimited)
		require.Equal(t, "90", r.Header.Get("Retry-After"))
	}, func(c *ginsession.Config) {
		c.Users = &users{authenticate: func() (ginsession.Identity, error) {
			return ginsession.Identity{}, &ginsession.Error{Code: ginsession.ErrRateLimited, RetryAfter: 89*time.Second + 1}
		}}
	})
	inBubble(t, func(t *testing.T, a *app) {
		r := a.client().PostJSON("/login", gin.H{"username": "x", "password": "y"})
		require.Equal(t, "5", r.Header.Get("Retry-After"), "without a better knowledge")
	}, func(c *ginsession.Config) {
		c.Users = &users{authenticate: func() (ginsession.Identity, error) {
			return ginsession.Identity{}, ginsession.ErrRateLimited
		}}
	})
	for _, c := range []ginsession.Code{
		ginsession.ErrSessionNotFound, ginsession.ErrSessionExpired, ginsession.ErrSessionInvalid, ginsession.ErrTokenInvalid,
		ginsession.ErrCredentialsInvalid, ginsession.ErrRoleRequired, ginsession.ErrPermissionRequired,
		ginsession.ErrCrossOrigin, ginsession.ErrRequestInvalid,
		ginsession.ErrUserNotFound, ginsession.ErrMethodNotAllowed, ginsession.ErrUserExists, ginsession.ErrRequestTooLarge,
		ginsession.ErrMediaType, ginsession.ErrRateLimited, ginsession.ErrStoreUnavailable, ginsession.ErrInternal,
	} {
		require.True(t, seen[c], "%s was not produced", c)
	}
}

// users is an application's own Users.
type users struct {
	authenticate func() (ginsession.Identity, error)
	identity     func(id string) (ginsession.Identity, error)
}

func (u *users) Authenticate(context.Context, string, string) (ginsession.Identity, error) {
	return u.authenticate()
}

func (u *users) Identity(_ context.Context, id string) (ginsession.Identity, error) {
	return u.identity(id)
}

func TestLoginRefusesBadBodies(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		const good = `{"username":"ada","password":"` + password + `"}`
		deep := strings.Repeat("[", 4000)
		for name, test := range map[string]struct {
			contentType, body string
			want              ginsession.Code
		}{
			"good":               {"application/json; charset=utf-8", good, ""},
			"no type":            {"", good, ginsession.ErrMediaType},
			"text":               {"text/plain", good, ginsession.ErrMediaType},
			"multipart":          {"multipart/form-data; boundary=x", good, ginsession.ErrMediaType},
			"empty":              {"application/json", "", ginsession.ErrRequestInvalid},
			"null":               {"application/json", "null", ginsession.ErrRequestInvalid},
			"list":               {"application/json", "[]", ginsession.ErrRequestInvalid},
			"string":             {"application/json", `"x"`, ginsession.ErrRequestInvalid},
			"no fields":          {"application/json", "{}", ginsession.ErrRequestInvalid},
			"no password":        {"application/json", `{"username":"ada"}`, ginsession.ErrRequestInvalid},
			"no username":        {"application/json", `{"password":"x"}`, ginsession.ErrRequestInvalid},
			"username number":    {"application/json", `{"username":0,"password":"x"}`, ginsession.ErrRequestInvalid},
			"username true":      {"application/json", `{"username":true,"password":"x"}`, ginsession.ErrRequestInvalid},
			"username null":      {"application/json", `{"username":null,"password":"x"}`, ginsession.ErrRequestInvalid},
			"username list":      {"application/json", `{"username":["ada"],"password":"x"}`, ginsession.ErrRequestInvalid},
			"username object":    {"application/json", `{"username":{"$ne":""},"password":"x"}`, ginsession.ErrRequestInvalid},
			"remember text":      {"application/json", `{"username":"a","password":"x","remember":"yes"}`, ginsession.ErrRequestInvalid},
			"unknown field":      {"application/json", `{"username":"ada","password":"x","role":"admin"}`, ginsession.ErrRequestInvalid},
			"field twice":        {"application/json", `{"username":"ada","username":"bob","password":"x"}`, ginsession.ErrRequestInvalid},
			"field in capitals":  {"application/json", `{"USERNAME":"ada","password":"x"}`, ginsession.ErrRequestInvalid},
			"two documents":      {"application/json", good + good, ginsession.ErrRequestInvalid},
			"trailing text":      {"application/json", good + "x", ginsession.ErrRequestInvalid},
			"cut off":            {"application/json", good[:len(good)-1], ginsession.ErrRequestInvalid},
			"deep":               {"application/json", deep, ginsession.ErrRequestInvalid},
			"deep in a field":    {"application/json", `{"username":` + deep, ginsession.ErrRequestInvalid},
			"byte order mark":    {"application/json", "\ufeff" + good, ginsession.ErrRequestInvalid},
			"not UTF-8":          {"application/json", "{\"username\":\"a\x80\",\"password\":\"x\"}", ginsession.ErrRequestInvalid},
			"too large":          {"application/json", `{"username":"` + strings.Repeat("a", 8192) + `"}`, ginsession.ErrRequestTooLarge},
			"lone surrogate":     {"application/json", `{"username":"\ud800","password":"x"}`, ginsession.ErrCredentialsInvalid},
			"NUL":                {"application/json", `{"username":"ada\u0000","password":"x"}`, ginsession.ErrCredentialsInvalid},
			"long name":          {"application/json", `{"username":"` + strings.Repeat("é", 300) + `","password":"x"}`, ginsession.ErrCredentialsInvalid},
			"injection":          {"application/json", `{"username":"' OR '1'='1","password":"x"}`, ginsession.ErrCredentialsInvalid},
			"wildcard":           {"application/json", `{"username":"ad%","password":"x"}`, ginsession.ErrCredentialsInvalid},
			"form, field twice":  {"application/x-www-form-urlencoded", "username=ada&username=bob&password=x", ginsession.ErrRequestInvalid},
			"form, bad escape":   {"application/x-www-form-urlencoded", "username=%zz&password=x", ginsession.ErrRequestInvalid},
			"form, no password":  {"application/x-www-form-urlencoded", "username=ada", ginsession.ErrRequestInvalid},
			"form, not UTF-8":    {"application/x-www-form-urlencoded", "username=%80&password=x", ginsession.ErrRequestInvalid},
			"form, bad remember": {"application/x-www-form-urlencoded", "username=ada&password=x&remember=maybe", ginsession.ErrRequestInvalid},
		} {
			r := a.client().Do("POST", "/login?username=ada&password="+url.QueryEscape(password), test.contentType, strings.NewReader(test.body))
			if test.want == "" {
				require.Equal(t, 200, r.StatusCode, name)
				continue
			}
			require.Equal(t, test.want, code(t, r), name)
			require.Empty(t, r.Header["Set-Cookie"], name)
		}
		c := a.client()
		c.Header.Set("Content-Encoding", "gzip")
		require.Equal(t, ginsession.ErrMediaType, code(t, c.PostJSON("/login", gin.H{})))

		r := a.client().Do("POST", "/login", "application/json", strings.NewReader(`{"username":"ada"}`))
		require.Contains(t, r.Text, `"message":"password: is required"`, "a bad request is told what is wrong with it")
		require.Len(t, a.rows(), 1, "only the good one signed anybody in")
	})
}

func TestFormLogin(t *testing.T) {
	form := func(more ...string) url.Values {
		v := url.Values{"username": {"ada@example.com"}, "password": {password}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	inBubble(t, func(t *testing.T, a *app) {
		for next, want := range map[string]string{
			"":                        "/",
			"/me":                     "/me",
			"/me?a=1&b=%2F#top":       "/me?a=1&b=%2F#top",
			"//evil.example":          "/",
			"/\\evil.example":         "/",
			"/%5cevil.example":        "/",
			"/%2fevil.example":        "/",
			"/\t/evil.example":        "/",
			"/%09/evil.example":       "/",
			"http://evil.example":     "/",
			"https:evil.example":      "/",
			"javascript:alert(1)":     "/",
			"me":                      "/",
			" /me":                    "/",
			"/me\r\nSet-Cookie: a=b":  "/",
			"https://app.example.com": "/",
			"/%zz":                    "/",
		} {
			c := a.client()
			r := c.PostForm("/login", form("next", next))
			require.Equal(t, http.StatusSeeOther, r.StatusCode, next)
			require.Equal(t, want, r.Header.Get("Location"), next)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		r := a.client().PostForm("/login", form("remember", "on", "next", "/me"))
		require.Contains(t, setCookie(t, r), "Max-Age=2592000")

		r = a.client().PostForm("/login", form("password", "wrong", "next", "/me?x=1"))
		require.Equal(t, http.StatusSeeOther, r.StatusCode)
		require.Equal(t, "/sign-in?error=CREDENTIALS_INVALID&lang=en&next=%2Fme%3Fx%3D1", r.Header.Get("Location"))
		require.Empty(t, r.Header["Set-Cookie"])

		r = a.client().PostForm("/login", form("password", "", "next", "/me"))
		require.Equal(t, "/sign-in?error=REQUEST_INVALID&lang=en&next=%2Fme", r.Header.Get("Location"))

		long := strings.Repeat("🔑", 512) // the longest that may be set
		require.NoError(t, a.sessions.Accounts().SetPassword(t.Context(), a.bob.UserID, long))
		require.Equal(t, "/", a.client().PostForm("/login", url.Values{"username": {"bob"}, "password": {long}}).Header.Get("Location"))

		c := a.client()
		c.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, ginsession.ErrCrossOrigin, code(t, c.PostForm("/login", form())))

		c = a.signIn("ada")
		r = c.PostForm("/logout", url.Values{"next": {"/bye"}})
		require.Equal(t, []any{303, "/bye"}, []any{r.StatusCode, r.Header.Get("Location")})
		r = c.PostForm("/logout", url.Values{"next": {"//evil.example"}})
		require.Equal(t, []any{303, "/sign-in?lang=en"}, []any{r.StatusCode, r.Header.Get("Location")})

		a.wire.breakAt(1, false, fails)
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, a.client().PostForm("/login", form())))
	}, func(c *ginsession.Config) { c.LoginURL = "/sign-in?lang=en" })

	inBubble(t, func(t *testing.T, a *app) { // without a page to go back to
		require.Equal(t, ginsession.ErrCredentialsInvalid, code(t, a.client().PostForm("/login", form("password", "wrong"))))
		c := a.signIn("ada")
		require.Equal(t, "/", c.PostForm("/logout", nil).Header.Get("Location"))
	})
}

func TestNavigationIsSentToTheLoginPage(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.client()
		c.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		r := c.Get("/admin?tab=2")
		require.Equal(t, http.StatusSeeOther, r.StatusCode)
		require.Equal(t, "/sign-in?next=%2Fadmin%3Ftab%3D2", r.Header.Get("Location"))
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))

		require.Equal(t, ginsession.ErrSessionNotFound, code(t, c.Do("POST", "/act", "", nil)), "not a navigation")
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.client().Get("/me")), "asks for no page")

		c = a.signIn("bob")
		c.Header.Set("Accept", "text/html")
		require.Equal(t, ginsession.ErrRoleRequired, code(t, c.Get("/admin")), "signing in does not help")
		time.Sleep(25 * time.Hour)
		require.Equal(t, "/sign-in?error=SESSION_EXPIRED&next=%2Fme", c.Get("/me").Header.Get("Location"))
	}, func(c *ginsession.Config) { c.LoginURL = "/sign-in" })
}

func TestRefuseOfTheApplication(t *testing.T) {
	var got []string
	inBubble(t, func(t *testing.T, a *app) {
		r := a.client().Get("/me")
		require.Equal(t, http.StatusTeapot, r.StatusCode)
		require.Equal(t, "sorry", r.Text, "the handler must not run")
		a.signIn("bob").Get("/admin")
		a.client().PostJSON("/login", gin.H{"username": "ada", "password": "wrong"})
		require.Equal(t, []string{
			"SESSION_NOT_FOUND 2000-01-01T00:00:00Z aborted true",
			"ROLE_REQUIRED 2000-01-01T00:00:00Z aborted true",
			"CREDENTIALS_INVALID 2000-01-01T00:00:00Z aborted true",
		}, got)
		c := a.client()
		c.Header.Set("Accept", "text/html")
		require.Equal(t, "/sign-in?next=%2Fme", c.Get("/me").Header.Get("Location"), "LoginURL goes first")
	}, func(c *ginsession.Config) {
		c.LoginURL = "/sign-in"
		c.Refuse = func(c *gin.Context, err *ginsession.Error) {
			aborted := "false"
			if c.IsAborted() {
				aborted = "true"
			}
			got = append(got, string(err.Code)+" "+err.Time.Format(time.RFC3339)+" aborted "+aborted)
			c.String(http.StatusTeapot, "sorry")
		}
	})
}

func TestGuardsWithoutLoadRefuse(t *testing.T) {
	r := gin.New()
	reached := false
	handler := func(*gin.Context) { reached = true }
	r.GET("/require", ginsession.Require, handler)
	r.GET("/role", rbac.RequireRole("admin"), handler)
	for _, path := range []string{"/require", "/role"} {
		answer := ginsessiontest.NewClient(r).Get(path)
		require.Equal(t, http.StatusInternalServerError, answer.StatusCode)
		require.Equal(t, ginsession.ErrInternal, code(t, answer))
	}
	require.False(t, reached)
}

func TestMethodsOfTheHandlers(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := gin.New()
		r.Any("/login", a.sessions.Login)
		r.Any("/logout", a.sessions.Logout)
		r.Any("/session", a.sessions.Status)
		r.Any("/refresh", a.sessions.Refresh)
		c := a.signIn("ada")
		token := c.Cookie(cookieName)
		c = ginsessiontest.NewClient(r)
		c.Header.Set("Cookie", cookieName+"="+token)
		for path, allow := range map[string]string{"/login": "POST", "/logout": "POST", "/session": "GET, HEAD", "/refresh": "POST"} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
				if strings.Contains(allow, method) {
					continue
				}
				answer := c.Do(method, path+"?username=ada&password=x", "", nil)
				require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, method+path)
				require.Equal(t, allow, answer.Header.Get("Allow"))
				require.Empty(t, answer.Header["Set-Cookie"])
			}
		}
		require.Equal(t, models.Time(0), a.row().EndedAt)
		require.Equal(t, 200, c.Do("HEAD", "/session", "", nil).StatusCode)
	})
}
