// The life of a session: how long it lasts, what keeps it, how many queries it
// costs, and what races do to it.

package ginsession_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

func TestRefreshOnlyInTheLastHalfHour(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		first := a.row()
		time.Sleep(23*time.Hour + 30*time.Minute - time.Millisecond)
		require.Empty(t, c.Get("/me").Header["Set-Cookie"])
		require.Equal(t, first.ExpiresAt, a.row().ExpiresAt)

		time.Sleep(time.Millisecond)
		require.NotEmpty(t, c.Get("/me").Header["Set-Cookie"])
		require.Equal(t, models.At(time.Now().Add(24*time.Hour)), a.row().ExpiresAt)
		require.Equal(t, first.AbsoluteExpiresAt, a.row().AbsoluteExpiresAt)
		require.Equal(t, first.AuthenticatedAt, a.row().AuthenticatedAt, "a refresh proves nobody")
		require.Empty(t, c.Get("/me").Header["Set-Cookie"], "once")
		require.Equal(t, []string{"session_created", "session_renewed"}, a.events()[2:])
	})
}

func TestRefreshTwiceInASecondWritesOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		time.Sleep(time.Minute - time.Second)
		require.NotEmpty(t, c.Do("POST", "/session/refresh", "", nil).Header["Set-Cookie"])
		time.Sleep(time.Second - time.Millisecond)
		a.wire.reset()
		require.Equal(t, 200, c.Do("POST", "/session/refresh", "", nil).StatusCode)
		require.Equal(t, []string{"SELECT", "UPDATE sessions"}, a.wire.statements(), "that the new cookie was seen")
		a.wire.reset()
		require.Equal(t, 200, c.Do("POST", "/session/refresh", "", nil).StatusCode)
		require.Equal(t, []string{"SELECT"}, a.wire.statements())
	})
}

func TestAbsoluteEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		for time.Since(a.row().CreatedAt.Time()) < 30*24*time.Hour-15*time.Minute {
			time.Sleep(15 * time.Minute)
			r := c.Get("/me")
			require.Equal(t, 200, r.StatusCode)
			for _, cookie := range cookies(r) {
				require.NotEmpty(t, cookie)
				require.LessOrEqual(t, a.row().ExpiresAt, a.row().AbsoluteExpiresAt)
			}
		}
		require.NotContains(t, c.Get("/session").Text, "refreshIn", "nothing refreshes it any more")
		r := c.Do("POST", "/session/refresh", "", nil)
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, r.Header["Set-Cookie"])
		time.Sleep(15 * time.Minute)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		require.Equal(t, "absolute", a.row().EndReason)
	})
}

func TestRememberLastsToTheAbsoluteEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.client()
		c.PostJSON("/login", gin.H{"username": "ada", "password": password, "remember": true})
		end := a.row().ExpiresAt
		for day := range 29 {
			time.Sleep(24*time.Hour - time.Second)
			first := c.Get("/me")
			require.Contains(t, setCookie(t, first), "Max-Age=", "day %d: a new secret, though not for longer", day)
			time.Sleep(time.Second)
			require.Empty(t, c.Get("/me").Header["Set-Cookie"])
			require.Equal(t, end, a.row().ExpiresAt)
		}
		time.Sleep(24*time.Hour - time.Second)
		require.Equal(t, 200, c.Get("/me").StatusCode)
		time.Sleep(time.Second)
		require.Empty(t, c.Cookie(cookieName), "the browser has dropped it")
		require.Equal(t, 401, c.Get("/me").StatusCode)
	})
}

func TestIdleTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		for range 100 {
			time.Sleep(9 * time.Minute)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		for range 9 { // a status is no activity
			time.Sleep(time.Minute)
			require.Contains(t, c.Get("/session").Text, `"isAuthenticated":true`)
		}
		for _, method := range []string{"HEAD", "OPTIONS"} { // nor are these
			c.Do(method, "/me", "", nil)
		}
		time.Sleep(time.Minute)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		require.Equal(t, "idle", a.row().EndReason)
	}, func(c *ginsession.Config) { c.IdleTimeout = 10 * time.Minute })
}

func TestStepOfTheClockBringsNothingBack(t *testing.T) {
	var step time.Duration
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		step = 25 * time.Hour
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		step = 0
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
	}, func(c *ginsession.Config) { c.Now = func() time.Time { return time.Now().Add(step) } })
}

func TestLoginOverASessionEndsIt(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for _, next := range []string{"bob", "ada"} { // somebody else, the same
			c := a.signIn("ada")
			old := c.Cookie(cookieName)
			c.PostJSON("/login", gin.H{"username": next, "password": password})
			require.Equal(t, next, c.Get("/me").Text)
			require.NotEqual(t, old, c.Cookie(cookieName))
			require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.with(old).Get("/me")))

			c.PostJSON("/login", gin.H{"username": next, "password": "wrong"})
			require.Equal(t, next, c.Get("/me").Text, "a failed login ends nothing")
			c.Do("POST", "/logout", "", nil)
		}
		require.Zero(t, a.live())
	})
}

// A client that never got the answer with the new cookie comes back with the
// old one: it stays signed in, and is given the new one.
func TestLostAnswerOfARefresh(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		old := c.Cookie(cookieName)
		time.Sleep(23*time.Hour + 40*time.Minute)
		lost := a.with(old).Get("/me")
		require.Len(t, cookies(lost), 1)

		time.Sleep(29 * time.Second)
		require.Empty(t, cookies(a.with(old).Get("/me")), "the answer may still be on its way")
		time.Sleep(time.Second)
		a.wire.reset()
		again := a.with(old).Get("/me")
		require.Len(t, cookies(again), 1)
		require.Equal(t, []string{"SELECT"}, a.wire.statements(), "the row need not change")
		for _, token := range []string{cookies(lost)[0], cookies(again)[0]} {
			require.Equal(t, 200, a.with(token).Get("/me").StatusCode)
		}
		time.Sleep(23 * time.Hour)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, a.with(old).Get("/me")))
		require.Equal(t, 200, a.with(cookies(again)[0]).Get("/me").StatusCode, "an old cookie ends no session")
	})
}

func TestTwentyRequestsWhenARefreshIsDue(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		old := c.Cookie(cookieName)
		time.Sleep(23*time.Hour + 40*time.Minute)

		answers := make([]ginsessiontest.Response, 20)
		var group sync.WaitGroup
		for i := range answers {
			client := a.with(old)
			group.Go(func() { answers[i] = client.Get("/me") })
		}
		group.Wait()

		var issued []string
		for _, r := range answers {
			require.Equal(t, 200, r.StatusCode, r.Text)
			issued = append(issued, cookies(r)...)
		}
		require.Len(t, issued, 1, "one new cookie")
		require.Equal(t, []string{"session_created", "session_renewed"}, a.events()[2:], "one row written")

		// The browser has either cookie, by which answer came last, or which was lost.
		// Whichever it is, it stays signed in.
		for range 60 {
			time.Sleep(time.Second)
			require.Equal(t, 200, a.with(old).Get("/me").StatusCode, "the new one has not been seen")
		}
		holder := a.with(old)
		for range 3 * 24 * 4 { // three days of a click every quarter of an hour
			time.Sleep(15 * time.Minute)
			require.Equal(t, 200, holder.Get("/me").StatusCode)
			require.Equal(t, 200, a.with(holder.Cookie(cookieName)).Get("/me").StatusCode)
		}
		require.Len(t, a.rows(), 1)
	})
}

func TestLogoutRacingARefresh(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		_, otherEngine := a.otherProcess()
		for round := range 20 {
			c := a.signIn("ada")
			old := c.Cookie(cookieName)
			time.Sleep(23*time.Hour + 40*time.Minute)

			var mu sync.Mutex
			issued := []string{old}
			var group sync.WaitGroup
			for i := range 6 {
				engine := a.engine
				if i%2 == 1 {
					engine = otherEngine
				}
				client := ginsessiontest.NewClient(engine)
				client.Header.Set("Cookie", cookieName+"="+old)
				group.Go(func() {
					var r ginsessiontest.Response
					switch i {
					case 0:
						r = client.Do("POST", "/logout", "", nil)
						require.Equal(t, 200, r.StatusCode, r.Text)
					case 1:
						r = client.Do("POST", "/session/refresh", "", nil)
					default:
						r = client.Get("/me")
					}
					require.Contains(t, []int{200, 401}, r.StatusCode, r.Text)
					mu.Lock()
					defer mu.Unlock()
					issued = append(issued, cookies(r)...)
				})
			}
			group.Wait()
			for _, wait := range []time.Duration{0, time.Minute, 20 * time.Hour} {
				time.Sleep(wait)
				for _, token := range issued {
					require.Equal(t, 401, a.with(token).Get("/me").StatusCode, "round %d", round)
				}
			}
			require.Zero(t, a.live())
		}
	})
}

func TestLogoutRacingLogout(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		var group sync.WaitGroup
		for range 10 {
			c := a.with(token)
			group.Go(func() { require.Equal(t, 200, c.Do("POST", "/logout", "", nil).StatusCode) })
		}
		group.Wait()
		require.Equal(t, []string{"session_created", "session_logout"}, a.events()[2:], "it ends once")
	})
}

func TestLoginsRacingShutOut(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		for range 10 {
			require.NoError(t, a.heal())
			var group sync.WaitGroup
			for range 5 {
				c := a.client()
				group.Go(func() { c.PostJSON("/login", gin.H{"username": "ada", "password": password}) })
			}
			group.Go(func() { require.NoError(t, other.Accounts().Disable(t.Context(), a.ada.UserID)) })
			group.Wait()
			require.Zero(t, a.live(), "a session of a disabled user")
		}
	})
}

func TestStatementsOfEachRequest(t *testing.T) {
	const (
		sel   = "SELECT"
		begin = "BEGIN"
		event = "INSERT INTO session_events"
		upd   = "UPDATE sessions"
	)
	count := []string{sel, begin, "INSERT INTO login_attempts", sel, "COMMIT"}
	forgive := []string{begin, "DELETE FROM login_attempts", "UPDATE login_attempts", "COMMIT"}
	want := map[string][]string{
		"load":                         {sel},
		"load and touch":               {sel, upd},
		"load and refresh":             {sel, begin, upd, event, "COMMIT"},
		"load an expired one":          {sel, begin, upd, event, "COMMIT"},
		"load where none is needed":    {sel},
		"load by role":                 {sel},
		"login":                        slices.Concat(count, forgive, []string{begin, "UPDATE users", sel, "INSERT INTO sessions", event, "COMMIT"}),
		"login over a session":         slices.Concat([]string{sel}, count, forgive, []string{begin, "UPDATE users", upd, sel, "INSERT INTO sessions", event, "COMMIT"}),
		"login over an expired one":    slices.Concat([]string{sel}, count, forgive, []string{begin, "UPDATE users", upd, sel, "INSERT INTO sessions", event, "COMMIT"}),
		"login with a wrong password":  append(count, event),
		"logout":                       {sel, begin, upd, event, "COMMIT"},
		"logout of an expired one":     {sel, begin, upd, event, "COMMIT"},
		"status":                       {sel},
		"status when a refresh is due": {sel},
		"refresh":                      {sel, begin, upd, event, "COMMIT"},
	}
	onEach(t, func(t *testing.T, a *app) {
		for _, act := range acts {
			c := act.prepare(a)
			a.forgive()
			a.wire.reset()
			act.request(c)
			require.Equal(t, want[act.name], a.wire.statements(), act.name)
		}
		a.wire.reset()
		a.client().Get("/open")
		a.client().Get("/me")
		a.with("junk").Get("/me")
		require.Empty(t, a.wire.statements(), "strangers and junk cost no query")
	})
}

func TestAnHourOfRequestsWritesOnceAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		a.wire.reset()
		for range 3600 {
			time.Sleep(time.Second)
			c.Get("/me")
		}
		writes := 0
		for _, s := range a.wire.statements() {
			if s == "UPDATE sessions" {
				writes++
			}
		}
		require.Equal(t, 60, writes)
		require.Equal(t, models.At(time.Now()), a.row().LastAccessed)
	})
}

func TestLoadTwiceAndAnywhere(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		ok := func(c *gin.Context) { c.Status(http.StatusNoContent) }
		pass := func(c *gin.Context) { c.Next() }
		r := gin.New()
		r.Use(pass, a.sessions.Load, pass)
		r.GET("/engine", ginsession.Require, ok)
		r.Group("/group", a.sessions.Load, ginsession.Require, a.sessions.Load).GET("/x", ok)
		r.NoRoute(ginsession.Require, ok)
		only := gin.New()
		only.Group("/only", a.sessions.Load).GET("/x", ginsession.Require, ok)
		only.GET("/session", a.sessions.Status) // without Load
		only.POST("/logout", a.sessions.Logout)

		for path, engine := range map[string]*gin.Engine{"/engine": r, "/group/x": r, "/nowhere": r, "/only/x": only} {
			require.Equal(t, 401, ginsessiontest.NewClient(engine).Get(path).StatusCode, path)
			c := a.signIn("ada")
			time.Sleep(23*time.Hour + 40*time.Minute)
			token := c.Cookie(cookieName)
			c = ginsessiontest.NewClient(engine)
			c.Header.Set("Cookie", cookieName+"="+token)
			a.wire.reset()
			answer := c.Get(path)
			require.Equal(t, 204, answer.StatusCode, path)
			require.Equal(t, []string{"SELECT", "BEGIN", "UPDATE sessions", "INSERT INTO session_events", "COMMIT"}, a.wire.statements(), path)
			require.Len(t, answer.Header["Set-Cookie"], 1, path)
			require.Equal(t, []string{"Cookie"}, answer.Header["Vary"], path)
		}
		c := a.signIn("ada")
		token := c.Cookie(cookieName)
		c = ginsessiontest.NewClient(only)
		c.Header.Set("Cookie", cookieName+"="+token)
		require.Contains(t, c.Get("/session").Text, `"isAuthenticated":true`)
		require.Equal(t, 200, c.Do("POST", "/logout", "", nil).StatusCode)
		require.Contains(t, c.Get("/session").Text, `"reason":"SESSION_NOT_FOUND"`)
	})
}

func TestTwoManagersInOneApplication(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		staff, _ := a.node(a.db, func(c *ginsession.Config) { c.CookieName, c.Audience = "staff", "staff" })
		r := gin.New()
		r.POST("/login", a.sessions.Login)
		r.POST("/staff/login", staff.Login)
		who := func(c *gin.Context) {
			s, _ := ginsession.From(c)
			c.String(200, s.User.Username)
		}
		r.GET("/me", a.sessions.Load, ginsession.Require, who)
		r.GET("/staff/me", staff.Load, ginsession.Require, who)
		c := ginsessiontest.NewClient(r)
		c.PostJSON("/login", gin.H{"username": "bob", "password": password})
		c.PostJSON("/staff/login", gin.H{"username": "ada", "password": password})
		require.Equal(t, "bob", c.Get("/me").Text)
		require.Equal(t, "ada", c.Get("/staff/me").Text)

		planted := c.Cookie(cookieName)
		c = ginsessiontest.NewClient(r)
		c.Header.Set("Cookie", "__Host-staff="+planted)
		require.Equal(t, ginsession.ErrTokenInvalid, code(t, c.Get("/staff/me")), "another audience")
	})
}

func TestSessionOutlivesTheRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		seen := make(chan ginsession.Session, 4)
		a.engine.GET("/spawn", ginsession.Require, func(c *gin.Context) {
			s, _ := ginsession.From(c)
			s.User.Role = "root" // of a copy
			copied, request := c.Copy(), c.Request.Context()
			inContext := ginsession.NewContext(t.Context(), s)
			go func() {
				s, _ := ginsession.From(copied)
				seen <- s
			}()
			go func() {
				s, _ := ginsession.FromContext(request)
				seen <- s
			}()
			go func() {
				s, _ := ginsession.FromContext(copied)
				seen <- s
			}()
			again, _ := ginsession.FromContext(inContext)
			require.Equal(t, "root", again.User.Role)
			require.NoError(t, a.sessions.End(c))
			seen <- ginsession.Session{User: ginsession.Identity{Role: "viewer"}}
		})
		a.signIn("bob").Get("/spawn")
		for range 4 {
			require.Equal(t, "viewer", (<-seen).User.Role)
		}
		_, ok := ginsession.FromContext(t.Context())
		require.False(t, ok)
	})
}

func TestOpenWithoutAPassword(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		var user ginsession.Identity
		a.engine.POST("/open", func(c *gin.Context) {
			s, err := a.sessions.Open(c, user, false)
			if err != nil {
				ginsession.Refuse(c, err)
				return
			}
			c.String(200, s.User.UserID)
		})
		open := func() ginsessiontest.Response { return a.client().Do("POST", "/open", "", nil) }
		user = ginsession.Identity{UserID: a.ada.UserID}
		require.Equal(t, a.ada.UserID, open().Text)
		user.UserID = a.bob.UserID
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.bob.UserID))
		require.Equal(t, ginsession.ErrCredentialsInvalid, code(t, open()))
		for _, id := range []string{"nobody", "", "a\x00b", "\xff", fmt.Sprintf("%0256d", 1)} {
			user.UserID = id
			r := open()
			require.Contains(t, []int{401, 500}, r.StatusCode, "%q: %s", id, r.Text)
			require.Empty(t, r.Header["Set-Cookie"])
		}
		require.Equal(t, 1, a.live())
	})
}

func TestUsersOfTheApplication(t *testing.T) {
	ada := ginsession.Identity{UserID: "42", Username: "ada", Role: "admin"}
	own := &users{
		authenticate: func() (ginsession.Identity, error) { return ada, nil },
		identity:     func(string) (ginsession.Identity, error) { return ada, nil },
	}
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		a := &app{t: t, d: d, db: d.Open(t), logs: &capture{}}
		require.NoError(t, models.MigrateSessions(a.db), "no users table")
		a.sessions, a.engine = a.node(a.db, func(c *ginsession.Config) { c.Users = own })
		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		require.Contains(t, c.Get("/session").Text, `"user":{"userId":"42","username":"ada","email":"","role":"admin"}`)
		require.Equal(t, 200, c.Do("POST", "/logout", "", nil).StatusCode)
		require.Equal(t, 401, c.Get("/me").StatusCode)
	})
}

func TestCookieTossing(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		ada, bob := a.signIn("ada").Cookie(cookieName), a.signIn("bob").Cookie(cookieName)
		for name, lines := range map[string][]string{
			"two in a line":    {cookieName + "=" + ada + "; " + cookieName + "=" + bob},
			"the same twice":   {cookieName + "=" + ada + "; " + cookieName + "=" + ada},
			"two lines":        {cookieName + "=" + ada, cookieName + "=" + bob},
			"one without '='":  {cookieName + "; " + cookieName + "=" + ada},
			"quoted":           {cookieName + `="` + ada + `"`},
			"empty":            {cookieName + "="},
			"space inside":     {cookieName + "=" + ada[:50] + " " + ada[50:]},
			"percent":          {cookieName + "=" + ada[:10] + "%2E" + ada[11:]},
			"900,000 bytes":    {cookieName + "=" + string(make([]byte, 900_000))},
			"another spelling": {"__host-session=" + ada},
			"nameless":         {"=" + cookieName + "=" + ada},
		} {
			c := a.client()
			c.Header["Cookie"] = lines
			a.wire.reset()
			r := c.Get("/me")
			require.Equal(t, 401, r.StatusCode, name)
			require.Empty(t, r.Header["Set-Cookie"], name)
			require.Empty(t, a.wire.statements(), name)
			require.Equal(t, 200, c.Get("/open").StatusCode, name)
		}
		c := a.client()
		c.Header["Cookie"] = []string{"a=1", cookieName + "=" + ada, "x" + cookieName + "=1"}
		require.Equal(t, "ada", c.Get("/me").Text, "several lines are fine")
	})
}

func TestCrossOrigin(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		for name, test := range map[string]struct {
			header, value string
			want          int
		}{
			"same-origin":    {"Sec-Fetch-Site", "same-origin", 204},
			"none":           {"Sec-Fetch-Site", "none", 204},
			"same-site":      {"Sec-Fetch-Site", "same-site", 403},
			"cross-site":     {"Sec-Fetch-Site", "cross-site", 403},
			"garbage":        {"Sec-Fetch-Site", "garbage", 403},
			"null":           {"Origin", "null", 403},
			"foreign":        {"Origin", "https://evil.example", 403},
			"other port":     {"Origin", "https://app.example.com:8443", 403},
			"own":            {"Origin", "https://app.example.com", 204},
			"trusted":        {"Origin", "https://partner.example", 204},
			"trusted prefix": {"Origin", "https://partner.example.evil.example", 403},
			"neither (curl)": {"X-Other", "1", 204},
		} {
			c := a.signIn("ada")
			c.Header.Set(test.header, test.value)
			require.Equal(t, test.want, c.Do("POST", "/act", "", nil).StatusCode, name)
			require.Equal(t, 200, c.Get("/me").StatusCode, "%s: reading is safe", name)
			for _, path := range []string{"/login", "/logout", "/session/refresh"} {
				if test.want == 403 {
					require.Equal(t, ginsession.ErrCrossOrigin, code(t, c.PostJSON(path, gin.H{"username": "bob", "password": password})), name+path)
				}
			}
			c.Header = http.Header{}
			require.Equal(t, "ada", c.Get("/me").Text, name)
		}
	}, func(c *ginsession.Config) { c.TrustedOrigins = []string{"https://partner.example"} })
}

func TestClientIsThePeer(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.client()
		for peer, want := range map[string]string{
			"[2001:db8::1]:80": "2001:db8::1", "[::ffff:192.0.2.7]:80": "192.0.2.7", "[fe80::1%eth0]:80": "fe80::1", "@": "", "": "",
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(`{"username":"bob","password":"`+password+`"}`))
			r.Header.Set("Content-Type", "application/json")
			r.RemoteAddr = peer
			w := httptest.NewRecorder()
			a.engine.ServeHTTP(w, r)
			require.Contains(t, w.Body.String(), `"ipAddress":"`+want+`"`, peer)
		}
		require.NoError(t, a.db.Where("ended_at = 0").Delete(&models.Session{}).Error)
		c.Header.Set("X-Forwarded-For", "6.6.6.6")
		c.Header.Set("X-Real-Ip", "6.6.6.6")
		c.Header.Set("User-Agent", "\x80\xff \u202e☃ "+string(make([]rune, 70_000)))
		c.PostJSON("/login", gin.H{"username": "ada", "password": password})
		row := a.row()
		require.Equal(t, "192.0.2.1", row.IPAddress)
		require.Equal(t, "\ufffd\ufffd \ufffd☃ ", row.UserAgent[:len("\ufffd\ufffd \ufffd☃ ")])
		require.Len(t, []rune(row.UserAgent), 256)
	})
}
