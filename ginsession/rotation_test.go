// Rotation: one secret follows another, none is lost, and none is used twice.

package ginsession_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

// refreshed signs ada in and lets her session be refreshed. It returns the
// cookie before and the one after.
func (a *app) refreshed() (old, next string) {
	a.t.Helper()
	c := a.signIn("ada")
	old = c.Cookie(cookieName)
	time.Sleep(23*time.Hour + 40*time.Minute)
	answer := a.with(old).Get("/me")
	require.Len(a.t, cookies(answer), 1)
	return old, cookies(answer)[0]
}

func (a *app) requireStatus(want int, token string) {
	a.t.Helper()
	require.Equal(a.t, want, a.with(token).Get("/me").StatusCode)
}

func TestRefreshReplacesTheSecret(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		old, next := a.refreshed()
		require.NotEqual(t, secretOf(t, old), secretOf(t, next))
		require.Equal(t, sessionOf(t, old), sessionOf(t, next), "the session is the same")

		for range 10 { // the predecessor is good until the successor has been seen
			time.Sleep(time.Minute)
			a.requireStatus(200, old)
		}
		a.requireStatus(200, next)
		time.Sleep(30*time.Second - time.Millisecond) // and 30 s
		a.requireStatus(200, old)
		require.Empty(t, cookies(a.with(old).Get("/me")))
		time.Sleep(time.Millisecond)

		r := a.with(old).Get("/me")
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, r), "reuse")
		require.Empty(t, r.Header["Set-Cookie"])
		for range 2 {
			for _, token := range []string{old, next} {
				require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.with(token).Get("/me")))
			}
		}
		require.Equal(t, "reuse", a.row().EndReason)
		require.Equal(t, []string{"session_created", "session_renewed", "authn_token_reuse"}, a.events()[2:])
		require.Contains(t, a.logs.text(), `"level":"ERROR","msg":"ginsession: authn_token_reuse"`)
	})
}

func TestOnlyTheImmediatePredecessorIsGood(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		first, second := a.refreshed()
		a.requireStatus(200, second)
		time.Sleep(2 * time.Minute)
		third := cookies(a.with(second).Do("POST", "/session/refresh", "", nil))[0]
		require.NotEqual(t, secretOf(t, second), secretOf(t, third))
		a.requireStatus(200, second)
		a.requireStatus(401, first)
		a.requireStatus(401, third)
		require.Equal(t, "reuse", a.row().EndReason)
	})
}

// A secret that is new is not replaced: an answer that carries it may still be
// under way. A refresh that was asked for has just been made; one that is due
// sets a later expiry.
func TestNewSecretRests(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		_, next := a.refreshed()
		a.requireStatus(200, next)
		time.Sleep(2*time.Minute - time.Millisecond)
		require.Empty(t, cookies(a.with(next).Do("POST", "/session/refresh", "", nil)))
		time.Sleep(time.Millisecond)
		again := cookies(a.with(next).Do("POST", "/session/refresh", "", nil))
		require.Len(t, again, 1)
		require.NotEqual(t, secretOf(t, next), secretOf(t, again[0]))
	})
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		var secrets []string
		for range 12 {
			time.Sleep(20 * time.Second)
			require.Equal(t, 200, c.Get("/me").StatusCode)
			secrets = append(secrets, secretOf(t, c.Cookie(cookieName)))
		}
		// Due every 40 s, by when the secret has rested.
		require.Len(t, slices.Compact(secrets), 7)
	}, func(c *ginsession.Config) { c.MaxAge, c.RefreshThreshold = time.Minute, 20*time.Second })
}

// The answer with the successor is lost, or comes after it was given again. It
// is the same secret, so neither replaces the cookie in use by one that has been
// overtaken.
func TestSuccessorIsGivenAgain(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		old, late := a.refreshed()
		time.Sleep(30 * time.Second)
		a.wire.reset()
		again := cookies(a.with(old).Get("/me"))
		require.Len(t, again, 1)
		require.Equal(t, []string{"SELECT"}, a.wire.statements())
		require.Equal(t, secretOf(t, late), secretOf(t, again[0]))
		for range 10 {
			time.Sleep(time.Minute)
			a.requireStatus(200, again[0])
			a.requireStatus(200, late)
		}
	})
}

func TestAnExpiredCookieIsNoReuse(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		old, next := a.refreshed()
		a.requireStatus(200, next)
		time.Sleep(time.Hour) // from a backup of the browser, say
		require.Equal(t, ginsession.ErrSessionExpired, code(t, a.with(old).Get("/me")))
		require.Equal(t, 200, a.with(old).Do("POST", "/logout", "", nil).StatusCode)
		login(a.with(old))
		a.requireStatus(200, next)
	})
}

func TestReuseAtTheHandlers(t *testing.T) {
	for path, ends := range map[string]bool{"/session": false, "/session/refresh": true, "/logout": true, "/login": true} {
		inBubble(t, func(t *testing.T, a *app) {
			old, next := a.refreshed()
			a.requireStatus(200, next)
			time.Sleep(time.Minute)
			switch path {
			case "/session":
				require.Contains(t, a.with(old).Get(path).Text, `"reason":"SESSION_INVALID"`)
			case "/login":
				require.Equal(t, 200, login(a.with(old)).StatusCode)
			default:
				a.with(old).Do("POST", path, "", nil)
			}
			if ends {
				a.requireStatus(401, next)
			} else {
				a.requireStatus(200, next)
			}
		})
	}
}

func TestReuseWithAStorageFault(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		old, next := a.refreshed()
		a.requireStatus(200, next)
		time.Sleep(time.Minute)
		for n := 1; n <= 5; n++ {
			a.wire.breakAt(n, false, fails)
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, a.with(old).Get("/open")), "at %d", n)
			a.wire.reset()
			a.requireStatus(200, next)
		}
		a.requireStatus(401, old)
		a.requireStatus(401, next)
	})
}

// A logout reads the row, a refresh in another process rotates it, the logout
// goes on: the session ends, under every cookie.
func TestLogoutOvertakenByARotation(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		_, otherEngine := a.otherProcess()
		for n := 2; n <= 3; n++ { // before BEGIN, before the UPDATE
			c := a.signIn("ada")
			old := c.Cookie(cookieName)
			time.Sleep(23*time.Hour + 40*time.Minute)
			var rotated ginsessiontest.Response
			a.wire.breakAt(n, false, func(context.Context) error {
				if rotated.Response == nil {
					rotated = a.holding(otherEngine, old).Get("/me")
				}
				return nil
			})
			require.Equal(t, 200, a.with(old).Do("POST", "/logout", "", nil).StatusCode)
			a.wire.reset()
			require.Len(t, cookies(rotated), 1)
			a.requireStatus(401, old)
			a.requireStatus(401, cookies(rotated)[0])
			require.Zero(t, a.live())
		}
	})
}

// A request with the successor reads the row before it is rotated again, and
// judges it by that: it is no reuse.
func TestReuseIsJudgedByTheRowAsItIs(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		_, otherEngine := a.otherProcess()
		old, next := a.refreshed()
		a.requireStatus(200, next)
		time.Sleep(2 * time.Minute)
		var other ginsessiontest.Response
		a.wire.breakAt(2, false, func(context.Context) error {
			if other.Response == nil {
				other = a.holding(otherEngine, next).Do("POST", "/session/refresh", "", nil)
			}
			return nil
		})
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.with(old).Get("/me")))
		a.wire.reset()
		a.requireStatus(200, cookies(other)[0])
		a.requireStatus(401, old)
		a.requireStatus(401, cookies(other)[0])
	})
}

func TestChangeOfRoleRotates(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("bob")
		before := c.Cookie(cookieName)
		require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.bob.UserID, "admin"))
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		raised := c.Cookie(cookieName)
		require.NotEqual(t, secretOf(t, before), secretOf(t, raised))
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		require.Equal(t, raised, c.Cookie(cookieName), "once")
		require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.bob.UserID, "viewer"))
		for range 2 { // the secret is new: it rests
			require.Equal(t, 403, c.Get("/admin").StatusCode)
			require.Equal(t, raised, c.Cookie(cookieName))
			time.Sleep(time.Minute)
		}
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		require.NotEqual(t, secretOf(t, raised), secretOf(t, c.Cookie(cookieName)))
		time.Sleep(time.Minute)
		require.Equal(t, "bob", c.Get("/me").Text)
		a.requireStatus(401, before)
	})
}

func TestRoleOfAnyLength(t *testing.T) {
	role := strings.Repeat("é", 5000)
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("x")
		token := c.Cookie(cookieName)
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.Equal(t, token, c.Cookie(cookieName))
		role += "!"
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.NotEqual(t, token, c.Cookie(cookieName))
	}, func(c *ginsession.Config) {
		who := func() (ginsession.Identity, error) { return ginsession.Identity{UserID: "1", Role: role}, nil }
		c.Users = &users{who, func(string) (ginsession.Identity, error) { return who() }}
	})
}

func TestCookieUnderARetiredKeyIsReissued(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		time.Sleep(30 * time.Second)
		_, a.engine = a.node(a.db, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2, key1} })
		c := a.with(token)
		require.Len(t, cookies(c.Get("/me")), 1)
		require.Empty(t, cookies(c.Get("/me")), "once")

		_, a.engine = a.node(a.db, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2} })
		a.requireStatus(200, c.Cookie(cookieName))
		require.Equal(t, ginsession.ErrTokenInvalid, code(t, a.with(token).Get("/me")))
	})
}

func TestManyRefreshesAtOnceRotateOnce(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		time.Sleep(time.Minute)
		var mu sync.Mutex
		secrets := map[string]bool{}
		var group sync.WaitGroup
		for range 20 {
			c := a.with(token)
			group.Go(func() {
				r := c.Do("POST", "/session/refresh", "", nil)
				require.Equal(t, 200, r.StatusCode, r.Text)
				mu.Lock()
				defer mu.Unlock()
				for _, token := range cookies(r) {
					secrets[secretOf(t, token)] = true
				}
			})
		}
		group.Wait()
		require.Len(t, secrets, 1)
		require.Equal(t, []string{"session_created", "session_renewed"}, a.events()[2:])
	})
}

// A browser that sends requests side by side, whose answers come late, out of
// order or not at all, stays signed in; a thief who held on to a cookie that was
// replaced ends the session. All is drawn by lot, from a seed that is printed.
func TestRotationUnderABadNetwork(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	lot := rand.New(rand.NewPCG(seed, 0))
	onEach(t, func(t *testing.T, a *app) {
		sequences := 60
		if a.d.Kind != "sqlite" {
			sequences = 8
		}
		for n := range sequences {
			b := &badNetwork{t: t, a: a, lot: lot, label: fmt.Sprintf("seed %d, sequence %d", seed, n)}
			b.run()
		}
	}, func(c *ginsession.Config) { c.MaxAge, c.RefreshThreshold = 10*time.Minute, 5*time.Minute })
}

// badNetwork is one browser. A request takes up to 25 seconds to arrive, and its
// answer up to a minute to return.
type badNetwork struct {
	t      *testing.T
	a      *app
	lot    *rand.Rand
	label  string
	cookie string
	held   []string // every cookie that there was
	events []event
	over   bool // the cookie ran out, because all answers with a newer one were lost
}

type event struct {
	at time.Time
	do func()
}

func (b *badNetwork) after(limit time.Duration, do func()) {
	at := time.Now().Add(time.Duration(b.lot.Int64N(int64(limit))))
	b.events = append(b.events, event{at, do})
}

func (b *badNetwork) run() {
	b.cookie = b.a.signIn("ada").Cookie(cookieName)
	b.held = []string{b.cookie}
	id := sessionOf(b.t, b.cookie)
	for range 60 {
		if b.over {
			return
		}
		for range b.lot.IntN(4) {
			b.send()
		}
		b.passTime(time.Duration(b.lot.Int64N(int64(3 * time.Minute))))
	}
	b.passTime(2 * time.Minute)
	if left := time.Until(time.Unix(claimsOf(b.t, b.cookie).Exp, 0)); b.over || left < time.Minute {
		return
	}
	c := b.a.with(b.cookie)
	for range 2 {
		require.Equal(b.t, 200, c.Get("/me").StatusCode, b.label)
		time.Sleep(31 * time.Second)
	}
	b.cookie = c.Cookie(cookieName)

	// The thief comes with a cookie that was replaced, and has time left.
	var row models.Session
	require.NoError(b.t, b.a.db.Where("id = ?", id).First(&row).Error)
	for _, token := range slices.Backward(b.held) {
		stale := secretOf(b.t, token) != secretOf(b.t, b.cookie) && time.Unix(claimsOf(b.t, token).Exp, 0).After(time.Now())
		if stale && row.SeenAt != 0 {
			b.a.requireStatus(401, token)
			b.a.requireStatus(401, b.cookie)
			return
		}
	}
	b.a.requireStatus(200, b.cookie)
}

func (b *badNetwork) send() {
	sent := b.cookie
	b.after(25*time.Second, func() {
		c := b.a.with(sent)
		var r ginsessiontest.Response
		if b.lot.IntN(5) == 0 {
			r = c.Do("POST", "/session/refresh", "", nil)
		} else {
			r = c.Get("/me")
		}
		if ranOut := time.Unix(claimsOf(b.t, sent).Exp, 0); !time.Now().Before(ranOut) && r.StatusCode == 401 {
			require.Contains(b.t, r.Text, "SESSION_EXPIRED", b.label)
			b.over = true
			return
		}
		require.Equal(b.t, 200, r.StatusCode, "%s: %s", b.label, r.Text)
		for _, token := range cookies(r) {
			b.held = append(b.held, token)
			if b.lot.IntN(4) > 0 { // or it is lost
				b.after(time.Minute, func() { b.cookie = token })
			}
		}
	})
}

// passTime lets what is under way arrive.
func (b *badNetwork) passTime(d time.Duration) {
	end := time.Now().Add(d)
	for {
		slices.SortFunc(b.events, func(x, y event) int { return x.at.Compare(y.at) })
		if len(b.events) == 0 || b.events[0].at.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		next := b.events[0]
		b.events = b.events[1:]
		time.Sleep(time.Until(next.at))
		next.do()
	}
}
