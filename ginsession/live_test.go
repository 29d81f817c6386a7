// Live sessions: answered from memory, ended at once here and within a second
// there.

package ginsession_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

// byRequests counts the statements since the wire was reset that are not those
// of the feed.
func (w *wire) byRequests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var others []string
	for _, call := range w.calls {
		if !strings.Contains(call, "session_events") || strings.HasPrefix(call, "INSERT") {
			others = append(others, call)
		}
	}
	return others
}

func TestKnownSessionCostsNoQuery(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		a.wire.reset()
		for range 1000 {
			require.Equal(t, 200, c.Get("/me").StatusCode)
			require.Equal(t, 200, c.Get("/admin").StatusCode)
			require.Contains(t, c.Get("/session").Text, `"isAuthenticated":true`)
		}
		require.Empty(t, a.wire.byRequests())
	})
}

func TestStatementsOfAKnownSession(t *testing.T) {
	const (
		begin, commit = "BEGIN", "COMMIT"
		event         = "INSERT INTO session_events"
		upd           = "UPDATE sessions"
	)
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		for _, act := range []struct {
			name string
			do   func(c *ginsessiontest.Client)
			want []string
		}{
			{"load", func(c *ginsessiontest.Client) { c.Get("/me") }, nil},
			{"load by role", func(c *ginsessiontest.Client) { c.Get("/admin") }, nil},
			{"status", func(c *ginsessiontest.Client) { c.Get("/session") }, nil},
			{"refresh", func(c *ginsessiontest.Client) { c.PostJSON("/session/refresh", nil) },
				[]string{"SELECT", begin, upd, event, commit}},
			{"logout", func(c *ginsessiontest.Client) { c.PostJSON("/logout", nil) },
				[]string{begin, upd, event, commit}},
			{"login", func(c *ginsessiontest.Client) { c.PostJSON("/login", gin.H{"username": "ada", "password": password}) },
				[]string{"SELECT", begin, "INSERT INTO login_attempts", "SELECT", commit, // counted
					begin, "DELETE FROM login_attempts", commit, // forgiven
					begin, "UPDATE users", upd, "SELECT", "INSERT INTO sessions", event, commit}},
		} {
			c := a.signIn("ada")
			c.Get("/me")
			time.Sleep(time.Second) // a refresh in the same second would lengthen nothing
			a.wire.reset()
			act.do(c)
			require.Equal(t, act.want, append([]string(nil), a.wire.statements()...), act.name)
		}
	})
}

// An entry is read again after CacheFor, and an access is written once a minute.
func TestAnHourOfAKnownSession(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		c.Header.Set("User-Agent", "Later/2.0")
		a.wire.reset()
		for range 3600 {
			time.Sleep(time.Second)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		reads, writes := 0, 0
		for _, s := range a.wire.byRequests() {
			switch {
			case strings.HasPrefix(s, "SELECT"):
				reads++
			case strings.HasPrefix(s, "UPDATE"):
				writes++
			}
		}
		require.LessOrEqual(t, reads, 130, "one each CacheFor, and the sweep's")
		require.InDelta(t, 60, writes, 1)

		row := a.row()
		require.WithinRange(t, row.LastAccessed.Time(), time.Now().Add(-62*time.Second), time.Now())
		require.Equal(t, "Later/2.0", row.UserAgent)
		require.Contains(t, c.Get("/session").Text, `"lastAccessed":"`+time.Now().UTC().Format("2006-01-02T15:04:05.999Z"))
	})
}

func TestWithoutRunEveryRequestReadsItsRow(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		reads := func() int {
			a.wire.reset()
			for range 10 {
				time.Sleep(100 * time.Millisecond)
				require.Equal(t, 200, c.Get("/me").StatusCode)
			}
			return len(a.wire.byRequests())
		}
		require.Equal(t, 10, reads())
		stop := a.run(a.sessions)
		time.Sleep(time.Second)
		require.Equal(t, 10, reads(), "it is not known yet what is under way")
		time.Sleep(settled)
		reads()
		require.Zero(t, reads())
		stop()
		require.Equal(t, 10, reads())
		a.run(a.sessions)
		time.Sleep(settled)
		reads()
		require.Zero(t, reads(), "it can be started again")
	})
}

func TestRunIsRefusedTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		stop := a.run(a.sessions)
		synctest.Wait()
		err := a.sessions.Run(t.Context())
		require.ErrorIs(t, err, ginsession.ErrInternal)
		stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, a.sessions.Run(ctx))
	})
}

// Everything that changes a session shows at the very next request of the same
// node, and at the other node a second later.
func TestInvariant4AtOnceHereWithinASecondThere(t *testing.T) {
	const interval = ginsession.DefaultSyncEvery
	type step struct {
		name string
		// do changes something on the node of a. Here is the browser whose session it
		// concerns; status and body are what /admin answers it from then on.
		do     func(a *app, here *ginsessiontest.Client, id string) error
		status int
		body   string
	}
	steps := []step{
		{"logout", func(_ *app, here *ginsessiontest.Client, _ string) error {
			copied := here.Cookie(cookieName)
			here.PostJSON("/logout", nil)
			here.Header.Set("Cookie", cookieName+"="+copied)
			return nil
		}, 401, "SESSION_NOT_FOUND"},
		{"revoke", func(a *app, _ *ginsessiontest.Client, id string) error {
			return a.sessions.RevokeSession(a.t.Context(), id, "")
		}, 401, "SESSION_NOT_FOUND"},
		{"revoke all of the user", func(a *app, _ *ginsessiontest.Client, _ string) error {
			n, err := a.sessions.RevokeUser(a.t.Context(), a.ada.UserID)
			require.Equal(a.t, 1, n)
			return err
		}, 401, "SESSION_NOT_FOUND"},
		{"revoke the others", func(a *app, _ *ginsessiontest.Client, id string) error {
			n, err := a.sessions.RevokeUser(a.t.Context(), a.ada.UserID, id)
			require.Zero(a.t, n)
			return err
		}, 200, "admin"},
		{"role", func(a *app, _ *ginsessiontest.Client, _ string) error {
			return a.sessions.Accounts().SetRole(a.t.Context(), a.ada.UserID, "viewer")
		}, 403, "ROLE_REQUIRED"},
		{"disable", func(a *app, _ *ginsessiontest.Client, _ string) error {
			return a.sessions.Accounts().Disable(a.t.Context(), a.ada.UserID)
		}, 401, "SESSION_INVALID"},
		{"delete", func(a *app, _ *ginsessiontest.Client, _ string) error {
			return a.sessions.Accounts().Delete(a.t.Context(), a.ada.UserID)
		}, 401, "SESSION_INVALID"},
		{"password", func(a *app, _ *ginsessiontest.Client, _ string) error {
			return a.sessions.Accounts().SetPassword(a.t.Context(), a.ada.UserID, "another password")
		}, 401, "SESSION_NOT_FOUND"},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				other, engine := a.otherProcess()
				a.run(a.sessions)
				a.run(other)
				time.Sleep(settled)
				here := a.signIn("ada")
				there := ginsessiontest.NewClient(engine)
				there.Header.Set("Cookie", cookieName+"="+here.Cookie(cookieName))
				for range 2 {
					require.Equal(t, 200, here.Get("/admin").StatusCode)
					require.Equal(t, 200, there.Get("/admin").StatusCode)
				}
				require.NoError(t, s.do(a, here, string(a.row().ID)))
				r := here.Get("/admin")
				require.Equal(t, s.status, r.StatusCode, r.Text)
				require.Contains(t, r.Text, s.body)

				r = there.Get("/admin")
				require.Equal(t, 200, r.StatusCode, "memory answers there, or this test shows nothing")
				time.Sleep(interval)
				r = there.Get("/admin")
				require.Equal(t, s.status, r.StatusCode, r.Text)
				require.Contains(t, r.Text, s.body)
			})
		})
	}
}

// anyone is a Users in which everybody may sign in.
type anyone struct{ role string }

func (u *anyone) Authenticate(ctx context.Context, login, _ string) (ginsession.Identity, error) {
	return u.Identity(ctx, login)
}

func (u *anyone) Identity(_ context.Context, id string) (ginsession.Identity, error) {
	return ginsession.Identity{UserID: id, Username: "user " + id, Role: u.role}, nil
}

func TestUsersOfTheApplicationAreAskedAgain(t *testing.T) {
	users := &anyone{role: "admin"}
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.client()
		require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": "7", "password": "x"}).StatusCode)
		require.Equal(t, 200, c.Get("/admin").StatusCode)

		users.role = "viewer"
		require.Equal(t, 200, c.Get("/admin").StatusCode, "nobody has told")
		require.NoError(t, a.sessions.UserChanged(t.Context(), "7"))
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		require.Equal(t, 200, c.Get("/me").StatusCode)

		users.role = "admin"
		time.Sleep(ginsession.DefaultCacheFor)
		require.Equal(t, 200, c.Get("/admin").StatusCode, "and without a word within CacheFor")
		require.NoError(t, a.sessions.UserChanged(t.Context(), "nobody"))
		require.NoError(t, a.sessions.UserChanged(t.Context(), ""))
	}, func(c *ginsession.Config) { c.Users = users })
}

func TestRevokingWhatIsNotThere(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		id := string(a.row().ID)
		for _, wrong := range []string{"", "x", strings.ToLower(id), id + " ", strings.Repeat("A", 300), "a\x00b", "\xff"} {
			require.ErrorIs(t, a.sessions.RevokeSession(t.Context(), wrong, ""), ginsession.ErrNoSuchSession, "%q", wrong)
			n, err := a.sessions.RevokeUser(t.Context(), wrong)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		for _, reason := range []ginsession.Reason{ginsession.Reason(strings.Repeat("r", 33)), "a\x00b", "a\nb", "\xff"} {
			require.ErrorIs(t, a.sessions.RevokeSession(t.Context(), id, reason), ginsession.ErrRequestInvalid)
		}
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.NoError(t, a.sessions.RevokeSession(t.Context(), id, "stolen device"))
		require.Equal(t, "stolen device", a.row().EndReason)
		require.ErrorIs(t, a.sessions.RevokeSession(t.Context(), id, ""), ginsession.ErrNoSuchSession)
		require.Equal(t, []string{"user_created", "user_created", "session_created", "authn_token_revoked"}, a.events())
	})
}

// A request reads its row; the session ends and that is told; the reading goes on
// with what it has. It may not put that back into memory.
func TestAReaderThatWasOvertakenPutsNothingBack(t *testing.T) {
	for _, change := range []struct {
		name   string
		do     func(a *app) error
		status int
	}{
		{"end", func(a *app) error { return a.sessions.RevokeSession(a.t.Context(), string(a.row().ID), "") }, 401},
		{"role", func(a *app) error { return a.sessions.Accounts().SetRole(a.t.Context(), a.ada.UserID, "viewer") }, 403},
	} {
		t.Run(change.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				a.run(a.sessions)
				time.Sleep(settled)
				c := a.signIn("ada")

				read := make(chan struct{})
				changed := make(chan struct{})
				a.wire.carriedOut(func() {
					close(read)
					<-changed
				})
				answer := make(chan int)
				go func() { answer <- c.Get("/admin").StatusCode }()
				<-read
				require.NoError(t, change.do(&app{t: t, db: a.aside(), sessions: a.sessions, ada: a.ada}))
				close(changed)
				require.Equal(t, change.status, <-answer, "it sees the change, although it was reading")
				require.Equal(t, change.status, a.with(c.Cookie(cookieName)).Get("/admin").StatusCode)
			})
		})
	}
}

func TestMemoryIsNotBelievedWhenTheFeedFails(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		for range 2 {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		a.wire.breakAt(1, false, fails)
		time.Sleep(2500 * time.Millisecond)
		require.Equal(t, 200, c.Get("/me").StatusCode, "up to three intervals")
		time.Sleep(time.Second)
		for range 10 {
			r := c.Get("/me")
			require.Equal(t, 503, r.StatusCode, r.Text)
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r))
			time.Sleep(time.Second)
		}
		a.wire.reset()
		require.Equal(t, 200, c.Get("/me").StatusCode, "nobody was signed out")
		time.Sleep(2 * time.Second)
		c.Get("/me")
		a.wire.reset()
		c.Get("/me")
		require.Empty(t, a.wire.byRequests(), "memory is believed again")
		require.Equal(t, 1, strings.Count(a.logs.text(), "the changes of other processes cannot be read"+`","error`), "told once")
		require.Contains(t, a.logs.text(), "over: the changes")
	})
}

// The other node ends the session while this one cannot read the feed, for less
// and for more than CacheFor.
func TestWhatEndedWhileTheFeedFailed(t *testing.T) {
	for _, outage := range []time.Duration{10 * time.Second, time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				other, _ := a.otherProcess()
				a.run(a.sessions)
				time.Sleep(settled)
				c := a.signIn("ada")
				require.Equal(t, 200, c.Get("/me").StatusCode)
				id := string(a.row().ID)
				a.wire.breakAt(1, false, fails)
				time.Sleep(outage / 2)
				require.NoError(t, other.RevokeSession(t.Context(), id, ""))
				time.Sleep(outage / 2)
				a.wire.reset()
				for range 60 {
					require.Equal(t, 401, c.Get("/me").StatusCode)
					time.Sleep(time.Second / 3)
				}
			})
		})
	}
}

func TestAJumpOfTheClock(t *testing.T) {
	var step atomic.Int64
	onEach(t, func(t *testing.T, a *app) {
		step.Store(0)
		a.run(a.sessions)
		for _, jump := range []time.Duration{-20 * time.Second, 10 * time.Second, time.Hour, -4 * time.Second} {
			time.Sleep(settled)
			c := a.signIn("ada")
			c.Get("/me")
			time.Sleep(40 * time.Second)
			a.wire.reset()
			c.Get("/me")
			require.Empty(t, a.wire.byRequests())

			step.Add(int64(jump))
			require.Equal(t, 200, c.Get("/me").StatusCode)
			require.NotEmpty(t, a.wire.byRequests(), "%v: the row is read", jump)
		}
	}, onlyByFeed, func(c *ginsession.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
	})
}

func TestChangesBehindOurBackShowWithinCacheFor(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		c.Get("/admin")
		require.NoError(t, a.aside().Model(&models.User{}).Where("id = ?", models.Exact(a.ada.UserID)).Update("role", "viewer").Error)
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		time.Sleep(ginsession.DefaultCacheFor)
		require.Equal(t, 403, c.Get("/admin").StatusCode)
	})
}

func TestALateAnswerLeavesNothingBehind(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		c.Get("/me")
		// The transaction is carried out, but the word of it is lost.
		a.wire.breakAt(4, true, fails)
		require.Equal(t, 503, c.PostJSON("/logout", nil).StatusCode)
		a.wire.reset()
		require.NotZero(t, a.row().EndedAt)
		require.Equal(t, 401, c.Get("/me").StatusCode)
	})
}

// Used here, at whatever intervals, then there just before it would be idle. The
// writes of the batches fail for some seconds, or do not.
func TestIdleTimeoutAcrossNodes(t *testing.T) {
	for _, test := range []struct {
		idle   time.Duration
		faults bool
	}{{2 * time.Minute, false}, {2 * time.Minute, true}, {3 * time.Minute, false}, {3 * time.Minute, true}} {
		idle := func(c *ginsession.Config) { c.IdleTimeout = test.idle }
		t.Run(fmt.Sprint(test.idle, test.faults), func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				other, engine := a.node(a.d.Open(t), idle)
				a.run(a.sessions)
				time.Sleep(17 * time.Second)
				a.run(other)
				time.Sleep(settled)
				here := a.signIn("ada")
				there := ginsessiontest.NewClient(engine)
				there.Header.Set("Cookie", cookieName+"="+here.Cookie(cookieName))
				a.wire.failWrites(test.faults)
				for _, pause := range []time.Duration{time.Second, 20 * time.Second, 44 * time.Second, 46 * time.Second, 61 * time.Second, test.idle - time.Second} {
					for began := time.Now(); time.Since(began) < 5*time.Minute; {
						require.Equal(t, 200, here.Get("/me").StatusCode, "%v", pause)
						time.Sleep(pause)
						if pause <= time.Minute { // it is in use there as well, and not written from there
							require.Contains(t, there.Get("/session").Text, `"isAuthenticated":true`, "%v", pause)
						}
					}
					require.Equal(t, 200, here.Get("/me").StatusCode)
					time.Sleep(test.idle - time.Second)
					require.Equal(t, 200, there.Get("/me").StatusCode, "%v", pause)
				}
				time.Sleep(test.idle)
				require.Equal(t, ginsession.ErrSessionExpired, code(t, here.Get("/me")))
				require.Equal(t, "idle", a.row().EndReason)
			}, idle)
		})
	}
}

// However a session is used, its row is written once a minute at most.
func TestWritesOfASession(t *testing.T) {
	for _, pauses := range [][]time.Duration{
		{time.Second}, {20 * time.Second}, {4 * time.Second, 56 * time.Second}, {59 * time.Second}, {61 * time.Second}, {5 * time.Second, time.Minute},
	} {
		for _, idle := range []time.Duration{0, 10 * time.Minute} {
			t.Run(fmt.Sprint(pauses, idle), func(t *testing.T) {
				inBubble(t, func(t *testing.T, a *app) {
					a.run(a.sessions)
					time.Sleep(settled)
					c := a.signIn("ada")
					a.wire.reset()
					began := time.Now()
					for time.Since(began) < time.Hour {
						for _, pause := range pauses {
							time.Sleep(pause)
							require.Equal(t, 200, c.Get("/me").StatusCode)
						}
					}
					writes := 0
					for _, s := range a.wire.statements() {
						if s == "UPDATE sessions" {
							writes++
						}
					}
					require.LessOrEqual(t, writes, 1+int(time.Since(began)/time.Minute))
					require.Greater(t, writes, 25)
				}, func(c *ginsession.Config) { c.IdleTimeout = idle })
			})
		}
	}
}

// When Run has ended, accesses are written as without it.
func TestAccessesAfterRun(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		stop := a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		stop()
		for range 30 {
			time.Sleep(10 * time.Second)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		require.WithinRange(t, a.row().LastAccessed.Time(), time.Now().Add(-time.Minute), time.Now())
	})
}

// A request is under way while Run ends and begins anew. It reads the row before
// the feed does, and puts it into memory; another node revokes the session in
// between, so that its event is never heard.
func TestWhatWasReadBeforeTheFeedBegan(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		stop := a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		begun, goOn := make(chan struct{}), make(chan struct{})
		a.wire.rewriting(func(query string) string { // just before it is read
			if strings.Contains(query, "LEFT JOIN") {
				a.wire.rewriting(nil)
				close(begun)
				<-goOn
			}
			return query
		})
		answer := make(chan int)
		go func() { answer <- c.Get("/me").StatusCode }()
		<-begun
		stop()
		id := string(a.row().ID)
		a.wire.rewriting(func(query string) string { // and before the feed is
			if strings.Contains(query, "MAX(id)") {
				a.wire.rewriting(nil)
				close(goOn)
				if status := <-answer; status != 200 {
					t.Errorf("answered %d", status)
				}
				if err := other.RevokeSession(t.Context(), id, ""); err != nil {
					t.Error(err)
				}
			}
			return query
		})
		a.run(a.sessions)
		for range 20 {
			time.Sleep(time.Second)
			require.Equal(t, 401, c.Get("/me").StatusCode)
		}
	}, onlyByFeed)
}

// Something falls due while memory answers.
func TestMemoryHidesNothingThatIsDue(t *testing.T) {
	follow := func(a *app) *ginsessiontest.Client {
		a.run(a.sessions)
		time.Sleep(settled)
		return a.signIn("ada")
	}
	t.Run("refresh", func(t *testing.T) {
		inBubble(t, func(t *testing.T, a *app) {
			c := follow(a)
			time.Sleep(29*time.Minute + 50*time.Second)
			require.Empty(t, cookies(c.Get("/me")))
			time.Sleep(20 * time.Second)
			require.Len(t, cookies(c.Get("/me")), 1)
		}, onlyByFeed, func(c *ginsession.Config) { c.MaxAge = time.Hour })
	})
	t.Run("end", func(t *testing.T) {
		inBubble(t, func(t *testing.T, a *app) {
			c := follow(a)
			for range 6 {
				require.Equal(t, 200, c.Get("/me").StatusCode)
				time.Sleep(10 * time.Second)
			}
			require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/me")))
		}, onlyByFeed, func(c *ginsession.Config) { c.MaxAge, c.AbsoluteTimeout = time.Minute, time.Minute })
	})
	t.Run("rotation for a role, when the secret has rested", func(t *testing.T) {
		inBubble(t, func(t *testing.T, a *app) {
			c := follow(a)
			time.Sleep(time.Minute)
			c.PostJSON("/session/refresh", nil)
			c.Get("/me")
			require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.ada.UserID, "viewer"))
			time.Sleep(2 * time.Second)
			rotated := 0
			for range 20 { // used all along, so that memory could answer
				rotated += len(cookies(c.Get("/me")))
				time.Sleep(10 * time.Second)
			}
			require.Equal(t, 1, rotated)
		}, onlyByFeed)
	})
	t.Run("reuse of a cookie that expires with its successor", func(t *testing.T) {
		inBubble(t, func(t *testing.T, a *app) {
			a.run(a.sessions)
			time.Sleep(settled)
			c := a.client()
			c.PostJSON("/login", gin.H{"username": "ada", "password": password, "remember": true})
			old := a.with(c.Cookie(cookieName))
			require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.ada.UserID, "viewer"))
			require.Len(t, cookies(c.Get("/me")), 1)
			c.Get("/me")
			time.Sleep(3 * time.Second)
			require.Equal(t, 200, old.Get("/me").StatusCode)
			time.Sleep(30 * time.Second)
			require.Equal(t, ginsession.ErrSessionInvalid, code(t, old.Get("/me")))
		}, onlyByFeed)
	})
	t.Run("reuse", func(t *testing.T) {
		inBubble(t, func(t *testing.T, a *app) {
			c := follow(a)
			old := a.with(c.Cookie(cookieName))
			time.Sleep(time.Minute)
			c.PostJSON("/session/refresh", nil)
			c.Get("/me")
			time.Sleep(3 * time.Second)
			require.Equal(t, 200, old.Get("/me").StatusCode)
			time.Sleep(30 * time.Second)
			require.Equal(t, ginsession.ErrSessionInvalid, code(t, old.Get("/me")))
		}, onlyByFeed)
	})
}

func TestOrderlyStopLosesNoAccess(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		stop := a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		for range 30 {
			time.Sleep(time.Second)
			c.Get("/me")
		}
		last := models.At(time.Now())
		require.Less(t, a.row().LastAccessed, last)
		stop()
		require.Equal(t, last, a.row().LastAccessed)
	})
}

func TestAccessesSurviveAnOutage(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		for range 10 {
			time.Sleep(time.Second)
			c.Get("/me")
		}
		last := models.At(time.Now())
		a.wire.breakAt(1, false, fails)
		time.Sleep(90 * time.Second)
		a.wire.reset()
		time.Sleep(3 * time.Second)
		require.Equal(t, last, a.row().LastAccessed)
		require.Contains(t, a.logs.text(), "accesses cannot be written")
	})
}

// Access and end meet: the write of the access comes after the end.
func TestAnAccessDoesNotBringAnEndedSessionBack(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		stop := a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		c.Get("/me")
		time.Sleep(2 * time.Second)
		c.Get("/me")
		require.NoError(t, other.RevokeSession(t.Context(), string(a.row().ID), ""))
		before := a.row()
		c.Get("/me")
		stop()
		require.Equal(t, before, a.row())
	})
}

// Each of many sessions gets its own access, address and user agent, also when
// they take several statements, and a later one of another node stays.
func TestAccessesOfManySessions(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		stop := a.run(a.sessions)
		time.Sleep(settled)
		const n = 250
		clients := map[models.Exact]*ginsessiontest.Client{}
		for range n {
			c := a.signIn("ada")
			clients[models.Exact(sessionOf(t, c.Cookie(cookieName)))] = c
		}
		at := map[models.Exact]models.Time{}
		i := 0
		for id, c := range clients {
			time.Sleep(10 * time.Millisecond)
			c.Header.Set("User-Agent", fmt.Sprintf("agent %d 'quoted' \\ ☃ ?", i))
			i++
			c.Get("/me")
			time.Sleep(1100 * time.Millisecond / n)
			at[id] = models.At(time.Now())
		}
		time.Sleep(1100 * time.Millisecond)
		for id, c := range clients {
			time.Sleep(time.Millisecond)
			c.Get("/me")
			at[id] = models.At(time.Now())
		}
		var later models.Exact
		for id := range clients {
			later = id
			break
		}
		require.NoError(t, a.db.Model(&models.Session{}).Where("id = ?", later).
			Updates(map[string]any{"last_accessed": at[later] + 5, "ip_address": "there", "user_agent": "there"}).Error)
		a.wire.reset()
		stop()
		updates := 0
		for _, s := range a.wire.statements() {
			if s == "UPDATE sessions" {
				updates++
			}
		}
		require.Equal(t, 3, updates)
		rows := a.rows()
		require.Len(t, rows, n)
		for _, row := range rows {
			if row.ID == later {
				require.Equal(t, []any{at[later] + 5, "there", "there"}, []any{row.LastAccessed, row.IPAddress, row.UserAgent})
				continue
			}
			require.Equal(t, at[row.ID], row.LastAccessed)
			require.Equal(t, clients[row.ID].Header.Get("User-Agent"), row.UserAgent)
			require.Equal(t, "192.0.2.1", row.IPAddress)
		}
	}, unlimited)
}

// The bound holds, and those in use stay.
func TestLeastUsedSessionsGo(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		kept := a.signIn("ada")
		kept.Get("/me")
		for range 20 {
			for range 5 {
				a.signIn("bob").Get("/me")
			}
			a.wire.reset()
			kept.Get("/me")
			require.Empty(t, a.wire.byRequests())
		}
	}, func(c *ginsession.Config) { c.LiveSessions = 8 })
}
