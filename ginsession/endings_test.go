// What a change of a user does to his sessions: here at once, elsewhere soon.

package ginsession_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
)

// C12: a new password ends the other sessions. The one in use stays, and gets a new
// secret at its next request; the old one is good for the grace alone.
func TestChangePasswordEndsTheOthers(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		there, thereEngine := a.otherProcess()
		a.run(a.sessions)
		a.run(there)
		a.engine.POST("/password", ginsession.Require, func(c *gin.Context) {
			s, _ := ginsession.From(c)
			if err := accounts.ChangePassword(c, s.User.UserID, password, password+" 2", s.ID); err != nil {
				ginsession.Refuse(c, err)
			}
		})
		time.Sleep(settled)
		own, other, bob := a.signIn("ada"), a.signIn("ada"), a.signIn("bob")
		otherThere, old := a.holding(thereEngine, other.Cookie(cookieName)), own.Cookie(cookieName)
		ownThere := a.holding(thereEngine, old)
		for _, c := range []*ginsessiontest.Client{own, other, bob, otherThere, ownThere} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		id := devicesID(t, own)
		r := own.PostJSON("/password", nil)
		require.Equal(t, 200, r.StatusCode, r.Text)
		devicesOut(t, other, ginsession.ErrSessionNotFound, "password")
		require.Equal(t, 200, bob.Get("/me").StatusCode)

		r = own.Get("/me")
		require.Equal(t, 200, r.StatusCode)
		require.Len(t, cookies(r), 1, "a new secret")
		require.NotEqual(t, secretOf(t, old), secretOf(t, own.Cookie(cookieName)))
		require.Equal(t, id, devicesID(t, own))
		require.Equal(t, 200, own.Get("/me").StatusCode)
		require.Len(t, cookies(r), 1, "once")
		time.Sleep(ginsession.DefaultSyncEvery)
		devicesOut(t, otherThere, ginsession.ErrSessionNotFound, "password")
		require.Equal(t, 200, a.holding(thereEngine, own.Cookie(cookieName)).Get("/me").StatusCode)
		require.Equal(t, 200, ownThere.Get("/me").StatusCode, "the predecessor, for the grace")
		require.Equal(t, ginsession.ErrCredentialsInvalid, code(t, a.client().PostJSON("/login", gin.H{"username": "ada", "password": password})))
		a.logs.secret(password + " 2")
		require.Equal(t, 200, a.client().PostJSON("/login", gin.H{"username": "ada", "password": password + " 2"}).StatusCode)
		time.Sleep(29 * time.Second)
		a.requireStatus(401, old)
	})
}

// An id of another user's session among those that are kept spares nothing and
// changes nothing.
func TestChangePasswordKeepsOnlyOwnSessions(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		own, bob := a.signIn("ada"), a.signIn("bob")
		before := a.rows()
		require.NoError(t, a.sessions.Accounts().ChangePassword(t.Context(), a.ada.UserID, password, password+" 2",
			devicesID(t, bob), "rubbish", "\x00", ""))
		devicesOut(t, own, ginsession.ErrSessionNotFound, "password")
		for _, row := range before {
			if row.ID == sessionOf(t, bob.Cookie(cookieName)) {
				require.Contains(t, a.rows(), row)
			}
		}
		r := bob.Get("/me")
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, cookies(r))
	})
}

// C14: what happens to a user holds for the next request here, and elsewhere within
// SyncEvery, although memory answers on both nodes.
func TestChangesOfAUserHoldHereAndThere(t *testing.T) {
	who := &anyone{role: "viewer"}
	for name, test := range map[string]struct {
		change func(t *testing.T, a *app) error
		want   ginsession.Code
		why    ginsession.Reason
		role   bool
	}{
		"disable": {func(t *testing.T, a *app) error { return a.sessions.Accounts().Disable(t.Context(), a.bob.UserID) }, ginsession.ErrSessionInvalid, "disabled", false},
		"delete":  {func(t *testing.T, a *app) error { return a.sessions.Accounts().Delete(t.Context(), a.bob.UserID) }, ginsession.ErrSessionInvalid, "disabled", false},
		"role": {func(t *testing.T, a *app) error {
			return a.sessions.Accounts().SetRole(t.Context(), a.bob.UserID, "admin")
		}, "", "", true},
		"told": {func(t *testing.T, a *app) error {
			who.role = "admin"
			return a.sessions.UserChanged(t.Context(), "bob")
		}, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				who.role = "viewer"
				configure := func(c *ginsession.Config) {
					if name == "told" {
						c.Users = who
					}
				}
				here, hereEngine := a.node(a.db, configure)
				there, thereEngine := a.node(a.d.Open(t), configure)
				a.sessions, a.engine = here, hereEngine
				a.run(here)
				a.run(there)
				time.Sleep(settled)
				c := a.signIn("bob")
				token := c.Cookie(cookieName)
				elsewhere := a.holding(thereEngine, token)
				require.Equal(t, 403, c.Get("/admin").StatusCode)
				require.Equal(t, 403, elsewhere.Get("/admin").StatusCode)
				require.NoError(t, test.change(t, a))
				require.Equal(t, 403, elsewhere.Get("/admin").StatusCode, "memory answers there, or this test shows nothing")
				if test.role {
					require.Equal(t, 200, c.Get("/admin").StatusCode)
				} else {
					devicesOut(t, c, test.want, test.why)
				}
				time.Sleep(ginsession.DefaultSyncEvery)
				if test.role {
					require.Equal(t, 200, elsewhere.Get("/admin").StatusCode)
				} else {
					devicesOut(t, elsewhere, test.want, test.why)
				}
			})
		})
	}
}

// Of users of the application's own it is told by one call that they may not sign in any
// more: their sessions end, and do not come back with them.
func TestUserChangedEndsTheSessionsOfTheDisabled(t *testing.T) {
	var says error
	own := &users{
		authenticate: func() (ginsession.Identity, error) { return ginsession.Identity{UserID: "7", Username: "ada"}, says },
		identity: func(id string) (ginsession.Identity, error) {
			return ginsession.Identity{UserID: id, Username: "ada"}, says
		},
	}
	onEach(t, func(t *testing.T, a *app) {
		says = nil
		c := a.signIn("ada")
		require.NoError(t, a.sessions.UserChanged(t.Context(), "7"))
		require.Equal(t, 200, c.Get("/me").StatusCode)

		says = errors.New("not at home")
		require.ErrorIs(t, a.sessions.UserChanged(t.Context(), "7"), ginsession.ErrStoreUnavailable)
		require.Equal(t, 1, a.live())

		says = ginsession.ErrUserNotFound
		require.Contains(t, c.Get("/session").Text, `"endReason":"disabled"`, "before it is told, too")
		require.NoError(t, a.sessions.UserChanged(t.Context(), "7"))
		devicesOut(t, c, ginsession.ErrSessionInvalid, ginsession.ReasonDisabled)
		require.Zero(t, a.live())
		says = nil
		require.NoError(t, a.sessions.UserChanged(t.Context(), "7"))
		devicesOut(t, c, ginsession.ErrSessionInvalid, ginsession.ReasonDisabled)
	}, func(c *ginsession.Config) { c.Users = own })
}
