// What an attacker tried, and must not do again.

package ginsession_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// Whoever can write into the table gives no session to another user: not his own
// to an admin, nor one that he may return from to somebody else's.
func TestARowBelongsToItsUser(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		bob := a.signIn("bob")
		id := sessionOf(t, bob.Cookie(cookieName))
		row := func() *gorm.DB { return a.db.Model(&models.Session{}).Where("id = ?", id) }
		for column, value := range map[string]any{
			"user_id": a.ada.UserID, "owner_mark": "", "actor": a.ada.UserID, "origin_id": strings.Repeat("A", 26),
		} {
			var before map[string]any
			require.NoError(t, row().Select(column).Take(&before).Error)
			require.NoError(t, row().Update(column, value).Error)
			require.Equal(t, ginsession.ErrSessionInvalid, code(t, bob.Get("/me")), column)
			require.NoError(t, row().Update(column, before[column]).Error)
			require.Equal(t, 200, bob.Get("/me").StatusCode, column)
		}
	})
}

// Under a new key the row is marked anew with its next renewal, and the old key can go.
func TestTheOwnerIsMarkedUnderThePresentKey(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		_, both := a.node(a.db, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2, key1} })
		time.Sleep(time.Minute)
		c := a.holding(both, token)
		require.NotEmpty(t, setCookie(t, c.Get("/me")))
		_, present := a.node(a.db, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2} })
		require.Equal(t, 200, a.holding(present, c.Cookie(cookieName)).Get("/me").StatusCode)
	})
}

// A hook of the application that panics in Run's own goroutine does not end the
// process: the stream stays, and is looked up again.
func TestRunBearsHooksThatPanic(t *testing.T) {
	own := &users{authenticate: func() (ginsession.Identity, error) { return ginsession.Identity{UserID: "7", Username: "ada"}, nil }}
	inBubble(t, func(t *testing.T, a *app) {
		type answer = func(id string) (ginsession.Identity, error)
		var says atomic.Value
		knows := func(id string) (ginsession.Identity, error) { return ginsession.Identity{UserID: id}, nil }
		says.Store(answer(knows))
		own.identity = func(id string) (ginsession.Identity, error) { return says.Load().(answer)(id) }
		other, _ := a.node(a.d.Open(t), func(c *ginsession.Config) { c.Users = &users{identity: knows} })
		a.run(a.sessions)
		time.Sleep(settled)
		stream, _ := a.watch(a.sessions, a.signIn("ada").Cookie(cookieName))
		says.Store(answer(func(string) (ginsession.Identity, error) { panic("a fault of the application") }))
		require.NoError(t, other.UserChanged(t.Context(), "7"))
		time.Sleep(3 * ginsession.DefaultSyncEvery)
		require.NoError(t, stream.Err())
		require.Contains(t, a.logs.text(), "a watched session cannot be looked up")
		says.Store(answer(func(string) (ginsession.Identity, error) { return ginsession.Identity{}, ginsession.ErrUserNotFound }))
		time.Sleep(2 * ginsession.DefaultSyncEvery)
		require.Error(t, stream.Err())
	}, func(c *ginsession.Config) { c.Users = own })
}

// Changes that no event tells of end a stream within CacheFor.
func TestWatchEndsWithinCacheForByChangesBehindOurBack(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		stream, _ := a.watch(a.sessions, a.signIn("bob").Cookie(cookieName))
		require.NoError(t, a.aside().Model(&models.User{}).Where("id = ?", models.Exact(a.bob.UserID)).Update("disabled_at", 1).Error)
		time.Sleep(ginsession.DefaultCacheFor - 2*time.Second)
		require.NoError(t, stream.Err())
		time.Sleep(2*time.Second + ginsession.DefaultSyncEvery)
		require.Error(t, stream.Err())
	})
}

// The verbs beneath the handlers count an attempt as Login does, if they are given the
// context of the request.
func TestAttemptsOfVerbsAreCountedByTheirSource(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		a.engine.POST("/authenticate", func(c *gin.Context) {
			ctx, cancel := context.WithTimeout(c, time.Minute) // made from it
			defer cancel()
			if _, err := accounts.Authenticate(ctx, "ada", c.Query("password")); err != nil {
				ginsession.Refuse(c, err)
			}
		})
		try := func(peer, password string, change ...func(*http.Request)) int {
			return a.from(peer, "", "", append(change, func(r *http.Request) {
				r.URL.Path, r.URL.RawQuery = "/authenticate", "password="+strings.ReplaceAll(password, " ", "+")
			})...).Code
		}
		home := a.signIn("ada").Cookie(deviceCookie)
		for range 5 {
			require.Equal(t, 401, try("192.0.2.1", wrong))
		}
		require.Equal(t, 429, try("192.0.2.1", password))
		require.Equal(t, 200, try("192.0.2.1", password, on(home)), "a device that knows her")
		require.Equal(t, 200, try("192.0.2.2", password), "another source")
		for i := range 31 {
			a.user(fmt.Sprint("user", i), "")
			a.from("192.0.2.3", fmt.Sprint("user", i), wrong)
		}
		require.Equal(t, 429, try("192.0.2.3", password), "the limit of a source")
	})
}

// A sign-in for a token is told like any other.
func TestASignInForATokenIsOnANewDevice(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.client().PostJSON("/login", gin.H{"username": "ada", "password": password, "token": true})
		require.EqualValues(t, 1, a.newDevices(a.ada))
	}, bearerOn)
}

// A handler of the application that gives a bearer client another token finds it in
// the status.
func TestCheckHasTheTokenThatABearerWasGiven(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.engine.POST("/confirm", func(c *gin.Context) {
			_, err := a.sessions.Confirm(c)
			require.NoError(t, err)
			status, err := a.sessions.Check(c)
			require.NoError(t, err)
			a.logs.secret(secretOf(t, status.Token))
			c.Header("X-Works", fmt.Sprint(a.bearerWith(status.Token).Get("/me").StatusCode))
		})
		token := a.bearerSignIn("ada")
		require.Equal(t, "200", a.bearerWith(token).Do("POST", "/confirm", "", nil).Header.Get("X-Works"))
	}, bearerOn)
}

// Behind a proxy that nobody told the engine of the operator is warned, once.
func TestAnUnknownProxyIsWarnedOfOnce(t *testing.T) {
	for name, trusts := range map[string]bool{"by itself": false, "told": true} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, modelstest.SQLite(t))
			if trusts {
				require.NoError(t, a.engine.SetTrustedProxies([]string{"192.0.2.0/24"}))
			}
			for range 3 {
				a.from("192.0.2.1", "ada", password, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "198.51.100.1") })
			}
			want := 1
			if trusts {
				want = 0
			}
			require.Equal(t, want, strings.Count(a.logs.text(), "call SetTrustedProxies"))
		})
	}
}
