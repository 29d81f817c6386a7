// Step-up: who has proved lately who he is, and what a proof changes.

package ginsession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

// stepupRoutes adds routes that ask for a fresh proof: five minutes to open a form,
// ten to send it.
func (a *app) stepupRoutes() {
	handler := func(c *gin.Context) { c.String(http.StatusOK, "fresh") }
	a.engine.Any("/fresh", ginsession.RequireFresh(5*time.Minute), handler)
	a.engine.Any("/form", ginsession.RequireFresh(5*time.Minute, 10*time.Minute), handler)
	a.engine.DELETE("/guarded/:id", ginsession.RequireFresh(5*time.Minute), a.sessions.Revoke)
	a.engine.POST("/confirm", func(c *gin.Context) {
		s, err := a.sessions.Confirm(c)
		if err != nil {
			ginsession.Refuse(c, err)
			return
		}
		c.JSON(http.StatusOK, s)
	})
}

func stepupProve(c *ginsessiontest.Client) ginsessiontest.Response {
	return c.PostJSON("/session/reauthenticate", gin.H{"password": password})
}

// stepupStatus is what a status says of the session.
func stepupStatus(t testing.TB, text string) (s ginsession.Session) {
	t.Helper()
	var body struct{ Session *ginsession.Session }
	require.NoError(t, json.Unmarshal([]byte(text), &body))
	require.NotNil(t, body.Session, text)
	return *body.Session
}

// C15, C17: fresh until the limit, to the millisecond. Nothing but a proof moves it.
func TestRequireFresh(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		c := a.signIn("bob")
		signedIn := time.Now()
		require.Equal(t, 200, c.Get("/fresh").StatusCode)
		time.Sleep(2 * time.Minute)
		before := c.Cookie(cookieName)
		require.Equal(t, 200, c.PostJSON("/session/refresh", nil).StatusCode)
		require.NotEqual(t, before, c.Cookie(cookieName))
		require.Equal(t, 200, c.Get("/me").StatusCode)
		time.Sleep(2*time.Minute + 30*time.Second)
		before = c.Cookie(cookieName)
		require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.bob.UserID, "editor"))
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.NotEqual(t, before, c.Cookie(cookieName), "the role has given it a new secret")
		require.True(t, signedIn.Equal(stepupStatus(t, c.Get("/session").Text).AuthenticatedAt))

		time.Sleep(30*time.Second - time.Millisecond)
		for _, method := range []string{"GET", "POST", "DELETE"} {
			require.Equal(t, 200, c.Do(method, "/fresh", "", nil).StatusCode)
		}
		time.Sleep(time.Millisecond)
		for _, method := range []string{"GET", "POST", "DELETE"} {
			r := c.Do(method, "/fresh", "", nil)
			require.Equal(t, ginsession.ErrReauthRequired, code(t, r))
			require.Equal(t, 403, r.StatusCode)
		}
		require.Equal(t, 403, c.Do("HEAD", "/fresh", "", nil).StatusCode)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Get("/form")))
		require.Equal(t, 200, c.Do("POST", "/form", "", nil).StatusCode, "it was opened in time")
		time.Sleep(5*time.Minute - time.Millisecond)
		require.Equal(t, 200, c.Do("POST", "/form", "", nil).StatusCode)
		time.Sleep(time.Millisecond)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Do("POST", "/form", "", nil)))

		require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.client().Get("/fresh")))
		require.Equal(t, 200, stepupProve(c).StatusCode)
		require.Equal(t, 200, c.Get("/fresh").StatusCode)
		require.Equal(t, 200, c.Do("POST", "/form", "", nil).StatusCode)
	})
}

// C17: what is most sensitive asks anew each time but for the moment of the request.
func TestRequireFreshOfAMoment(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.engine.GET("/now", ginsession.RequireFresh(time.Second), func(c *gin.Context) { c.Status(http.StatusOK) })
		c := a.signIn("ada")
		time.Sleep(time.Minute)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Get("/now")))
		require.Equal(t, 200, stepupProve(c).StatusCode)
		require.Equal(t, 200, c.Get("/now").StatusCode)
		time.Sleep(time.Second)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Get("/now")))
	})
}

func TestRequireFreshPanicsAtRegistration(t *testing.T) {
	for name, call := range map[string]func(){
		"zero":          func() { ginsession.RequireFresh(0) },
		"negative":      func() { ginsession.RequireFresh(-time.Second) },
		"send is less":  func() { ginsession.RequireFresh(time.Minute, time.Second) },
		"send twice":    func() { ginsession.RequireFresh(time.Minute, time.Hour, time.Hour) },
		"send negative": func() { ginsession.RequireFresh(time.Minute, -time.Hour) },
	} {
		require.Panics(t, call, name)
	}
	require.NotPanics(t, func() { ginsession.RequireFresh(time.Minute, time.Minute) })
	r := gin.New()
	r.GET("/", ginsession.RequireFresh(time.Minute), func(*gin.Context) { t.Error("the handler has run") })
	require.Equal(t, ginsession.ErrInternal, code(t, ginsessiontest.NewClient(r).Get("/")), "without Load")
}

// C16: behind RequireFresh the handlers of devices ask for the password first.
func TestDevicesBehindRequireFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		other, c := a.signIn("ada"), a.signIn("ada")
		time.Sleep(5 * time.Minute)
		path := "/guarded/" + devicesID(t, other)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Do("DELETE", path, "", nil)))
		require.Equal(t, 200, other.Get("/me").StatusCode)
		stepupProve(c)
		require.Equal(t, 200, c.Do("DELETE", path, "", nil).StatusCode)
		devicesOut(t, other, ginsession.ErrSessionNotFound, "revoked")
	})
}

// C132: a proof resets the overall timeout and what is left, a refresh neither. The
// secret is another one.
func TestReauthenticate(t *testing.T) {
	for name, remember := range map[string]bool{"as long as the browser": false, "remembered": true} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				a.stepupRoutes()
				c := a.client()
				c.PostJSON("/login", gin.H{"username": "ada", "password": password, "remember": remember})
				id := devicesID(t, c)
				opened := time.Now()
				time.Sleep(10 * time.Hour)
				c.PostJSON("/session/refresh", nil)
				s := stepupStatus(t, c.Get("/session").Text)
				require.True(t, opened.Equal(s.AuthenticatedAt))
				require.True(t, opened.Add(ginsession.DefaultAbsoluteTimeout).Equal(s.AbsoluteExpiresAt))
				c.Get("/me")
				time.Sleep(10 * time.Hour)

				before := c.Cookie(cookieName)
				r := stepupProve(c)
				require.Equal(t, 200, r.StatusCode, r.Text)
				s = stepupStatus(t, r.Text)
				require.Equal(t, id, s.ID)
				require.True(t, opened.Equal(s.CreatedAt))
				require.True(t, time.Now().Equal(s.AuthenticatedAt))
				require.True(t, time.Now().Add(ginsession.DefaultAbsoluteTimeout).Equal(s.AbsoluteExpiresAt))
				expires, line := time.Now().Add(DefaultMaxAge), "__Host-session=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax"
				if remember {
					expires, line = s.AbsoluteExpiresAt, "__Host-session=TOKEN; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"
				}
				require.True(t, expires.Equal(s.ExpiresAt))
				require.Equal(t, line, golden(a, setCookie(t, r)))
				require.NotEqual(t, secretOf(t, before), secretOf(t, c.Cookie(cookieName)))
				require.Equal(t, r.Text, c.Get("/session").Text, "the next status says the same")
				require.Equal(t, 200, c.Get("/fresh").StatusCode)

				var e models.Event
				require.NoError(t, a.db.Where("name = ?", "session_renewed").Order("id DESC").First(&e).Error)
				require.Equal(t, "reauthenticated", e.Reason)
				require.Equal(t, models.Exact(id), e.SessionID)

				a.requireStatus(200, before) // for the grace
				time.Sleep(30 * time.Second)
				a.requireStatus(401, before)
			})
		})
	}
}

func TestReauthenticateByForm(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		for next, want := range map[string]string{"/fresh": "/fresh", "https://evil.example/": "/", "": "/"} {
			c := a.signIn("ada")
			time.Sleep(time.Hour)
			r := c.PostForm("/session/reauthenticate", url.Values{"password": {password}, "next": {next}, "csrf": {"x"}, "remember": {"yes, please"}})
			require.Equal(t, 303, r.StatusCode, r.Text)
			require.Equal(t, want, r.Header.Get("Location"))
			require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
			require.Equal(t, 200, c.Get("/fresh").StatusCode)
		}
	})
}

func TestReauthenticateRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		c := a.signIn("ada")
		id := devicesID(t, c)
		token := c.Cookie(cookieName)
		time.Sleep(time.Hour)
		for _, body := range []string{
			`{}`, `{"password":""}`, `{"password":1}`, `{"password":"x","username":"ada"}`, `{"password":"x","remember":true}`,
			`{"password":"x","token":true}`, `{"password":"x","next":"/"}`, `{"password":"x","other":1}`, `{"password":"x","password":"x"}`,
			`{"Password":"x"}`, `[]`, ``, `{"password":"x"} {}`, "{\"password\":\"\xff\"}",
		} {
			r := c.Do("POST", "/session/reauthenticate", "application/json", strings.NewReader(body))
			require.Equal(t, ginsession.ErrRequestInvalid, code(t, r), body)
		}
		require.Equal(t, ginsession.ErrRequestInvalid, code(t, c.PostForm("/session/reauthenticate", url.Values{"password": {"x", "y"}})))
		require.Equal(t, ginsession.ErrMediaType, code(t, c.Do("POST", "/session/reauthenticate", "text/plain", strings.NewReader(password))))
		require.Equal(t, ginsession.ErrRequestTooLarge, code(t, c.PostJSON("/session/reauthenticate", gin.H{"password": strings.Repeat("x", 9000)})))
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, stepupProve(a.client())))
		a.engine.GET("/prove", a.sessions.Reauthenticate)
		require.Equal(t, ginsession.ErrMethodNotAllowed, code(t, c.Get("/prove")))
		c.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, ginsession.ErrCrossOrigin, code(t, stepupProve(c)))
		c.Header.Del("Sec-Fetch-Site")

		// Wrong ones are counted together with those at the sign-in, and wait as they do.
		for n := range 5 {
			if n%2 == 0 {
				require.Equal(t, 401, c.PostJSON("/login", gin.H{"username": "ada", "password": "wrong"}).StatusCode)
				continue
			}
			r := c.PostJSON("/session/reauthenticate", gin.H{"password": "wrong"})
			require.Equal(t, ginsession.ErrCredentialsInvalid, code(t, r))
			require.Empty(t, r.Header["Set-Cookie"])
		}
		r := stepupProve(c)
		require.Equal(t, ginsession.ErrRateLimited, code(t, r))
		require.Equal(t, "30", r.Header.Get("Retry-After"))
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Get("/fresh")))
		require.Equal(t, token, c.Cookie(cookieName), "still signed in, as before")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.Equal(t, id, devicesID(t, c))
		time.Sleep(30 * time.Second)
		require.Equal(t, 200, stepupProve(c).StatusCode)

		time.Sleep(DefaultMaxAge)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, stepupProve(c)))
	})
}

// A fault at whatever statement is neither a proof nor a logout.
func TestReauthenticateWithStorageFaults(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		for _, f := range []struct {
			name       string
			once, late bool
			fault      func(context.Context) error
		}{
			{"fails", false, false, fails},
			{"fails once", true, false, fails},
			{"hangs", false, false, hangs},
			{"fails late", false, true, fails},
		} {
			n := 1
			for broken := true; broken; n++ {
				a.forgive()
				c := a.signIn("ada")
				time.Sleep(10 * time.Minute)
				token := c.Cookie(cookieName)
				a.wire.breakAt(n, f.late, f.fault)
				a.wire.once = f.once
				r := stepupProve(c)
				broken = len(a.wire.statements()) >= n
				a.wire.reset()
				if !broken {
					require.Equal(t, 200, r.StatusCode, r.Text)
					break
				}
				label := fmt.Sprintf("%s at %d", f.name, n)
				require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), label)
				require.Empty(t, r.Header["Set-Cookie"], label)
				require.Equal(t, 200, a.with(token).Get("/me").StatusCode, "%s: signed out", label)
				require.Equal(t, ginsession.ErrReauthRequired, code(t, a.with(token).Get("/fresh")), label)
			}
			require.Greater(t, n, 10, f.name)
		}
	})
}

func TestReauthenticateWithOwnUsers(t *testing.T) {
	ada := ginsession.Identity{UserID: "1", Username: "ada"}
	users := &users{
		authenticate: func() (ginsession.Identity, error) { return ada, nil },
		identity:     func(string) (ginsession.Identity, error) { return ada, nil },
	}
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		for name, test := range map[string]struct {
			user ginsession.Identity
			err  error
			want ginsession.Code
		}{
			"himself":      {ada, nil, ""},
			"another":      {ginsession.Identity{UserID: "2", Username: "ada"}, nil, ginsession.ErrCredentialsInvalid},
			"wrong":        {ginsession.Identity{}, ginsession.ErrCredentialsInvalid, ginsession.ErrCredentialsInvalid},
			"wrong and he": {ada, ginsession.ErrCredentialsInvalid, ginsession.ErrCredentialsInvalid},
			"nobody":       {ginsession.Identity{}, nil, ginsession.ErrStoreUnavailable},
			"a fault":      {ada, errWire, ginsession.ErrStoreUnavailable},
		} {
			users.authenticate = func() (ginsession.Identity, error) { return ada, nil }
			a.forgive()
			c := a.signIn("ada")
			time.Sleep(time.Hour)
			users.authenticate = func() (ginsession.Identity, error) { return test.user, test.err }
			r := c.PostJSON("/session/reauthenticate", gin.H{"password": "x"})
			require.Equal(t, test.want, code(t, r), name)
			require.Equal(t, 200, c.Get("/me").StatusCode, name)
			require.Equal(t, test.want == "", c.Get("/fresh").StatusCode == 200, name)
			if test.want == ginsession.ErrCredentialsInvalid {
				var n int64
				require.NoError(t, a.db.Model(&models.LoginAttempts{}).Where("failures > 0").Count(&n).Error)
				require.NotZero(t, n, "%s: counted", name)
			}
		}
	}, func(c *ginsession.Config) { c.Users, c.MaxSessions = users, -1 })
}

// The old secret stays good for requests that are under way, but proves nothing:
// who has a copy of it gains nothing by the user's password.
func TestTheOldSecretIsNeverFresh(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		c := a.signIn("ada")
		old := c.Cookie(cookieName)
		time.Sleep(time.Hour)
		require.Equal(t, 200, stepupProve(c).StatusCode)
		thief := a.with(old)
		require.Equal(t, 200, thief.Get("/me").StatusCode)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, thief.Get("/fresh")))
		require.False(t, time.Now().Equal(stepupStatus(t, thief.Get("/session").Text).AuthenticatedAt))
		require.Equal(t, 200, c.Get("/fresh").StatusCode)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, thief.Get("/fresh")))
		time.Sleep(30 * time.Second)
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, thief.Get("/fresh")))
	})
}

// Nor does it become fresh where the successor is given again, because the answer
// with it was lost, or seems to be: the user is asked again.
func TestASuccessorThatIsGivenAgainIsNotFresh(t *testing.T) {
	for name, wait := range map[string]time.Duration{
		"soon": 30 * time.Second, "within the limit": 4 * time.Minute, "at the next refresh": DefaultMaxAge - 15*time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				a.engine.GET("/day", ginsession.RequireFresh(24*time.Hour), func(c *gin.Context) { c.Status(http.StatusOK) })
				c := a.signIn("ada")
				old := c.Cookie(cookieName)
				time.Sleep(10 * time.Minute)
				require.Equal(t, 200, stepupProve(c).StatusCode)
				proved := time.Now()
				time.Sleep(wait)
				lost := a.with(old)
				for range 3 {
					require.Equal(t, 200, lost.Get("/me").StatusCode, "an honest user stays signed in")
					require.False(t, proved.Equal(stepupStatus(t, lost.Get("/session").Text).AuthenticatedAt))
				}
				require.NotEqual(t, old, lost.Cookie(cookieName), "it was given again")
				require.Equal(t, 200, c.Get("/me").StatusCode, "and is the same that was given before")
				require.Equal(t, secretOf(t, c.Cookie(cookieName)), secretOf(t, lost.Cookie(cookieName)))
				require.False(t, proved.Equal(stepupStatus(t, c.Get("/session").Text).AuthenticatedAt), "nobody knows whose it is")
				require.Equal(t, 200, stepupProve(c).StatusCode)
				require.True(t, time.Now().Equal(stepupStatus(t, c.Get("/session").Text).AuthenticatedAt))
				require.Equal(t, 200, c.Get("/day").StatusCode)
			})
		})
	}
}

// A secret that was replaced only just now is not replaced again. A new session
// takes the place of the old one, whose token is dead.
func TestReauthenticateAgainAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		c := a.client()
		c.PostJSON("/login", gin.H{"username": "ada", "password": password, "remember": true})
		first := devicesID(t, c)
		time.Sleep(time.Hour)
		require.Equal(t, 200, stepupProve(c).StatusCode)
		require.Equal(t, first, devicesID(t, c))
		require.Equal(t, 200, c.Get("/me").StatusCode)
		old := c.Cookie(cookieName)
		time.Sleep(2*time.Minute - time.Millisecond)
		r := stepupProve(c)
		require.Equal(t, 200, r.StatusCode, r.Text)
		require.Contains(t, setCookie(t, r), "Max-Age=2591999")
		require.NotEqual(t, first, devicesID(t, c))
		require.Equal(t, devicesID(t, c), stepupStatus(t, r.Text).ID)
		require.Equal(t, 200, c.Get("/fresh").StatusCode)
		devicesOut(t, a.with(old), ginsession.ErrSessionNotFound, "logout")
		require.Equal(t, 1, a.live())
		second := devicesID(t, c)
		require.Equal(t, 200, stepupProve(c).StatusCode, "the first secret of a session needs no rest")
		require.Equal(t, second, devicesID(t, c))
		c.Get("/me")
		time.Sleep(2 * time.Minute)
		require.Equal(t, 200, stepupProve(c).StatusCode)
		require.Equal(t, second, devicesID(t, c), "it has rested")
	})
}

func TestConfirm(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		c := a.signIn("ada")
		old := c.Cookie(cookieName)
		time.Sleep(time.Hour)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Get("/fresh")))
		r := c.PostJSON("/confirm", nil)
		require.Equal(t, 200, r.StatusCode, r.Text)
		var s ginsession.Session
		require.NoError(t, json.Unmarshal([]byte(r.Text), &s))
		require.True(t, time.Now().Equal(s.AuthenticatedAt))
		require.Equal(t, devicesID(t, c), s.ID)
		require.NotEqual(t, secretOf(t, old), secretOf(t, c.Cookie(cookieName)))
		require.Equal(t, 200, c.Get("/fresh").StatusCode)

		require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.client().PostJSON("/confirm", nil)))
		for n := 1; n <= 4; n++ {
			c := a.signIn("ada")
			token := c.Cookie(cookieName)
			a.wire.breakAt(n, false, fails)
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, c.PostJSON("/confirm", nil)), "at %d", n)
			a.wire.reset()
			a.requireStatus(200, token)
		}
	})
}

// Requests beside a proof stay signed in.
func TestRequestsBesideAReauthentication(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		_, there := a.otherProcess()
		token := a.signIn("ada").Cookie(cookieName)
		prover := a.with(token)
		statuses := make([]int, 20)
		start := make(chan struct{})
		var group sync.WaitGroup
		for i := range statuses {
			c := a.holding([]http.Handler{a.engine, there}[i%2], token)
			group.Go(func() {
				<-start
				for range 5 {
					if status := c.Get("/me").StatusCode; statuses[i] < status {
						statuses[i] = status
					}
				}
			})
		}
		var proof ginsessiontest.Response
		group.Go(func() {
			<-start
			proof = stepupProve(prover)
		})
		close(start)
		group.Wait()
		require.Equal(t, 200, proof.StatusCode, proof.Text)
		for _, status := range statuses {
			require.Equal(t, 200, status)
		}
		require.Equal(t, 200, prover.Get("/me").StatusCode)
	})
}

// A proof that is sent twice at once leaves the user signed in, whichever answer
// comes last.
func TestReauthenticateTwiceAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		_, otherEngine := a.otherProcess()
		c := a.signIn("ada")
		token := c.Cookie(cookieName)
		time.Sleep(time.Hour)
		a.wire.reset()
		var quicker ginsessiontest.Response
		a.wire.breakAt(a.stepupSteps(t), false, func(context.Context) error {
			if quicker.Response == nil {
				quicker = stepupProve(a.holding(otherEngine, token))
			}
			return nil
		})
		slower := stepupProve(c)
		a.wire.reset()
		require.Equal(t, 200, quicker.StatusCode, quicker.Text)
		require.Equal(t, 200, slower.StatusCode, slower.Text)
		for _, r := range []ginsessiontest.Response{quicker, slower} {
			for _, token := range cookies(r) {
				a.requireStatus(200, token)
			}
		}
		require.NotEmpty(t, cookies(quicker))
		require.Equal(t, 200, a.with(cookies(quicker)[0]).Get("/fresh").StatusCode)
		a.requireStatus(200, token)
		require.Equal(t, 1, a.live())
	})
}

// stepupSteps returns which of the statements of a proof begins the transaction in
// which it is written.
func (a *app) stepupSteps(t *testing.T) (last int) {
	c := a.signIn("bob")
	time.Sleep(time.Second)
	a.wire.reset()
	require.Equal(t, 200, stepupProve(c).StatusCode)
	for i, step := range a.wire.statements() {
		if step == "BEGIN" {
			last = i + 1
		}
	}
	require.NotZero(t, last)
	require.NoError(t, a.sessions.RevokeSession(t.Context(), devicesID(t, c), ""))
	require.NoError(t, a.db.Where("id = ?", sessionOf(t, c.Cookie(cookieName))).Delete(&models.Session{}).Error)
	return last
}

// What ended stays ended: a proof that is overtaken by the end of its session, at
// whatever statement, brings nothing back.
func TestReauthenticateOvertakenByTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, otherEngine := a.otherProcess()
		ends := map[string]func(token string){
			"logout": func(token string) {
				require.Equal(t, 200, a.holding(otherEngine, token).PostJSON("/logout", nil).StatusCode)
			},
			"revoked": func(token string) {
				require.NoError(t, other.RevokeSession(context.Background(), string(sessionOf(t, token)), ""))
			},
		}
		signIn := func() *ginsessiontest.Client { return a.signIn("ada") }
		for _, state := range []struct {
			name   string
			signIn func() *ginsessiontest.Client
		}{{"rotatable", signIn}, {"resting", func() *ginsessiontest.Client {
			c := signIn()
			require.Equal(t, 200, stepupProve(c).StatusCode)
			require.Equal(t, 200, c.Get("/me").StatusCode)
			time.Sleep(time.Second)
			return c
		}}} {
			for name, end := range ends {
				name += ", " + state.name
				c := state.signIn()
				a.wire.reset()
				require.Equal(t, 200, stepupProve(c).StatusCode)
				steps := a.wire.statements()
				c.PostJSON("/logout", nil)
				tried := 0
				for n, open := range stepupUnlocked(steps) {
					if !open {
						continue
					}
					tried++
					c := state.signIn()
					token := c.Cookie(cookieName)
					ended := false
					a.wire.breakAt(n+1, false, func(context.Context) error {
						if !ended {
							ended = true
							end(token)
						}
						return nil
					})
					r := stepupProve(c)
					a.wire.reset()
					require.True(t, ended)
					require.Zero(t, a.live(), "%s before %s (%d)", name, steps[n], n+1)
					require.Equal(t, ginsession.ErrSessionNotFound, code(t, r), "%s before %s (%d)", name, steps[n], n+1)
					for _, token := range append(cookies(r), token) {
						a.requireStatus(401, token)
					}
				}
				require.Greater(t, tried, 4)
			}
		}
	})
}

// stepupUnlocked says before which statements no lock is held.
func stepupUnlocked(steps []string) []bool {
	unlocked := make([]bool, len(steps))
	locked, inside := false, false
	for i, step := range steps {
		unlocked[i] = !locked
		switch {
		case step == "BEGIN":
			inside = true
		case step == "COMMIT":
			inside, locked = false, false
		case inside && step != "SELECT":
			locked = true
		}
	}
	return unlocked
}

// Users that give no name cannot be asked by one. That is a mistake in the program, and
// counts as nobody's failure.
func TestReauthenticateWithoutAName(t *testing.T) {
	own := &users{
		authenticate: func() (ginsession.Identity, error) { return ginsession.Identity{UserID: "7"}, nil },
		identity:     func(id string) (ginsession.Identity, error) { return ginsession.Identity{UserID: id}, nil },
	}
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("7")
		for range 7 {
			require.Equal(t, ginsession.ErrInternal, code(t, stepupProve(c)))
		}
		require.Contains(t, a.logs.text(), "neither a username nor an e-mail")
	}, func(c *ginsession.Config) { c.Users = own })
}

func TestAGuardThatPassesAllocatesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/me").StatusCode) // known from now on
		for name, guard := range map[string]gin.HandlerFunc{
			"Require":          ginsession.Require,
			"RequireFresh":     ginsession.RequireFresh(time.Hour),
			"DenyImpersonated": ginsession.DenyImpersonated,
		} {
			a.engine.GET("/"+name, func(c *gin.Context) {
				require.Zero(t, testing.AllocsPerRun(100, func() { guard(c) }), name)
				c.Status(http.StatusNoContent)
			})
			require.Equal(t, 204, c.Get("/"+name).StatusCode, name)
		}
	})
}
