// Streams that end with their session.

package ginsession_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
)

// watch opens a stream with a token, and returns its context although its handler
// has returned: the request has no context that ends.
func (a *app) watch(m *ginsession.Manager, token string, before ...gin.HandlerFunc) (ctx context.Context, stop context.CancelFunc) {
	a.t.Helper()
	r := gin.New()
	r.GET("/stream", append(append([]gin.HandlerFunc{a.logs.answers, m.Load}, before...), func(c *gin.Context) { ctx, stop = m.Watch(c) })...)
	c := a.with(token)
	if token == "" {
		c = a.client()
	}
	watchClient(r, c).Get("/stream")
	require.NotNil(a.t, ctx, "the stream was refused")
	return ctx, stop
}

// watchClient is a client of another handler with the cookies of c.
func watchClient(handler http.Handler, c *ginsessiontest.Client) *ginsessiontest.Client {
	other := ginsessiontest.NewClient(handler)
	other.Jar = c.Jar
	return other
}

// watchEnded fails t unless ctx has ended for a reason.
func watchEnded(t testing.TB, ctx context.Context, code ginsession.Code, reason ginsession.Reason, label string) {
	t.Helper()
	require.ErrorIs(t, ctx.Err(), context.Canceled, label)
	var e *ginsession.Error
	require.ErrorAs(t, context.Cause(ctx), &e, label)
	require.Equal(t, code, e.Code, label)
	require.Equal(t, reason, e.Reason, label)
	require.NotZero(t, e.Time, label)
}

// A watchAct is something that happens to a session of a user, which has a token.
type watchAct struct {
	name   string
	do     func(t *testing.T, a *app, user ginsession.Identity, token string)
	code   ginsession.Code
	reason ginsession.Reason
	all    bool // it happens to everybody
}

// watchEnds are the ways in which sessions end, and what the stream is told.
var watchEnds = []watchAct{
	{"logout", func(t *testing.T, a *app, _ ginsession.Identity, token string) {
		require.Equal(t, 200, a.with(token).PostJSON("/logout", nil).StatusCode)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonLogout, false},
	{"login over it", func(t *testing.T, a *app, _ ginsession.Identity, token string) {
		require.Equal(t, 200, login(a.with(token)).StatusCode)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonLogout, false},
	{"RevokeSession", func(t *testing.T, a *app, _ ginsession.Identity, token string) {
		require.NoError(t, a.sessions.RevokeSession(t.Context(), string(sessionOf(t, token)), ""))
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, false},
	{"RevokeSession for a reason of the application", func(t *testing.T, a *app, _ ginsession.Identity, token string) {
		require.NoError(t, a.sessions.RevokeSession(t.Context(), string(sessionOf(t, token)), "stolen"))
	}, ginsession.ErrSessionNotFound, "stolen", false},
	{"RevokeUser", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		n, err := a.sessions.RevokeUser(t.Context(), user.UserID)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, false},
	{"RevokeUser by an admin", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		_, err := a.sessions.RevokeUser(ginsession.NewContext(t.Context(), ginsession.Session{User: a.ada}), user.UserID)
		require.NoError(t, err)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonAdmin, false},
	{"RevokeAll", func(t *testing.T, a *app, _ ginsession.Identity, _ string) {
		_, err := a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, true},
	{"its user in another browser", func(t *testing.T, a *app, user ginsession.Identity, token string) {
		c := a.signIn(user.Username)
		require.Equal(t, `{"ended":1}`, c.Do("DELETE", "/sessions/"+string(sessionOf(t, token)), "", nil).Text)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, false},
	{"its user, all others", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		require.Equal(t, `{"ended":1}`, a.signIn(user.Username).Do("DELETE", "/sessions", "", nil).Text)
	}, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, false},
	{"SetPassword", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		require.NoError(t, a.sessions.Accounts().SetPassword(t.Context(), user.UserID, password))
	}, ginsession.ErrSessionNotFound, ginsession.ReasonPassword, false},
	{"ChangePassword", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		require.NoError(t, a.sessions.Accounts().ChangePassword(t.Context(), user.UserID, password, password))
	}, ginsession.ErrSessionNotFound, ginsession.ReasonPassword, false},
	{"Disable", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), user.UserID))
	}, ginsession.ErrSessionInvalid, ginsession.ReasonDisabled, false},
	{"Delete", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		require.NoError(t, a.sessions.Accounts().Delete(t.Context(), user.UserID))
	}, ginsession.ErrSessionInvalid, ginsession.ReasonDisabled, false},
	{"one sign-in too many", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		for range 3 {
			a.signIn(user.Username)
		}
	}, ginsession.ErrSessionNotFound, ginsession.ReasonLimit, false},
	{"reuse of a secret", func(t *testing.T, a *app, _ ginsession.Identity, token string) {
		old := forge(t, key1, string(sessionOf(t, token)), strings.Repeat("A", 43), time.Now().Add(time.Hour))
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.with(old).Get("/me")))
	}, ginsession.ErrSessionInvalid, ginsession.ReasonReuse, false},
	{"another role", func(t *testing.T, a *app, user ginsession.Identity, _ string) {
		require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), user.UserID, "editor"))
	}, ginsession.ErrRoleRequired, ginsession.ReasonRole, false},
}

func TestWatchEndsWithItsSession(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		a.run(other)
		time.Sleep(settled)
		for i, act := range watchEnds {
			user := a.user(fmt.Sprint("user", i), "viewer")
			token := a.signIn(user.Username).Cookie(cookieName)
			bystander := a.signIn("bob").Cookie(cookieName)
			time.Sleep(2 * time.Second) // later sign-ins are later
			here, _ := a.watch(a.sessions, token)
			twice, _ := a.watch(a.sessions, token)
			there, _ := a.watch(other, token)
			beside, _ := a.watch(a.sessions, bystander)
			far, _ := a.watch(other, bystander)
			require.NoError(t, here.Err(), act.name)

			began := time.Now()
			act.do(t, a, user, token)
			require.Zero(t, time.Since(began), act.name)
			watchEnded(t, here, act.code, act.reason, act.name)
			watchEnded(t, twice, act.code, act.reason, act.name)
			require.NoError(t, there.Err(), "%s: nobody has told the other node", act.name)

			time.Sleep(ginsession.DefaultSyncEvery)
			watchEnded(t, there, act.code, act.reason, act.name)
			if act.all {
				continue
			}
			require.NoError(t, beside.Err(), act.name)
			require.NoError(t, far.Err(), act.name)
			a.with(bystander).PostJSON("/logout", nil)
			require.Error(t, beside.Err(), act.name)
		}
	}, func(c *ginsession.Config) { c.MaxSessions = 3 })
}

func TestWatchGoesOnWithItsSession(t *testing.T) {
	acts := []watchAct{
		{name: "ChangePassword except it", do: func(t *testing.T, a *app, user ginsession.Identity, token string) {
			require.NoError(t, a.sessions.Accounts().ChangePassword(t.Context(), user.UserID, password, password, string(sessionOf(t, token))))
			require.Len(t, cookies(a.with(token).Get("/me")), 1, "it gets a new secret")
		}},
		{name: "RevokeUser except it", do: func(t *testing.T, a *app, user ginsession.Identity, token string) {
			a.signIn(user.Username)
			n, err := a.sessions.RevokeUser(t.Context(), user.UserID, string(sessionOf(t, token)))
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}},
		{name: "a refresh", do: func(t *testing.T, a *app, _ ginsession.Identity, token string) {
			time.Sleep(time.Minute)
			require.Len(t, cookies(a.with(token).PostJSON("/session/refresh", nil)), 1)
		}},
		{name: "his password, asked again", do: func(t *testing.T, a *app, _ ginsession.Identity, token string) {
			time.Sleep(time.Minute)
			require.Equal(t, 200, a.with(token).PostJSON("/session/reauthenticate", gin.H{"password": password}).StatusCode)
		}},
		{name: "UserChanged without a change", do: func(t *testing.T, a *app, user ginsession.Identity, _ string) {
			require.NoError(t, a.sessions.UserChanged(t.Context(), user.UserID))
		}},
		{name: "the same role", do: func(t *testing.T, a *app, user ginsession.Identity, _ string) {
			require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), user.UserID, user.Role))
		}},
		{name: "Enable", do: func(t *testing.T, a *app, user ginsession.Identity, _ string) {
			require.NoError(t, a.sessions.Accounts().Enable(t.Context(), user.UserID))
		}},
		{name: "another session of the user", do: func(t *testing.T, a *app, user ginsession.Identity, _ string) {
			require.Equal(t, 200, a.signIn(user.Username).PostJSON("/logout", nil).StatusCode)
		}},
		{name: "another user", do: func(t *testing.T, a *app, _ ginsession.Identity, _ string) {
			require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.bob.UserID, "editor"))
			require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.bob.UserID))
			require.NoError(t, a.sessions.Accounts().Enable(t.Context(), a.bob.UserID))
		}},
		{name: "a wrong password", do: func(t *testing.T, a *app, user ginsession.Identity, _ string) {
			r := a.client().PostJSON("/login", gin.H{"username": user.Username, "password": "wrong"})
			require.Equal(t, 401, r.StatusCode)
		}},
	}
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		a.run(other)
		time.Sleep(settled)
		for i, act := range acts {
			user := a.user(fmt.Sprint("user", i), "viewer")
			token := a.signIn(user.Username).Cookie(cookieName)
			here, stop := a.watch(a.sessions, token)
			there, stopThere := a.watch(other, token)
			defer stop()
			defer stopThere()
			act.do(t, a, user, token)
			require.NoError(t, here.Err(), act.name)
			time.Sleep(2 * ginsession.DefaultSyncEvery)
			require.NoError(t, here.Err(), act.name)
			require.NoError(t, there.Err(), act.name)

			require.NoError(t, a.sessions.RevokeSession(t.Context(), string(sessionOf(t, token)), ""))
			require.Error(t, here.Err(), act.name)
			time.Sleep(ginsession.DefaultSyncEvery)
			require.Error(t, there.Err(), act.name)
		}
	})
}

// watchShort are sessions that do not last long.
func watchShort(c *ginsession.Config) {
	c.MaxAge, c.RefreshThreshold, c.AbsoluteTimeout = 10*time.Minute, 2*time.Minute, 25*time.Minute
}

func TestWatchEndsWhenTheSessionRunsOut(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		c := a.signIn("ada")
		first, _ := a.watch(a.sessions, a.signIn("ada").Cookie(cookieName))
		ctx, _ := a.watch(a.sessions, c.Cookie(cookieName))
		time.Sleep(9 * time.Minute)
		require.Equal(t, 200, c.PostJSON("/session/refresh", nil).StatusCode)
		time.Sleep(time.Minute - time.Millisecond)
		require.NoError(t, first.Err())
		time.Sleep(ginsession.DefaultSyncEvery)
		watchEnded(t, first, ginsession.ErrSessionExpired, ginsession.ReasonExpired, "unused")

		require.NoError(t, ctx.Err(), "the refresh has moved its end")
		time.Sleep(8 * time.Minute)
		require.Equal(t, 200, c.Get("/me").StatusCode)
		time.Sleep(7*time.Minute - 2*time.Second)
		require.NoError(t, ctx.Err(), "so has the one before its end")
		time.Sleep(2*time.Second + ginsession.DefaultSyncEvery)
		watchEnded(t, ctx, ginsession.ErrSessionExpired, ginsession.ReasonAbsolute, "used")
	}, watchShort)
}

func TestWatchIsNoActivity(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		ctx, _ := a.watch(a.sessions, a.signIn("ada").Cookie(cookieName))
		c := a.signIn("ada")
		used, _ := a.watch(a.sessions, c.Cookie(cookieName))
		for range 4 {
			time.Sleep(time.Minute - time.Millisecond)
			require.NoError(t, ctx.Err())
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		time.Sleep(2 * ginsession.DefaultSyncEvery)
		watchEnded(t, ctx, ginsession.ErrSessionExpired, ginsession.ReasonIdle, "a stream alone")
		require.NoError(t, used.Err(), "other requests keep it")
		time.Sleep(4 * time.Minute)
		watchEnded(t, used, ginsession.ErrSessionExpired, ginsession.ReasonIdle, "they have stopped")
	}, watchShort, func(c *ginsession.Config) { c.IdleTimeout = 4 * time.Minute })
}

func TestWatchEndsWithItsRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		hangUp := func(ctx context.Context) gin.HandlerFunc {
			return func(c *gin.Context) { c.Request = c.Request.WithContext(watchEither{c.Request.Context(), ctx}) }
		}
		request, end := context.WithCancel(t.Context())
		ctx, _ := a.watch(a.sessions, token, hangUp(request))
		require.NoError(t, ctx.Err())
		end()
		synctest.Wait()
		require.Equal(t, context.Canceled, context.Cause(ctx))

		because := errors.New("the server goes down")
		request, fail := context.WithCancelCause(t.Context())
		r := gin.New()
		r.GET("/stream", a.sessions.Load, func(c *gin.Context) { ctx, _ = a.sessions.Watch(c) })
		q := httptest.NewRequestWithContext(request, "GET", "https://app.example.com/stream", nil)
		q.Header.Set("Cookie", cookieName+"="+token)
		r.ServeHTTP(httptest.NewRecorder(), q)
		require.NoError(t, ctx.Err())
		fail(because)
		require.Equal(t, because, context.Cause(ctx))

		ctx, stop := a.watch(a.sessions, token)
		stop()
		stop()
		require.Equal(t, context.Canceled, context.Cause(ctx), "the handler is done")
		require.NoError(t, a.sessions.RevokeSession(t.Context(), string(sessionOf(t, token)), ""))
		require.Equal(t, context.Canceled, context.Cause(ctx))
	})
}

// watchEither has the values of one context, and ends with another.
type watchEither struct {
	context.Context
	end context.Context
}

func (e watchEither) Done() <-chan struct{} { return e.end.Done() }
func (e watchEither) Err() error            { return e.end.Err() }

func TestWatchWithoutASessionHasEnded(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		ended := a.signIn("ada").Cookie(cookieName)
		require.NoError(t, a.sessions.RevokeSession(t.Context(), string(sessionOf(t, ended)), "stolen"))
		old := a.signIn("ada").Cookie(cookieName)
		time.Sleep(24 * time.Hour)
		for _, test := range []struct {
			name, token string
			code        ginsession.Code
			reason      ginsession.Reason
		}{
			{"no cookie", "", ginsession.ErrSessionNotFound, ""},
			{"junk", "junk", ginsession.ErrTokenInvalid, ""},
			{"ended", ended, ginsession.ErrSessionNotFound, "stolen"},
			{"run out", old, ginsession.ErrSessionExpired, ginsession.ReasonExpired},
		} {
			ctx, stop := a.watch(a.sessions, test.token)
			watchEnded(t, ctx, test.code, test.reason, test.name)
			stop()
		}
		live := a.signIn("ada").Cookie(cookieName)
		var ctx context.Context
		r := gin.New()
		r.GET("/stream", func(c *gin.Context) { ctx, _ = a.sessions.Watch(c) })
		require.Equal(t, 200, a.holding(r, live).Get("/stream").StatusCode)
		require.NoError(t, ctx.Err(), "Watch finds the session without Load too")
		a.wire.breakAt(1, false, fails)
		a.holding(r, live).Get("/stream")
		watchEnded(t, ctx, ginsession.ErrStoreUnavailable, "", "it cannot be known")
	})
}

func TestWatchEndsByALogoutThatTheDatabaseDidNotHear(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c, other := a.signIn("ada"), a.signIn("ada")
		ctx, _ := a.watch(a.sessions, c.Cookie(cookieName))
		live, _ := a.watch(a.sessions, other.Cookie(cookieName))
		a.wire.breakAt(1, false, fails)
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, c.PostJSON("/logout", nil)))
		watchEnded(t, ctx, ginsession.ErrSessionNotFound, ginsession.ReasonLogout, "")
		require.NoError(t, live.Err())
	})
}

// Nobody's stream ends because the database does not answer; what ended meanwhile is
// told when it is back, also after so long a time that the feed begins anew.
func TestWatchWhileTheDatabaseIsDown(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		a.run(a.sessions)
		time.Sleep(settled)
		for _, down := range []time.Duration{5 * time.Second, 2 * ginsession.DefaultCacheFor} {
			ended, live := a.signIn("ada").Cookie(cookieName), a.signIn("ada").Cookie(cookieName)
			for _, token := range []string{live, ended} {
				require.Equal(t, 200, a.with(token).Get("/me").StatusCode)
			}
			streams := map[string]context.Context{}
			for _, token := range []string{ended, live} {
				streams[token], _ = a.watch(a.sessions, token)
			}
			a.wire.breakAt(1, false, fails)
			require.NoError(t, other.RevokeSession(t.Context(), string(sessionOf(t, ended)), ""))
			late, _ := a.watch(a.sessions, live) // known, but it cannot be looked up
			time.Sleep(down)
			for _, ctx := range streams {
				require.NoError(t, context.Cause(ctx), "down for %v", down)
			}
			require.NoError(t, late.Err())
			a.wire.reset()
			time.Sleep(ginsession.DefaultSyncEvery)
			watchEnded(t, streams[ended], ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, "")
			require.NoError(t, streams[live].Err())
			require.NoError(t, late.Err())
			require.NoError(t, other.RevokeSession(t.Context(), string(sessionOf(t, live)), ""))
			time.Sleep(ginsession.DefaultSyncEvery)
			require.Error(t, streams[live].Err(), "down for %v", down)
			require.Error(t, late.Err())
		}
	})
}

func TestWatchNoticesWhatHappenedAfterLoad(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		a.run(a.sessions)
		time.Sleep(settled)
		for _, known := range []bool{false, true} {
			token := a.signIn("ada").Cookie(cookieName)
			if known {
				require.Equal(t, 200, a.with(token).Get("/me").StatusCode)
				require.Equal(t, 200, a.with(token).Get("/me").StatusCode)
			}
			ctx, _ := a.watch(a.sessions, token, func(*gin.Context) {
				require.NoError(t, other.RevokeSession(t.Context(), string(sessionOf(t, token)), ""))
			})
			watchEnded(t, ctx, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, "")

			user := a.user(fmt.Sprint("user ", known), "admin")
			token = a.signIn(user.Username).Cookie(cookieName)
			ctx, _ = a.watch(a.sessions, token, func(*gin.Context) {
				require.NoError(t, other.Accounts().SetRole(t.Context(), user.UserID, "viewer"))
			})
			watchEnded(t, ctx, ginsession.ErrRoleRequired, ginsession.ReasonRole, "")
		}
	})
}

// No goroutine, no timer, no query, little memory.
func TestTenThousandWatchers(t *testing.T) {
	const n = 10_000
	inBubble(t, func(t *testing.T, a *app) {
		stopRun := a.run(a.sessions)
		time.Sleep(settled)
		var tokens []string
		for range 50 {
			token := a.signIn("ada").Cookie(cookieName)
			require.Equal(t, 200, a.with(token).Get("/me").StatusCode)
			tokens = append(tokens, token)
		}
		var ctx context.Context
		var stop context.CancelFunc
		r := gin.New()
		r.GET("/stream", a.sessions.Load, func(c *gin.Context) { ctx, stop = a.sessions.Watch(c) })
		var requests []*http.Request
		for _, token := range tokens {
			request := httptest.NewRequestWithContext(context.Background(), "GET", "https://app.example.com/stream", nil)
			request.Header.Set("Cookie", cookieName+"="+token)
			requests = append(requests, request)
		}
		contexts, stops := make([]context.Context, n), make([]context.CancelFunc, n)
		synctest.Wait()
		goroutines, memory := runtime.NumGoroutine(), watchHeap()
		for i := range n {
			request := requests[i%len(requests)]
			again := request.Clone(request.Context())
			r.ServeHTTP(httptest.NewRecorder(), again)
			contexts[i], stops[i] = ctx, stop
			if i%1000 == 0 {
				a.wire.reset() // it keeps all that is sent
			}
		}
		a.wire.reset()
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
		each := (watchHeap() - memory) / n
		t.Logf("%d bytes each, with the request", each)
		require.Less(t, each, uint64(8<<10))
		watching, ids := a.sessions.TestOnlyWatchers()
		require.Equal(t, n, watching)
		require.Equal(t, len(tokens)+1, ids)

		time.Sleep(10 * ginsession.DefaultSyncEvery)
		for _, statement := range a.wire.statements() {
			require.NotEqual(t, "BEGIN", statement)
		}
		require.LessOrEqual(t, len(a.wire.statements()), 15, "readings of the feed, and batches of accesses")

		stopRun()
		for i, stop := range stops {
			if i%2 == 0 {
				stop()
			}
		}
		watching, _ = a.sessions.TestOnlyWatchers()
		require.Equal(t, n/2, watching)
		a.wire.reset()
		_, err := a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		for i, ctx := range contexts {
			require.Error(t, ctx.Err(), i)
		}
		watching, ids = a.sessions.TestOnlyWatchers()
		require.Zero(t, watching)
		require.Zero(t, ids)
	}, func(c *ginsession.Config) { c.MaxSessions = -1; c.CacheFor = time.Hour })
}

func watchHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestWatchersWhoseRequestsAreGone(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		request, end := context.WithCancel(t.Context())
		r := gin.New()
		r.GET("/stream", a.sessions.Load, func(c *gin.Context) { _, _ = a.sessions.Watch(c) }) // and forgets to stop
		for range 10 {
			q := httptest.NewRequestWithContext(request, "GET", "https://app.example.com/stream", nil)
			q.Header.Set("Cookie", cookieName+"="+token)
			r.ServeHTTP(httptest.NewRecorder(), q)
		}
		kept, stop := a.watch(a.sessions, token)
		watching, _ := a.sessions.TestOnlyWatchers()
		require.Equal(t, 11, watching)
		end()
		a.run(a.sessions)
		time.Sleep(ginsession.DefaultSyncEvery / 2)
		watching, _ = a.sessions.TestOnlyWatchers()
		require.Equal(t, 1, watching, "Run drops those that are gone")
		require.NoError(t, kept.Err())
		stop()
		watching, ids := a.sessions.TestOnlyWatchers()
		require.Zero(t, watching+ids)
	})
}

// Streams come and go on two nodes while sessions end.
func TestWatchersComeAndGoWhileSessionsEnd(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		nodes := []*ginsession.Manager{a.sessions, other}
		a.run(a.sessions)
		a.run(other)
		time.Sleep(settled)
		type stream struct {
			session int
			ctx     context.Context
			stop    context.CancelFunc
		}
		const sessions = 30
		var tokens []string
		for range sessions {
			tokens = append(tokens, a.signIn("ada").Cookie(cookieName))
		}
		var mu sync.Mutex
		var open []stream
		ended := map[int]bool{}
		var all sync.WaitGroup
		for worker := range 6 {
			all.Go(func() {
				lot := rand.New(rand.NewPCG(seed, uint64(worker)))
				for range 40 {
					i, node := lot.IntN(sessions), nodes[lot.IntN(2)]
					ctx, stop := watchDirect(node, tokens[i])
					if lot.IntN(2) == 0 {
						stop()
					} else {
						mu.Lock()
						open = append(open, stream{i, ctx, stop})
						mu.Unlock()
					}
					time.Sleep(time.Duration(lot.Int64N(int64(300 * time.Millisecond))))
				}
			})
		}
		for node := range nodes {
			all.Go(func() {
				for i := range sessions {
					if i%4 != node {
						continue
					}
					time.Sleep(200 * time.Millisecond)
					if err := nodes[node].RevokeSession(t.Context(), string(sessionOf(t, tokens[i])), ""); err != nil {
						t.Error(err)
					}
					mu.Lock()
					ended[i] = true
					mu.Unlock()
				}
			})
		}
		all.Wait()
		time.Sleep(ginsession.DefaultSyncEvery)
		require.NotEmpty(t, open)
		for _, s := range open {
			require.Equal(t, ended[s.session], s.ctx.Err() != nil)
			s.stop()
		}
		for _, node := range nodes {
			n, ids := node.TestOnlyWatchers()
			require.Zero(t, n+ids)
		}
	}, func(c *ginsession.Config) { c.MaxSessions = -1 })
}

// watchDirect opens a stream whose handler returns.
func watchDirect(m *ginsession.Manager, token string) (ctx context.Context, stop context.CancelFunc) {
	r := gin.New()
	r.GET("/stream", m.Load, func(c *gin.Context) { ctx, stop = m.Watch(c) })
	q := httptest.NewRequestWithContext(context.Background(), "GET", "https://app.example.com/stream", nil)
	q.Header.Set("Cookie", cookieName+"="+token)
	r.ServeHTTP(httptest.NewRecorder(), q)
	return ctx, stop
}

// A browser reads server-sent events until its session is revoked from another one.
func TestServerSentEventsEndWithTheSession(t *testing.T) {
	onStages(t, func(s *stage) {
		s.engine.GET("/events", ginsession.Require, func(c *gin.Context) {
			ctx, stop := s.sessions.Watch(c)
			defer stop()
			c.Header("Content-Type", "text/event-stream")
			c.SSEvent("hello", "ada")
			c.Writer.Flush()
			<-ctx.Done()
			var e *ginsession.Error
			if errors.As(context.Cause(ctx), &e) {
				c.SSEvent("end", string(e.Reason))
			}
		})
		watching, revoking := s.token("ada"), s.token("ada")
		request, err := http.NewRequestWithContext(s.t.Context(), "GET", s.server.URL+"/events", nil)
		require.NoError(s.t, err)
		request.Header.Set("Cookie", cookieName+"="+watching)
		response, err := http.DefaultClient.Do(request)
		require.NoError(s.t, err)
		defer func() { _ = response.Body.Close() }()
		lines := bufio.NewScanner(response.Body)
		require.True(s.t, lines.Scan())
		require.Equal(s.t, "event:hello", lines.Text())

		id := string(sessionOf(s.t.(*testing.T), watching))
		answer := s.send("DELETE", "/sessions/"+id, "", bearing(revoking))
		require.Equal(s.t, `{"ended":1}`, answer.Text)
		var rest []string
		for lines.Scan() {
			rest = append(rest, lines.Text())
		}
		require.NoError(s.t, lines.Err())
		require.Contains(s.t, rest, "event:end")
		require.Contains(s.t, rest, "data:revoked")
	})
}

// What is heard while a row is read, and cannot be looked up itself, is not settled by
// that reading.
func TestWatchIsNotCalmedByAnOlderReading(t *testing.T) {
	onServers(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		a.run(a.sessions)
		time.Sleep(settled)
		token := a.signIn("ada").Cookie(cookieName)
		ctx, _ := a.watch(a.sessions, token, func(*gin.Context) {
			a.wire.onRead("account_", func() { // Watch has its answer, and does not know it yet
				require.NoError(t, other.RevokeSession(t.Context(), string(sessionOf(t, token)), ""))
				a.wire.breakOn("AS account_", false, fails)
				time.Sleep(ginsession.DefaultSyncEvery) // the feed is read
				a.wire.reset()
			})
		})
		require.NoError(t, ctx.Err(), "the row could not be read again, or this test shows nothing")
		time.Sleep(ginsession.DefaultSyncEvery)
		watchEnded(t, ctx, ginsession.ErrSessionNotFound, ginsession.ReasonRevoked, "")
	})
}

// Those who watch are looked up together.
func TestManyWatchersTakeFewQueries(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		var streams []context.Context
		open := func() {
			for range 30 {
				token := a.signIn("ada").Cookie(cookieName)
				for range 3 {
					ctx, _ := a.watch(a.sessions, token)
					streams = append(streams, ctx)
				}
			}
			a.wire.reset()
		}
		open()
		a.run(a.sessions)
		time.Sleep(ginsession.DefaultSyncEvery / 2)
		require.LessOrEqual(t, len(a.wire.statements()), 2, "the feed begins, and all are looked up")
		a.wire.reset()
		n, err := a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		require.Equal(t, 30, n)
		require.LessOrEqual(t, len(a.wire.statements()), 6)
		open()
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.ada.UserID))
		require.LessOrEqual(t, len(a.wire.statements()), 6)
		for _, ctx := range streams {
			require.Error(t, ctx.Err())
		}
	}, func(c *ginsession.Config) { c.MaxSessions = -1 })
}

// One user of whom Users say nothing does not keep the streams of others open.
func TestWatchBesideAUserWhoIsNotKnown(t *testing.T) {
	var broken atomic.Bool
	for name, says := range map[string]func(ctx context.Context) error{
		"fails": func(context.Context) error { return errors.New("a row that does not scan") },
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			who := watchUsers(func(ctx context.Context, id string) (ginsession.Identity, error) {
				if id != "victim" && broken.Load() {
					return ginsession.Identity{}, says(ctx)
				}
				return ginsession.Identity{UserID: id, Username: id}, nil
			})
			inBubble(t, func(t *testing.T, a *app) {
				broken.Store(false)
				other, _ := a.node(a.d.Open(t), func(c *ginsession.Config) { c.Users = who })
				a.run(a.sessions)
				time.Sleep(settled)
				for i := range 5 {
					a.watch(a.sessions, a.signIn(fmt.Sprint("broken ", i)).Cookie(cookieName))
				}
				broken.Store(true)
				for range 5 {
					c := a.signIn("victim")
					ctx, _ := a.watch(a.sessions, c.Cookie(cookieName))
					time.Sleep(40 * time.Second) // so that the others are looked up again
					began := time.Now()
					require.NoError(t, other.RevokeSession(t.Context(), string(sessionOf(t, c.Cookie(cookieName))), ""))
					<-ctx.Done()
					// No more than the one question that is being asked just then.
					require.LessOrEqual(t, time.Since(began), ginsession.DefaultSyncEvery+ginsession.DefaultStoreTimeout)
					if name == "fails" {
						require.LessOrEqual(t, time.Since(began), ginsession.DefaultSyncEvery)
					}
				}
			}, func(c *ginsession.Config) { c.Users = who })
		})
	}
}

// watchUsers are users of whom the password is not asked.
type watchUsers func(ctx context.Context, id string) (ginsession.Identity, error)

func (u watchUsers) Authenticate(_ context.Context, login, _ string) (ginsession.Identity, error) {
	return ginsession.Identity{UserID: login, Username: login}, nil
}

func (u watchUsers) Identity(ctx context.Context, id string) (ginsession.Identity, error) {
	return u(ctx, id)
}
