// One user signed in as another.

package ginsession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// impersonable lets admins be signed in as those who are none.
func impersonable(c *ginsession.Config) {
	c.MayImpersonate = func(actor, user ginsession.Identity) bool { return actor.Role == "admin" && user.Role != "admin" }
}

// impersonation mounts what an application would.
func impersonation(m *ginsession.Manager, r *gin.Engine) {
	answer := func(c *gin.Context, err error) {
		if err == nil {
			var st ginsession.Status
			if st, err = m.Check(c); err == nil {
				c.JSON(http.StatusOK, st)
				return
			}
		}
		ginsession.Refuse(c, err)
	}
	r.POST("/as/:id", func(c *gin.Context) {
		_, err := m.Impersonate(c, c.Param("id"))
		answer(c, err)
	})
	r.POST("/back", func(c *gin.Context) {
		_, err := m.StopImpersonating(c)
		answer(c, err)
	})
	r.POST("/confirm", func(c *gin.Context) {
		_, err := m.Confirm(c)
		answer(c, err)
	})
	r.POST("/danger", ginsession.DenyImpersonated, func(c *gin.Context) { c.Status(http.StatusNoContent) })
	r.GET("/fresh", ginsession.RequireFresh(10*time.Minute), func(c *gin.Context) { c.Status(http.StatusNoContent) })
}

// onEachAs is onEach with these routes.
func onEachAs(t *testing.T, test func(t *testing.T, a *app), configure ...func(*ginsession.Config)) {
	t.Helper()
	onEach(t, func(t *testing.T, a *app) {
		impersonation(a.sessions, a.engine)
		test(t, a)
	}, append([]func(*ginsession.Config){impersonable}, configure...)...)
}

// asBob returns ada's browser in which she is signed in as bob, and the token of her
// own session.
func (a *app) asBob() (c *ginsessiontest.Client, own string) {
	a.t.Helper()
	c = a.signIn(a.ada.Username)
	own = c.Cookie(cookieName)
	r := c.PostJSON("/as/"+a.bob.UserID, nil)
	require.Equal(a.t, http.StatusOK, r.StatusCode, r.Text)
	return c, own
}

func TestImpersonationIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		impersonation(a.sessions, a.engine)
		c := a.signIn("ada")
		a.wire.reset()
		require.Equal(t, ginsession.ErrImpersonation, code(t, c.PostJSON("/as/"+a.bob.UserID, nil)), "nobody may by default")
		require.Equal(t, ginsession.ErrImpersonation, code(t, c.PostJSON("/as/nobody", nil)), "nor learn who is there")
	})
	onEachAs(t, func(t *testing.T, a *app) {
		carol := a.user("carol", "admin")
		gone := a.user("gone", "viewer")
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), gone.UserID))
		ada, bob := a.signIn("ada"), a.signIn("bob")
		before := len(a.rows())
		for _, test := range []struct {
			name string
			c    *ginsessiontest.Client
			id   string
			want ginsession.Code
		}{
			{"oneself", ada, a.ada.UserID, ginsession.ErrImpersonation},
			{"somebody as high", ada, carol.UserID, ginsession.ErrImpersonation},
			{"a viewer", bob, a.ada.UserID, ginsession.ErrImpersonation},
			{"unknown", ada, "nobody", ginsession.ErrUserNotFound},
			{"no id", ada, strings.Repeat("x", 256), ginsession.ErrUserNotFound},
			{"disabled", ada, gone.UserID, ginsession.ErrUserNotFound},
			{"a viewer, unknown", bob, "nobody", ginsession.ErrImpersonation},
			{"a viewer, disabled", bob, gone.UserID, ginsession.ErrImpersonation},
			{"without a session", a.client(), a.bob.UserID, ginsession.ErrSessionNotFound},
		} {
			r := test.c.PostJSON("/as/"+test.id, nil)
			require.Equal(t, test.want, code(t, r), test.name)
			require.Empty(t, r.Header["Set-Cookie"], test.name)
		}
		c, _ := a.asBob()
		carla := a.user("carla", "viewer")
		require.Equal(t, ginsession.ErrImpersonation, code(t, c.PostJSON("/as/"+carla.UserID, nil)), "nested")
		require.Equal(t, ginsession.ErrImpersonation, code(t, ada.PostJSON("/back", nil)), "in nobody's name")
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.client().PostJSON("/back", nil)))
		require.Len(t, a.rows(), before+2)
	})
}

func TestImpersonation(t *testing.T) {
	var h heard
	onEachAs(t, func(t *testing.T, a *app) {
		bobs := a.signIn("bob")
		last := a.row().CreatedAt
		time.Sleep(time.Minute)
		c, own := a.asBob()
		r := c.Get("/session")
		require.Contains(t, r.Text, `"user":{"userId":"`+a.bob.UserID+`","username":"bob"`)
		require.Contains(t, r.Text, `"actor":{"userId":"`+a.ada.UserID+`","username":"ada"`)
		require.Contains(t, r.Text, `"remainingTime":3600,`)
		require.NotContains(t, r.Text, "refreshIn")
		require.Equal(t, "bob", c.Get("/me").Text)
		require.Equal(t, ginsession.ErrRoleRequired, code(t, c.Get("/admin")), "the roles are the other's")
		require.NotContains(t, bobs.Get("/session").Text, "actor")

		var bob models.User
		require.NoError(t, a.db.Where("id = ?", models.Exact(a.bob.UserID)).Take(&bob).Error)
		require.Equal(t, last, bob.LastLogin, "he has not signed in")
		require.EqualValues(t, 1, a.newDevices(a.bob))
		require.Equal(t, 3, a.live())

		h.take()
		r = c.PostJSON("/back", nil)
		require.Equal(t, http.StatusOK, r.StatusCode, r.Text)
		require.Contains(t, r.Text, `"username":"ada"`)
		require.NotContains(t, r.Text, "actor")
		require.Equal(t, 200, c.Get("/admin").StatusCode, "the own role again")
		require.Equal(t, sessionOf(t, own), sessionOf(t, c.Cookie(cookieName)), "the own session")
		require.NotEqual(t, secretOf(t, own), secretOf(t, c.Cookie(cookieName)), "under a new secret")
		require.Equal(t, 200, c.PostJSON("/session/refresh", nil).StatusCode)
		require.Equal(t, 200, bobs.Get("/me").StatusCode)
	}, h.listen, func(c *ginsession.Config) { c.MaxSessions = 1 })
}

// A stolen token of the time as another is dead after Stop: it opens neither that
// session nor the own one, and does not end the own one either. The old token of the
// own session is one whose secret was replaced: it opens nothing, and ends that
// session as every reuse does.
func TestTokensOfBeforeStopAreDead(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		c, own := a.asBob()
		stolen := c.Cookie(cookieName)
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode)
		for range 2 {
			require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.with(stolen).Get("/me")))
			r := a.with(stolen).PostJSON("/back", nil)
			require.Equal(t, ginsession.ErrSessionNotFound, code(t, r))
			require.Empty(t, r.Header["Set-Cookie"])
			require.Equal(t, 200, a.with(stolen).PostJSON("/logout", nil).StatusCode)
		}
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.with(own).Get("/me")))
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/admin")), "one of the two is a thief")
	})
}

// Nor does Stop make a secret good again that was replaced before the time as another:
// the own session has no predecessor then.
func TestStopBringsNoPredecessorBack(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		first := c.Cookie(cookieName)
		time.Sleep(time.Minute)
		require.Equal(t, 200, c.PostJSON("/session/refresh", nil).StatusCode)
		require.NotEqual(t, first, c.Cookie(cookieName))
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.Equal(t, 200, c.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode)
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.with(first).Get("/me")), "within the grace of before, and after it")
	})
}

func TestEveryEventOfAnImpersonationHasTheActor(t *testing.T) {
	var h heard
	onEachAs(t, func(t *testing.T, a *app) {
		actorOf := func() map[string]models.Exact {
			t.Helper()
			actors := map[string]models.Exact{}
			for _, e := range h.take() {
				if e.UserID == models.Exact(a.bob.UserID) {
					actors[e.Name] = e.Actor
				} else {
					require.Empty(t, e.Actor, "%s: ada herself", e.Name)
				}
			}
			return actors
		}
		ada := models.Exact(a.ada.UserID)
		c := a.signIn("ada")
		h.take()
		require.Equal(t, 200, c.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
		require.Equal(t, map[string]models.Exact{"session_created": ada}, actorOf())

		require.Equal(t, 403, c.Get("/admin").StatusCode)
		require.Equal(t, map[string]models.Exact{"authz_fail": ada}, actorOf())

		require.NoError(t, a.db.Model(&models.User{}).Where("id = ?", models.Exact(a.bob.UserID)).Update("role", "editor").Error)
		require.Len(t, cookies(c.Get("/me")), 1)
		require.Equal(t, map[string]models.Exact{"session_renewed": ada}, actorOf())

		bobs := a.signIn("bob")
		h.take()
		require.Equal(t, `{"ended":1}`, c.Do("DELETE", "/sessions", "", nil).Text)
		require.Equal(t, map[string]models.Exact{"authn_token_revoked": ada}, actorOf())
		require.Equal(t, 401, bobs.Get("/me").StatusCode)
		require.Contains(t, bobs.Get("/session").Text, `"endReason":"admin"`, "another one did it")

		h.take()
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode)
		require.Equal(t, map[string]models.Exact{"session_logout": ada}, actorOf())

		c, _ = a.asBob()
		h.take()
		require.Equal(t, 200, c.PostJSON("/logout", nil).StatusCode)
		require.Equal(t, map[string]models.Exact{"session_logout": ada}, actorOf())

		// Whoever signs in there next has done so himself.
		c, _ = a.asBob()
		a.user("carol", "viewer")
		h.take()
		require.Equal(t, 401, c.PostJSON("/login", gin.H{"username": "carol", "password": "wrong"}).StatusCode)
		require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": "carol", "password": password}).StatusCode)
		require.Equal(t, map[string]models.Exact{"session_logout": ada}, actorOf())

		c, _ = a.asBob()
		time.Sleep(time.Hour)
		h.take()
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		require.Equal(t, map[string]models.Exact{"session_expired": ada}, actorOf())

		c, _ = a.asBob()
		old := forge(t, key1, string(sessionOf(t, c.Cookie(cookieName))), strings.Repeat("A", 43), time.Now().Add(time.Hour))
		h.take()
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.with(old).Get("/me")))
		require.Equal(t, map[string]models.Exact{"authn_token_reuse": ada}, actorOf())

		var rows []models.Event
		require.NoError(t, a.db.Where("actor <> ''").Find(&rows).Error)
		require.GreaterOrEqual(t, len(rows), 11, "they are in the table")
	}, h.listen)
}

func TestImpersonationLastsAnHour(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		c, _ := a.asBob()
		for range 3 {
			time.Sleep(20*time.Minute - time.Millisecond)
			r := c.Get("/me")
			require.Equal(t, 200, r.StatusCode)
			require.Empty(t, cookies(r), "no refresh")
			require.Empty(t, cookies(c.PostJSON("/session/refresh", nil)), "not by his wish either")
		}
		time.Sleep(3 * time.Millisecond)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.PostJSON("/session/refresh", nil)))
		time.Sleep(time.Hour)
		r := c.PostJSON("/back", nil)
		require.Equal(t, 200, r.StatusCode, r.Text)
		require.Equal(t, 200, c.Get("/admin").StatusCode)

		c = a.signIn("ada")
		time.Sleep(23*time.Hour + 20*time.Minute) // ten minutes before it is refreshed
		require.Contains(t, c.PostJSON("/as/"+a.bob.UserID, nil).Text, `"remainingTime":2400,`, "nor longer than the own session")
		time.Sleep(40 * time.Minute)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.PostJSON("/back", nil)), "which has run out with it")
	})
}

// Who has copied an admin's cookie can act as another with it. When he comes back after
// the admin has gone on with his own session, one of them has a copy: neither goes on.
func TestNobodyComesBackToASessionThatWasUsedSince(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		for name, use := range map[string]func(ada *ginsessiontest.Client) ginsessiontest.Response{
			"refresh":        func(ada *ginsessiontest.Client) ginsessiontest.Response { return ada.PostJSON("/session/refresh", nil) },
			"reauthenticate": stepupProve,
		} {
			ada := a.signIn("ada")
			time.Sleep(time.Hour)
			thief := a.with(ada.Cookie(cookieName))
			require.Equal(t, 200, thief.PostJSON("/as/"+a.bob.UserID, nil).StatusCode, name)
			time.Sleep(31 * time.Second)
			require.Equal(t, 200, use(ada).StatusCode, name)
			require.Equal(t, 200, ada.Get("/me").StatusCode, name)
			time.Sleep(time.Minute)
			r := thief.PostJSON("/back", nil)
			require.Equal(t, ginsession.ErrSessionInvalid, code(t, r), name)
			require.Empty(t, r.Header["Set-Cookie"], name)
			for _, c := range []*ginsessiontest.Client{thief, ada} {
				require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/me")), name)
			}
			require.Contains(t, ada.Get("/session").Text, `"endReason":"reuse"`)
			require.Equal(t, "authn_token_reuse", a.events()[len(a.events())-1])
		}
	})
}

// To come back proves nothing, whatever somebody else has proved meanwhile.
func TestComingBackIsNoProof(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		for _, first := range []bool{true, false} {
			ada := a.signIn("ada")
			time.Sleep(time.Hour)
			thief := a.with(ada.Cookie(cookieName))
			prove := func() {
				require.Equal(t, 200, stepupProve(ada).StatusCode)
				require.Equal(t, 204, ada.Get("/fresh").StatusCode)
				time.Sleep(5 * time.Second)
			}
			if first {
				prove()
			}
			require.Equal(t, 200, thief.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
			if !first {
				prove()
			}
			require.Equal(t, ginsession.ErrReauthRequired, code(t, thief.Get("/fresh")))
			require.Equal(t, 200, thief.PostJSON("/back", nil).StatusCode, "so soon it may be a request beside the other")
			require.Equal(t, ginsession.ErrReauthRequired, code(t, thief.Get("/fresh")))
		}
	})
}

// What an admin does as another keeps his own session: it is there when he comes back,
// in his list and in the limit.
func TestTheOwnSessionIsInUseMeanwhile(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		c, own := a.asBob()
		for range 39 {
			time.Sleep(time.Minute)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		time.Sleep(2 * time.Minute)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")), "MaxAge")
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode)
		require.Equal(t, sessionOf(t, own), sessionOf(t, c.Cookie(cookieName)))
		require.Contains(t, c.Get("/session").Text, `"isAuthenticated":true`)

		require.Equal(t, 200, c.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
		for range 12 {
			time.Sleep(time.Minute)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		list, err := a.sessions.Sessions(t.Context(), a.ada.UserID)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, 200, a.signIn("ada").Get("/me").StatusCode)
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.PostJSON("/back", nil)), "its place was taken")
	}, func(c *ginsession.Config) {
		c.MaxAge, c.RefreshThreshold, c.IdleTimeout, c.MaxSessions = 40*time.Minute, 20*time.Minute, 10*time.Minute, 1
	})
}

// An impersonation that lost its own session is in no list of live ones.
func TestAnImpersonationIsListedWhileItStands(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		list := func(pages ...ginsession.Page) []ginsession.Session {
			sessions, err := a.sessions.Sessions(t.Context(), a.bob.UserID, pages...)
			require.NoError(t, err)
			return sessions
		}
		a.asBob()
		require.Len(t, list(), 1)
		_, err := a.sessions.RevokeUser(t.Context(), a.ada.UserID)
		require.NoError(t, err)
		require.Empty(t, list())
		ended := list(ginsession.Page{Ended: true})
		require.Len(t, ended, 1)
		require.Equal(t, ginsession.ReasonRevoked, ended[0].EndReason)
		require.Equal(t, a.ada.UserID, ended[0].Actor.UserID)
	})
}

// An own session that nobody uses falls idle, also in a browser that was left signed
// in as another.
func TestImpersonationAndIdleness(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		c, _ := a.asBob()
		for range 4 {
			time.Sleep(14 * time.Minute)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode, "it was used all the time")
		require.Equal(t, 200, c.Get("/admin").StatusCode)

		c, _ = a.asBob()
		time.Sleep(15 * time.Minute)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		r := c.PostJSON("/back", nil)
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, r))
		require.Empty(t, r.Header["Set-Cookie"])
	}, func(c *ginsession.Config) { c.IdleTimeout = 15 * time.Minute })
}

// What ends or forbids an impersonation, and whether the own session can be had back
// after it.
var impersonationEnds = []struct {
	name string
	do   func(ctx context.Context, a *app, own, other string) error
	code ginsession.Code
	why  ginsession.Reason
	back ginsession.Code
}{
	{"the own session is revoked", func(ctx context.Context, a *app, own, _ string) error {
		return a.sessions.RevokeSession(ctx, own, "stolen")
	}, ginsession.ErrSessionInvalid, "stolen", ginsession.ErrSessionInvalid},
	{"all of the actor's", func(ctx context.Context, a *app, _, _ string) error {
		_, err := a.sessions.RevokeUser(ctx, a.ada.UserID)
		return err
	}, ginsession.ErrSessionInvalid, ginsession.ReasonRevoked, ginsession.ErrSessionInvalid},
	{"all", func(ctx context.Context, a *app, _, _ string) error {
		_, err := a.sessions.RevokeAll(ctx)
		return err
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, ginsession.ErrSessionNotFound},
	{"the actor's password", func(_ context.Context, a *app, _, _ string) error {
		return a.otherPassword(a.sessions)
	}, ginsession.ErrSessionInvalid, ginsession.ReasonPassword, ginsession.ErrSessionInvalid},
	{"the actor is disabled", func(ctx context.Context, a *app, _, _ string) error {
		return a.sessions.Accounts().Disable(ctx, a.ada.UserID)
	}, ginsession.ErrSessionInvalid, ginsession.ReasonDisabled, ginsession.ErrSessionInvalid},
	{"the actor's role is taken away", func(ctx context.Context, a *app, _, _ string) error {
		return a.sessions.Accounts().SetRole(ctx, a.ada.UserID, "viewer")
	}, ginsession.ErrSessionInvalid, ginsession.ReasonRole, ""},
	{"the user's role is raised", func(ctx context.Context, a *app, _, _ string) error {
		return a.sessions.Accounts().SetRole(ctx, a.bob.UserID, "admin")
	}, ginsession.ErrSessionInvalid, ginsession.ReasonRole, ""},
	{"it is revoked itself", func(ctx context.Context, a *app, _, other string) error {
		return a.sessions.RevokeSession(ctx, other, "")
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, ginsession.ErrSessionNotFound},
	{"the user's password", func(ctx context.Context, a *app, _, _ string) error {
		return a.sessions.Accounts().SetPassword(ctx, a.bob.UserID, password)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonPassword, ginsession.ErrSessionNotFound},
	{"the user is disabled", func(ctx context.Context, a *app, _, _ string) error {
		return a.sessions.Accounts().Disable(ctx, a.bob.UserID)
	}, ginsession.ErrSessionInvalid, ginsession.ReasonDisabled, ginsession.ErrSessionInvalid},
}

func TestWhatEndsAnImpersonation(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		other, engine := a.node(a.d.Open(a.t), impersonable)
		a.run(a.sessions)
		a.run(other)
		time.Sleep(settled)
		for i, end := range impersonationEnds {
			a.ada, a.bob = a.user(fmt.Sprint("ada", i), "admin"), a.user(fmt.Sprint("bob", i), "viewer")
			c, own := a.asBob()
			there := watchClient(engine, c)
			require.Equal(t, a.bob.Username, c.Get("/me").Text)
			require.Equal(t, a.bob.Username, there.Get("/me").Text)
			here, _ := a.watch(a.sessions, c.Cookie(cookieName))
			far, _ := a.watch(other, c.Cookie(cookieName))
			_, ids := a.sessions.TestOnlyWatchers()
			require.Equal(t, 4, ids)

			require.NoError(t, end.do(t.Context(), a, string(sessionOf(t, own)), string(sessionOf(t, c.Cookie(cookieName)))))
			watchEnded(t, here, end.code, end.why, end.name)
			r := c.Get("/me")
			require.Equal(t, end.code, code(t, r), end.name)
			require.Contains(t, r.Text, `"endReason":"`+string(end.why)+`"`, end.name)
			require.Empty(t, r.Header["Set-Cookie"], end.name)
			time.Sleep(ginsession.DefaultSyncEvery)
			watchEnded(t, far, end.code, end.why, end.name)
			require.Equal(t, end.code, code(t, there.Get("/me")), end.name)

			r = c.PostJSON("/back", nil)
			require.Equal(t, end.back, code(t, r), end.name)
			if end.back != "" {
				require.Empty(t, r.Header["Set-Cookie"], end.name)
				continue
			}
			require.Equal(t, a.ada.Username, c.Get("/me").Text, "%s: she is signed in as herself", end.name)
		}
	})
}

// Signing out, and signing in, ends both sessions, also after the hour has passed.
func TestLogoutEndsBothSessions(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		for _, wait := range []time.Duration{0, 61 * time.Minute} {
			for name, leave := range map[string]func(c *ginsessiontest.Client) ginsessiontest.Response{"logout": post("/logout"), "login": login} {
				for _, seen := range []bool{false, true} {
					c, own := a.asBob()
					time.Sleep(wait)
					if seen { // its end is in the row
						c.Get("/me")
					}
					was := c.Cookie(cookieName)
					before := a.live()
					require.Equal(t, 200, leave(c).StatusCode)
					a.requireStatus(401, own)
					a.requireStatus(401, was)
					left := 2
					if wait > 0 && seen {
						left = 1
					}
					if name == "login" {
						left--
					}
					require.Equal(t, before-left, a.live(), "%s after %v", name, wait)
				}
			}
		}
	}, func(c *ginsession.Config) { c.MaxSessions = -1 })
}

func TestLogoutEndsBothSessionsThoughTheDatabaseFails(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		for n := 1; ; n++ {
			a.wire.reset()
			c, own := a.asBob()
			was := c.Cookie(cookieName)
			a.wire.breakAt(n, false, fails)
			r := c.PostJSON("/logout", nil)
			calls := len(a.wire.statements())
			a.wire.reset()
			require.Contains(t, setCookie(t, r), "Max-Age=0")
			if calls < n {
				require.Equal(t, 200, r.StatusCode)
				return
			}
			require.Equal(t, 503, r.StatusCode, n)
			a.requireStatus(401, was)
			if n > 2 { // the row has said whose it is
				a.requireStatus(401, own)
			}
			time.Sleep(2 * time.Second) // what is owed is paid
			a.requireStatus(401, was)
			a.requireStatus(401, own)
			require.Zero(t, a.live(), n)
		}
	})
}

func TestImpersonationIsNoSignIn(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		bobs := []*ginsessiontest.Client{a.signIn("bob")}
		time.Sleep(time.Minute)
		bobs = append(bobs, a.signIn("bob"))
		time.Sleep(time.Minute)
		c := a.signIn("ada")
		r := c.PostJSON("/as/"+a.bob.UserID, nil)
		for _, line := range r.Header["Set-Cookie"] {
			require.True(t, strings.HasPrefix(line, cookieName+"="), "no mark of the device: %s", line)
		}
		require.Contains(t, bobs[0].Get("/session").Text, `"isAuthenticated":true`)
		time.Sleep(time.Minute)
		bobs = append(bobs, a.signIn("bob"))
		require.Equal(t, 401, bobs[0].Get("/me").StatusCode, "the limit is of his own")
		require.Equal(t, 200, bobs[1].Get("/me").StatusCode)
		require.Equal(t, "bob", c.Get("/me").Text, "and the other is not among them")
	}, func(c *ginsession.Config) { c.MaxSessions = 2 })
}

func TestWhatIsNotDoneInAnothersName(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.client().PostJSON("/danger", nil)))
		c := a.signIn("ada")
		require.Equal(t, 204, c.PostJSON("/danger", nil).StatusCode)
		time.Sleep(9 * time.Minute)
		require.Equal(t, 204, c.Get("/fresh").StatusCode)
		require.Equal(t, 200, c.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
		require.Equal(t, ginsession.ErrImpersonation, code(t, c.PostJSON("/danger", nil)))
		hashes := a.sessions.TestOnlyHashes()
		require.Equal(t, ginsession.ErrImpersonation, code(t, c.PostJSON("/session/reauthenticate", gin.H{"password": password})))
		require.Equal(t, hashes, a.sessions.TestOnlyHashes(), "no password is tried")
		require.Equal(t, ginsession.ErrImpersonation, code(t, c.PostJSON("/confirm", nil)))
		require.Equal(t, 204, c.Get("/fresh").StatusCode)
		time.Sleep(time.Minute)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, c.Get("/fresh")), "to become another proves nothing anew")
		require.Equal(t, "bob", c.Get("/me").Text)
	})
}

// Two browsers with the same cookie return at once: one of them does, with one new
// token, and the other is told that he came too late.
func TestTwoStopsAtOnce(t *testing.T) {
	onEachAs(t, func(t *testing.T, a *app) {
		for range 5 {
			c, _ := a.asBob()
			token := c.Cookie(cookieName)
			answers := make([]ginsessiontest.Response, 4)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() { answers[i] = a.with(token).PostJSON("/back", nil) })
			}
			all.Wait()
			var won []string
			for _, r := range answers {
				won = append(won, cookies(r)...)
				if r.StatusCode != 200 {
					require.Equal(t, 401, r.StatusCode, r.Text)
				}
			}
			require.Len(t, won, 1)
			a.requireStatus(200, won[0])
			a.requireStatus(401, token)
		}
	})
}

// What happens while somebody returns is not passed over: another who does, a
// revocation, a logout.
func TestStopIsOvertaken(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Hour} {
		for n := range 2 { // between the readings, and after them
			inBubble(t, func(t *testing.T, a *app) {
				impersonation(a.sessions, a.engine)
				for _, overtake := range []func(c *ginsessiontest.Client) (token string){
					func(c *ginsessiontest.Client) string {
						r := c.PostJSON("/back", nil)
						require.Equal(t, 200, r.StatusCode)
						return cookies(r)[0]
					},
					func(c *ginsessiontest.Client) string {
						if wait > 0 {
							require.Equal(t, 200, c.PostJSON("/logout", nil).StatusCode)
							return ""
						}
						require.NoError(t, a.sessions.RevokeSession(t.Context(), string(sessionOf(t, c.Cookie(cookieName))), ""))
						return ""
					},
					func(c *ginsessiontest.Client) string {
						require.Equal(t, 200, c.PostJSON("/logout", nil).StatusCode)
						return ""
					},
				} {
					c, _ := a.asBob()
					time.Sleep(wait)
					token, won := c.Cookie(cookieName), ""
					reads := func() { won = overtake(a.with(token)) }
					if n == 1 {
						again := reads
						reads = func() { a.wire.onRead("account_", again) }
					}
					a.wire.onRead("account_", reads)
					r := c.PostJSON("/back", nil)
					require.Equal(t, 401, r.StatusCode, r.Text)
					require.Empty(t, cookies(r))
					if won != "" {
						a.requireStatus(200, won)
					}
					a.requireStatus(401, token)
				}
			}, impersonable)
		}
	}
}

// A fault at any statement of becoming another, of a request as him, and of
// returning is answered 503; nobody is let in, and the cookie stays.
func TestImpersonationAndFaultsOfTheStore(t *testing.T) {
	requests := map[string]struct {
		prepare func(a *app) *ginsessiontest.Client
		send    func(a *app, c *ginsessiontest.Client) ginsessiontest.Response
	}{
		"Impersonate": {func(a *app) *ginsessiontest.Client { return a.signIn("ada") },
			func(a *app, c *ginsessiontest.Client) ginsessiontest.Response {
				return c.PostJSON("/as/"+a.bob.UserID, nil)
			}},
		"a request": {func(a *app) *ginsessiontest.Client { c, _ := a.asBob(); return c },
			func(_ *app, c *ginsessiontest.Client) ginsessiontest.Response { return c.Get("/me") }},
		"its status": {func(a *app) *ginsessiontest.Client { c, _ := a.asBob(); return c },
			func(_ *app, c *ginsessiontest.Client) ginsessiontest.Response { return c.Get("/session") }},
		"Stop": {func(a *app) *ginsessiontest.Client { c, _ := a.asBob(); return c },
			func(_ *app, c *ginsessiontest.Client) ginsessiontest.Response { return c.PostJSON("/back", nil) }},
		"Stop after the hour": {func(a *app) *ginsessiontest.Client {
			c, _ := a.asBob()
			time.Sleep(time.Hour)
			return c
		}, func(_ *app, c *ginsessiontest.Client) ginsessiontest.Response { return c.PostJSON("/back", nil) }},
	}
	onEachAs(t, func(t *testing.T, a *app) {
		for name, q := range requests {
			a.wire.reset()
			c := q.prepare(a)
			a.wire.reset()
			require.Equal(t, 200, q.send(a, c).StatusCode, name)
			steps := a.wire.statements()
			require.NotEmpty(t, steps, name)
			for n, step := range steps {
				for kind, fault := range map[string]func(context.Context) error{"fails": fails, "hangs": hangs} {
					for _, late := range []bool{false, true} {
						if a.d.Kind != "sqlite" && (kind == "hangs" || late && step != "COMMIT") {
							continue // what we do then does not depend on the database
						}
						label := fmt.Sprintf("%s: %s at %s (%d of %d), late %v", name, kind, step, n+1, len(steps), late)
						a.wire.reset()
						c := q.prepare(a)
						token := c.Cookie(cookieName)
						a.wire.breakAt(n+1, late, fault)
						r := q.send(a, c)
						a.wire.reset()
						require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), label)
						require.Empty(t, r.Header["Set-Cookie"], label)
						require.Equal(t, token, c.Cookie(cookieName), label)
						if late && strings.HasPrefix(name, "Stop") && step == "COMMIT" {
							continue // it was carried out, and only the word of it was lost
						}
						require.Equal(t, 200, q.send(a, c).StatusCode, label)
					}
				}
			}
		}
	}, func(c *ginsession.Config) { c.MaxSessions = -1 })
}

// impersonationUsers are an application's own.
type impersonationUsers struct {
	mu    sync.Mutex
	roles map[string]string
	err   error
	late  bool
}

func (u *impersonationUsers) Authenticate(ctx context.Context, login, _ string) (ginsession.Identity, error) {
	return u.Identity(ctx, login)
}

func (u *impersonationUsers) Identity(ctx context.Context, id string) (ginsession.Identity, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	role, ok := u.roles[id]
	switch {
	case u.late && id == "7":
		<-ctx.Done()
	case u.err != nil && id == "7":
		return ginsession.Identity{}, u.err
	case !ok:
		return ginsession.Identity{}, ginsession.ErrUserNotFound
	}
	return ginsession.Identity{UserID: id, Username: "user " + id, Role: role}, nil
}

func (u *impersonationUsers) set(id, role string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.roles[id] = role
}

func TestImpersonationWithUsersOfTheApplication(t *testing.T) {
	var u *impersonationUsers
	onEachAs(t, func(t *testing.T, a *app) {
		*u = impersonationUsers{roles: map[string]string{"1": "admin", "7": "viewer"}}
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.client()
		require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": "1", "password": "x"}).StatusCode)
		require.Equal(t, ginsession.ErrUserNotFound, code(t, c.PostJSON("/as/8", nil)))
		for name, fault := range map[string]struct {
			err  error
			late bool
		}{
			"fails": {err: errors.New("no answer")}, "limits": {err: ginsession.ErrRateLimited}, "late": {late: true},
		} {
			u.err, u.late = fault.err, fault.late
			r := c.PostJSON("/as/7", nil)
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), name)
			require.Empty(t, r.Header["Set-Cookie"], name)
			u.err, u.late = nil, false
		}
		require.Equal(t, 200, c.PostJSON("/as/7", nil).StatusCode)
		require.Equal(t, "user 7", c.Get("/me").Text)
		ctx, _ := a.watch(a.sessions, c.Cookie(cookieName))

		u.set("1", "viewer") // of whom UserChanged is not even told
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/me")))
		require.NoError(t, ctx.Err())
		require.NoError(t, a.sessions.UserChanged(t.Context(), "1"))
		watchEnded(t, ctx, ginsession.ErrSessionInvalid, ginsession.ReasonRole, "")
		u.set("1", "admin")
		u.mu.Lock()
		delete(u.roles, "7")
		u.mu.Unlock()
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/me")))
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode, "he is gone, she is not")
		require.Equal(t, "user 1", c.Get("/me").Text)
	}, func(c *ginsession.Config) {
		u = &impersonationUsers{}
		c.Users = u
	})
}
