// The limit of sessions: who goes, who is refused, and that sign-ins at the same
// instant keep to it together.

package ginsession_test

import (
	"fmt"
	"net/http"
	"net/url"
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

func limitsOf(n int) func(*ginsession.Config) {
	return func(c *ginsession.Config) { c.MaxSessions = n }
}

// C2, A73: the third sign-in ends the session that was not used for longest.
func TestOneTooManyEndsTheLeastRecentlyUsed(t *testing.T) {
	var h heard
	onEach(t, func(t *testing.T, a *app) {
		first := a.signIn("ada")
		time.Sleep(time.Minute)
		second := a.signIn("ada")
		bob := a.signIn("bob")
		time.Sleep(5 * time.Minute)
		require.Equal(t, 200, first.Get("/me").StatusCode)
		h.take()
		third := a.signIn("ada")
		devicesOut(t, second, ginsession.ErrSessionNotFound, "limit")
		for _, c := range []*ginsessiontest.Client{first, third, bob} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		var stored []models.Event
		require.NoError(t, a.db.Where("name = ?", "excess_sessions_exceeded").Find(&stored).Error)
		require.Len(t, stored, 1)
		want := stored[0]
		require.Equal(t, sessionOf(t, second.Cookie(cookieName)), want.SessionID)
		require.Equal(t, models.Exact(a.ada.UserID), want.UserID)
		require.Equal(t, "limit", want.Reason)
		var heardOf []models.Event
		for _, e := range h.take() {
			if e.Name == want.Name {
				e.ID = want.ID
				heardOf = append(heardOf, e)
			}
		}
		require.Equal(t, stored, heardOf)
		require.Equal(t, models.At(time.Now()), want.At)
	}, limitsOf(2), h.listen)
}

// A lower limit than before ends all that are too many.
func TestALowerLimitEndsAllThatAreTooMany(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for range 5 {
			a.signIn("ada")
			time.Sleep(time.Second)
		}
		_, a.engine = a.node(a.db, limitsOf(2))
		a.signIn("ada")
		require.Equal(t, 2, a.live())
	})
}

func TestTheDefaultLimitIsTwenty(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		for range 22 {
			a.signIn("ada")
		}
		require.Equal(t, 20, a.live())
	})
}

func TestNoLimitIfItIsNegative(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		for range 25 {
			a.signIn("ada")
		}
		require.Equal(t, 25, a.live())
	}, limitsOf(-1))
}

func TestALimitOfEachUser(t *testing.T) {
	limits := map[string]int{"ada": 0, "bob": 1, "clara": -3}
	onEach(t, func(t *testing.T, a *app) {
		a.user("clara", "viewer")
		for name, want := range map[string]int{"ada": 4, "bob": 1, "clara": 4} {
			before := a.live()
			for range 4 {
				a.signIn(name)
			}
			require.Equal(t, want, a.live()-before, name)
		}
	}, limitsOf(2), func(c *ginsession.Config) {
		c.MaxSessionsOf = func(user ginsession.Identity) int { return limits[user.Username] }
	})
}

// C2: where the limit refuses, nothing has ended, and it is recorded.
func TestOneTooManyIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		first, second := a.signIn("ada"), a.signIn("ada")
		r := a.client().PostJSON("/login", gin.H{"username": "ada", "password": password})
		require.Equal(t, ginsession.ErrSessionLimit, code(t, r))
		require.Equal(t, 403, r.StatusCode)
		require.Empty(t, r.Header["Set-Cookie"])
		bob := a.signIn("bob")
		r = bob.PostJSON("/login", gin.H{"username": "ada", "password": password})
		require.Equal(t, ginsession.ErrSessionLimit, code(t, r))
		for _, c := range []*ginsessiontest.Client{first, second, bob} {
			require.Equal(t, 200, c.Get("/me").StatusCode, "nothing has ended")
		}
		require.Contains(t, a.events(), "excess_sessions_exceeded")
		var e models.Event
		require.NoError(t, a.db.Where("name = ?", "excess_sessions_exceeded").First(&e).Error)
		require.Equal(t, models.Exact(a.ada.UserID), e.UserID)
		require.Equal(t, "failure", e.Outcome)
		require.Equal(t, string(ginsession.ErrSessionLimit), e.Reason)

		// Over one's own session there is room for the new one.
		require.Equal(t, 200, second.PostJSON("/login", gin.H{"username": "ada", "password": password}).StatusCode)
		require.Equal(t, 200, second.Get("/me").StatusCode)
		require.Equal(t, 200, first.Get("/me").StatusCode)
		require.Equal(t, 3, a.live())

		require.Equal(t, 200, first.PostJSON("/logout", nil).StatusCode)
		a.signIn("ada")
		time.Sleep(DefaultMaxAge) // none of those that have run out counts, ended or not
		a.signIn("ada")
		a.signIn("ada")
		require.Equal(t, ginsession.ErrSessionLimit, code(t, a.client().PostJSON("/login", gin.H{"username": "ada", "password": password})))
	}, limitsOf(2), func(c *ginsession.Config) { c.RefuseOverLimit = true })
}

func TestLoginOverOnesOwnSessionEndsNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		first := a.signIn("ada")
		time.Sleep(5 * time.Minute)
		second := a.signIn("ada")
		require.Equal(t, 200, second.PostJSON("/login", gin.H{"username": "ada", "password": password}).StatusCode)
		require.Equal(t, 200, first.Get("/me").StatusCode)
		require.Equal(t, 200, second.Get("/me").StatusCode)
		require.NotContains(t, a.events(), "excess_sessions_exceeded")
	}, limitsOf(2))
}

// An idle session counts no more once that is certain: its row may be a little more
// than two minutes behind.
func TestAnIdleSessionDoesNotCount(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.signIn("ada")
		time.Sleep(13*time.Minute - time.Millisecond)
		require.Equal(t, ginsession.ErrSessionLimit, code(t, a.client().PostJSON("/login", gin.H{"username": "ada", "password": password})))
		time.Sleep(time.Millisecond)
		a.signIn("ada")
	}, limitsOf(1), func(c *ginsession.Config) { c.RefuseOverLimit, c.IdleTimeout = true, 10*time.Minute })
}

// A form that signs in too often comes back to the login page with the code.
func TestOneTooManyByForm(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.signIn("ada")
		r := a.client().PostForm("/login", url.Values{"username": {"ada"}, "password": {password}, "next": {"/me"}})
		require.Equal(t, http.StatusSeeOther, r.StatusCode)
		require.Equal(t, "/sign-in?error=SESSION_LIMIT&next=%2Fme", r.Header.Get("Location"))
		require.Equal(t, 1, a.live())
	}, limitsOf(1), func(c *ginsession.Config) { c.RefuseOverLimit, c.LoginURL = true, "/sign-in" })
}

// C2, A93: sign-ins at the same instant, in two processes, do not pass the limit
// together, and leave no fewer than it allows.
func TestParallelSignInsKeepToTheLimit(t *testing.T) {
	for _, users := range []ginsession.Users{nil, &anyone{}} {
		for _, refuse := range []bool{false, true} {
			t.Run(fmt.Sprintf("own users %v, refuse %v", users != nil, refuse), func(t *testing.T) {
				modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
					configure := func(c *ginsession.Config) {
						c.MaxSessions, c.RefuseOverLimit, c.Users = 5, refuse, users
						c.StoreTimeout = time.Minute // whatever else the machine does
					}
					a := newApp(t, d, configure)
					here, there := a.sessions, a.sessions
					there, thereEngine := a.node(d.Open(t), configure)
					a.engine.POST("/open", func(c *gin.Context) { limitsOpen(c, here, a.ada) })
					thereEngine.POST("/open", func(c *gin.Context) { limitsOpen(c, there, a.ada) })

					codes := make([]ginsession.Code, 20)
					start := make(chan struct{})
					var group sync.WaitGroup
					for i := range codes {
						c := ginsessiontest.NewClient([]http.Handler{a.engine, thereEngine}[i%2])
						group.Go(func() {
							<-start
							codes[i] = code(t, c.PostJSON("/open", nil))
						})
					}
					close(start)
					group.Wait()
					n := map[ginsession.Code]int{}
					for _, code := range codes {
						n[code]++
					}
					want := map[ginsession.Code]int{"": 20}
					if refuse {
						want = map[ginsession.Code]int{"": 5, ginsession.ErrSessionLimit: 15}
					}
					require.Equal(t, want, n)
					require.Equal(t, 5, a.live())
				})
			})
		}
	}
}

func limitsOpen(c *gin.Context, m *ginsession.Manager, user ginsession.Identity) {
	if _, err := m.Open(c, user, false); err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.Status(http.StatusOK)
}
