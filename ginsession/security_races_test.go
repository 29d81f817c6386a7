// Part 2.6 of the security bar: races. Each write of the store is conditional, and
// each condition is there for a race. A race here is made certain: a hand on the wire
// lets requests that have read wait for each other, or for another process, before
// they write. Others run freely beside it, some rounds of them.
//
// Which subtest of TestSecurityRaces fails, on each of the three databases, when a
// condition is taken out of store.go. They are those that are made certain; the free
// rounds find few of these by themselves.
//
//	renew        secret_hash               A88: another role, in one millisecond
//	             renewed_at                C110: a renewal that was overtaken
//	             ended_at                  A89 A90: between the reading and the writing; A99
//	             the affected rows         A88; A89 A90; C110: a renewal that was overtaken; A99
//	touch        secret_hash               C110: an access that was overtaken
//	             last_accessed, seen_at    the same
//	             ended_at                  A89 A90
//	endRow       ended_at                  C110: what has ended; A94, but not on MariaDB,
//	                                       which counts the rows that changed
//	             the affected rows         C110: what has ended; A92, A94
//	endUser      ended_at                  C110: what has ended
//	expire       expires_at, last_accessed A97
//	reuse        secret_hash, seen_at      C110: a reuse that was overtaken
//	open         disabled_at, epoch        A91 A95
//	accesses     ended_at, last_accessed   C110: accesses written in a batch
//	sweepSessions  the second condition    TestSweepAsksAgain

package ginsession_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// racesWatch shows each call before it is carried out, and lets it fail.
func racesWatch(w *wire, see func(ctx context.Context, call string) error) {
	w.breakAt(1, false, func(context.Context) error { return nil })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = func(ctx context.Context, n int) error {
		w.mu.Lock()
		call := ""
		if n <= len(w.calls) {
			call = strings.Map(unquoted, w.calls[n-1])
		}
		w.mu.Unlock()
		return see(ctx, call)
	}
}

// racesMeet lets the next n calls that begin with some words wait for each other, on
// whatever wires.
func racesMeet(n int, words string, wires ...*wire) {
	var arrived atomic.Int64
	open := make(chan struct{})
	for _, w := range wires {
		racesWatch(w, func(ctx context.Context, call string) error {
			if !strings.HasPrefix(call, words) {
				return nil
			}
			switch k := int(arrived.Add(1)); {
			case k == n:
				close(open)
			case k < n:
				select {
				case <-open:
				case <-ctx.Done():
				}
			}
			return nil
		})
	}
}

// racesBefore lets do run before the next call that begins with some words, in the
// time of the request that makes it. The test fails if there is no such call.
func (s *stage) racesBefore(words string, do func()) (met func()) {
	var begun atomic.Bool
	racesWatch(s.wire, func(_ context.Context, call string) error {
		if strings.HasPrefix(call, words) && begun.CompareAndSwap(false, true) {
			do()
		}
		return nil
	})
	return func() {
		s.t.Helper()
		require.True(s.t, begun.Load(), "no %s was sent", words)
		s.wire.reset()
	}
}

// racesTogether makes requests at the same time.
func racesTogether(requests ...func() ginsessiontest.Response) []ginsessiontest.Response {
	answers := make([]ginsessiontest.Response, len(requests))
	start := make(chan struct{})
	var group sync.WaitGroup
	for i, request := range requests {
		group.Go(func() {
			<-start
			answers[i] = request()
		})
	}
	close(start)
	group.Wait()
	return answers
}

// racesLive counts the sessions that have not ended.
func (s *stage) racesLive() (n int64) {
	s.t.Helper()
	require.NoError(s.t, s.aside().Model(&models.Session{}).Where("ended_at = 0").Count(&n).Error)
	return n
}

// racesClear ends what other rows have left.
func (s *stage) racesClear() {
	s.t.Helper()
	require.NoError(s.t, s.aside().Where("1 = 1").Delete(&models.Session{}).Error)
	s.forgive()
	require.NoError(s.t, s.heal())
}

const racesPassword = "another password of ada's"

func TestSecurityRaces(t *testing.T) {
	lifeStages(t, func(s *stage) {
		other := s.lifeTwin()
		s.logs.secret(racesPassword)
		row := func(numbers, name string, test func(s *stage)) {
			s.row(numbers, name, func(s *stage) {
				s.racesClear()
				test(s)
			})
		}

		row("A88 C74 C110", "fifty requests when a refresh is due rotate once, and none is turned away", func(s *stage) {
			for name, prepare := range map[string]func() string{
				"near its end": func() string {
					token := s.token("ada")
					s.pass(lifeRefreshDue)
					return token
				},
				"another role, in the millisecond of the sign-in": func() string {
					token := s.token("bob")
					require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.bob.UserID, "editor"))
					return token
				},
			} {
				token := prepare()
				requests := make([]func() ginsessiontest.Response, 50)
				for i := range requests {
					node := []*stage{s, other}[i%2]
					requests[i] = func() ginsessiontest.Response { return node.lifeMe(token) }
					if i%5 == 0 {
						requests[i] = func() ginsessiontest.Response {
							return node.send("POST", "/session/refresh", "", bearing(token))
						}
					}
				}
				racesMeet(len(requests), "BEGIN", s.wire, other.wire) // all have read
				var issued []string
				for _, r := range racesTogether(requests...) {
					require.Equal(s.t, 200, r.StatusCode, "%s: %s", name, r.Text)
					issued = append(issued, cookies(r)...)
				}
				s.wire.reset()
				other.wire.reset()
				require.Len(s.t, issued, 1, name)
				require.Equal(s.t, []string{"session_created", "session_renewed"}, s.lifeEvents(token), name)
				for _, node := range []*stage{s, other} {
					node.lifeGood(token, issued[0], token)
				}
			}
			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.bob.UserID, "viewer"))
		})

		// All ways in which a session ends, from another process.
		ends := map[string]func(t *testing.T, token string) error{
			"logout": func(t *testing.T, token string) error {
				require.Equal(t, 200, other.send("POST", "/logout", "", bearing(token)).StatusCode)
				return nil
			},
			"revoke": func(t *testing.T, token string) error {
				return other.sessions.RevokeSession(t.Context(), string(sessionOf(t, token)), "")
			},
			"revoke the user's": func(t *testing.T, _ string) error {
				_, err := other.sessions.RevokeUser(t.Context(), s.ada.UserID)
				return err
			},
			"password": func(t *testing.T, _ string) error {
				return other.sessions.Accounts().SetPassword(t.Context(), s.ada.UserID, racesPassword)
			},
			"disable": func(t *testing.T, _ string) error {
				return other.sessions.Accounts().Disable(t.Context(), s.ada.UserID)
			},
		}

		row("A89 A90 C110", "a session ends between the reading and the writing of a request: nothing brings it back or changes its row", func(s *stage) {
			for how, end := range ends {
				for _, test := range []struct {
					words string
					wait  time.Duration
				}{{"BEGIN", lifeRefreshDue}, {"UPDATE sessions", lifeRefreshDue}, {"UPDATE sessions", 2 * time.Minute}} {
					label := fmt.Sprint(how, " before ", test.words, " after ", test.wait)
					token := s.token("ada")
					s.pass(test.wait)
					var ended models.Session
					met := s.racesBefore(test.words, func() {
						require.NoError(s.t, end(s.t.(*testing.T), token), label)
						ended = s.lifeRow(token)
					})
					r := s.lifeMe(token)
					met()
					require.NotZero(s.t, ended.EndedAt, label)
					require.Equal(s.t, ended, s.lifeRow(token), label)
					require.Empty(s.t, cookies(r), label)
					if test.wait == lifeRefreshDue {
						require.Equal(s.t, 401, r.StatusCode, label)
					}
					require.Equal(s.t, 401, s.lifeMe(token).StatusCode, label)
					require.Equal(s.t, 401, other.lifeMe(token).StatusCode, label)
					require.NoError(s.t, s.heal())
				}
			}
		})

		row("A89", "refreshes beside a logout: it is dead under every token, and the logout is told once", func(s *stage) {
			for round := range 8 {
				token := s.token("ada")
				s.pass(lifeRefreshDue)
				nodes := []*stage{s, other}
				a, b := nodes[round%2], nodes[(round+1)%2]
				answers := racesTogether(
					func() ginsessiontest.Response { return a.send("POST", "/session/refresh", "", bearing(token)) },
					func() ginsessiontest.Response { return b.send("POST", "/logout", "", bearing(token)) },
					func() ginsessiontest.Response { return b.lifeMe(token) },
					func() ginsessiontest.Response { return a.lifeMe(token) },
				)
				require.Equal(s.t, 200, answers[1].StatusCode)
				issued := []string{token}
				for _, r := range answers {
					require.Contains(s.t, []int{200, 401}, r.StatusCode, r.Text)
					issued = append(issued, cookies(r)...)
				}
				for _, token := range issued {
					require.Equal(s.t, 401, a.lifeMe(token).StatusCode, "round %d", round)
					require.Equal(s.t, 401, b.lifeMe(token).StatusCode, "round %d", round)
				}
				require.Equal(s.t, 1, strings.Count(strings.Join(s.lifeEvents(token), " "), "session_logout"), "round %d", round)
			}
			require.Zero(s.t, s.racesLive())
		})

		row("A90", "refreshes beside a revocation and a new password", func(s *stage) {
			for round := range 3 {
				token := s.token("ada")
				s.pass(lifeRefreshDue)
				var group sync.WaitGroup
				for _, how := range []string{"revoke the user's", "password"} {
					group.Go(func() {
						if err := ends[how](s.t.(*testing.T), token); err != nil {
							s.t.Errorf("%s: %v", how, err)
						}
					})
				}
				var issued []string
				for range 2 { // as long as that takes
					for _, r := range racesTogether(
						func() ginsessiontest.Response { return s.send("POST", "/session/refresh", "", bearing(token)) },
						func() ginsessiontest.Response { return other.lifeMe(token) },
						func() ginsessiontest.Response { return s.lifeMe(token) },
					) {
						require.Contains(s.t, []int{200, 401}, r.StatusCode, r.Text)
						issued = append(issued, cookies(r)...)
					}
				}
				group.Wait()
				for _, token := range append(issued, token) {
					require.Equal(s.t, 401, s.lifeMe(token).StatusCode, "round %d", round)
				}
				require.Zero(s.t, s.racesLive(), "round %d", round)
				require.NoError(s.t, s.heal())
			}
		})

		row("C110", "what has ended is not ended again, in whatever way", func(s *stage) {
			for first, end := range ends {
				token := s.token("ada")
				var ended models.Session
				var events []string
				met := s.racesBefore("BEGIN", func() { // of a logout
					require.NoError(s.t, end(s.t.(*testing.T), token), first)
					ended, events = s.lifeRow(token), s.lifeEvents(token)
				})
				require.Equal(s.t, 200, s.send("POST", "/logout", "", bearing(token)).StatusCode)
				met()
				s.pass(time.Second)
				for again, end := range ends {
					if again == "password" && first != "logout" {
						continue // it costs a hash
					}
					err := end(s.t.(*testing.T), token)
					if again == "revoke" {
						require.ErrorIs(s.t, err, ginsession.ErrNoSuchSession)
						continue
					}
					require.NoError(s.t, err, again)
				}
				require.Equal(s.t, ended, s.lifeRow(token), first)
				require.Equal(s.t, events, s.lifeEvents(token), first)
				require.NoError(s.t, s.heal())
			}
		})

		row("C110", "an access that was overtaken by a later one takes nothing back", func(s *stage) {
			token := s.token("ada")
			s.pass(2 * time.Minute)
			ahead := s.lifeNode()
			ahead.pass(5 * time.Second)
			met := s.racesBefore("UPDATE sessions", func() { ahead.lifeGood(token) })
			s.lifeGood(token)
			met()
			require.Equal(s.t, models.At(ahead.lifeNow()), s.lifeRow(token).LastAccessed)

			var rotated models.Session
			ahead.pass(2 * time.Minute)
			s.clock.Store(int64(s.lifeRow(token).LastAccessed.Time().Sub(lifeBegan)))
			met = ahead.racesBefore("UPDATE sessions", func() {
				s.lifeRefresh(token)
				rotated = s.lifeRow(token)
			})
			ahead.lifeGood(token)
			met()
			require.Equal(s.t, rotated, s.lifeRow(token), "nor does one of the secret before it, in the same millisecond")

			token = s.token("ada")
			s.pass(lifeRefreshDue)
			next := s.lifeRenewed(token)
			behind := s.lifeNode()
			s.pass(10 * time.Second)
			met = s.racesBefore("UPDATE sessions", func() { behind.lifeGood(next) })
			s.lifeGood(next)
			met()
			require.Equal(s.t, models.At(behind.lifeNow()), s.lifeRow(token).SeenAt, "the grace of the token before begins once")
		})

		row("C110", "accesses written in a batch bring back no session, and no earlier access", func(s *stage) {
			reading := make(chan struct{})
			var once sync.Once
			racesWatch(s.wire, func(_ context.Context, call string) error {
				if strings.Contains(call, "session_events") {
					once.Do(func() { close(reading) })
				}
				return nil
			})
			stop := s.run(s.sessions)
			<-reading // Run runs: accesses are gathered
			ended, used := s.token("ada"), s.token("ada")
			s.pass(2 * time.Second)
			s.lifeGood(ended, used)
			gathered := s.lifeNow()
			require.Less(s.t, s.lifeRow(used).LastAccessed, models.At(gathered))
			require.Equal(s.t, 200, other.send("POST", "/logout", "", bearing(ended)).StatusCode)
			row := s.lifeRow(ended)
			later := s.lifeNode()
			later.pass(2 * time.Minute)
			later.lifeGood(used)
			stop() // and what was gathered is written
			require.Equal(s.t, row, s.lifeRow(ended))
			require.Equal(s.t, models.At(later.lifeNow()), s.lifeRow(used).LastAccessed)
		})

		row("C110", "a renewal that was overtaken by another of the same secret makes no cookie and takes nothing back", func(s *stage) {
			short := func(c *ginsession.Config) { c.MaxAge, c.RefreshThreshold = 80*time.Second, 40*time.Second }
			node := s.lifeNode(short)
			token := node.token("ada")
			node.pass(50 * time.Second)
			next := node.lifeRenewed(token)
			node.pass(45 * time.Second) // its first use comes when it is to be renewed already
			ahead := node.lifeNode(short)
			ahead.pass(3 * time.Second)
			var later string
			met := node.racesBefore("BEGIN", func() { later = ahead.lifeRenewed(next) })
			r := node.lifeMe(next)
			met()
			require.Equal(s.t, 200, r.StatusCode, r.Text)
			require.Empty(s.t, cookies(r))
			require.Equal(s.t, claimsOf(s.t.(*testing.T), later).Exp, s.lifeRow(token).ExpiresAt.Time().Unix())
			require.Equal(s.t, []string{"session_created", "session_renewed", "session_renewed"}, s.lifeEvents(token))
		})

		row("A97 C110", "a session found to have run out by one node, and renewed or used by another meanwhile, lives", func(s *stage) {
			me := func(s *stage, token string) ginsessiontest.Response { return s.lifeMe(token) }
			for name, test := range map[string]struct {
				idle, wait, ahead time.Duration
				before, meanwhile func(s *stage, token string) ginsessiontest.Response
				issued            int
			}{
				"age":  {0, DefaultMaxAge - time.Minute, time.Hour, nil, me, 1},
				"idle": {10 * time.Minute, 9 * time.Minute, time.Minute, nil, me, 0},
				"age, in the millisecond of an access": {0, 2 * time.Minute, DefaultMaxAge, me, func(s *stage, token string) ginsessiontest.Response {
					return s.send("POST", "/session/refresh", "", bearing(token))
				}, 1},
			} {
				idle := func(c *ginsession.Config) { c.IdleTimeout = test.idle }
				right, ahead := s.lifeTwin(idle), s.lifeNode(idle)
				token := right.token("ada")
				s.pass(test.wait)
				if test.before != nil {
					require.Equal(s.t, 200, test.before(right, token).StatusCode, name)
				}
				ahead.pass(test.wait + test.ahead)
				var r ginsessiontest.Response
				met := ahead.racesBefore("BEGIN", func() { r = test.meanwhile(right, token) })
				ahead.refused(ahead.lifeMe(token), ginsession.ErrSessionExpired)
				met()
				require.Equal(s.t, 200, r.StatusCode, name)
				require.Len(s.t, cookies(r), test.issued, name)
				require.Zero(s.t, s.lifeRow(token).EndedAt, name)
				require.Equal(s.t, 200, right.lifeMe(token).StatusCode, name)
				for _, next := range cookies(r) {
					require.Equal(s.t, 200, right.lifeMe(next).StatusCode, name)
				}
			}
		})

		row("C110", "a reuse that was overtaken by a rotation, or by the first use of the present token, ends nothing", func(s *stage) {
			first := s.token("ada")
			stranger := s.lifeForge(key1, string(sessionOf(s.t.(*testing.T), first)), strings.Repeat("A", 43))
			s.pass(time.Minute)
			var second string
			met := s.racesBefore("BEGIN", func() { second = other.lifeRefresh(first) })
			s.refused(s.lifeMe(stranger), ginsession.ErrSessionInvalid)
			met()
			s.lifeGood(first)
			met = s.racesBefore("BEGIN", func() { other.lifeGood(second) })
			s.refused(s.lifeMe(stranger), ginsession.ErrSessionInvalid)
			met()
			s.lifeGood(second)
			s.pass(2 * time.Minute)
			var third string
			met = s.racesBefore("BEGIN", func() { third = other.lifeRefresh(second) })
			s.refused(s.lifeMe(first), ginsession.ErrSessionInvalid)
			met()
			s.lifeGood(third)
			s.lifeRefused(ginsession.ErrSessionInvalid, first, second, third) // the next time it is not
		})

		row("A91 A95", "whoever is disabled, or gets a new password, while he signs in gets no session", func(s *stage) {
			s.engine.POST("/enter", func(c *gin.Context) { // by a link in a mail, say: no password was looked at
				if _, err := s.sessions.Open(c, ginsession.Identity{UserID: s.ada.UserID}, false); err != nil {
					ginsession.Refuse(c, err)
				}
			})
			enter := func() ginsessiontest.Response { return s.send("POST", "/enter", "") }
			signIn := func() ginsessiontest.Response { return s.login("ada", password) }
			for name, test := range map[string]struct {
				how     string
				request func() ginsessiontest.Response
			}{
				"disable":         {"disable", signIn},
				"password":        {"password", signIn},
				"disable, a link": {"disable", enter},
			} {
				met := s.racesBefore("UPDATE users", func() { require.NoError(s.t, ends[test.how](s.t.(*testing.T), ""), name) })
				r := test.request()
				met()
				s.refused(r, ginsession.ErrCredentialsInvalid)
				require.Empty(s.t, r.Header["Set-Cookie"], name)
				require.Zero(s.t, s.racesLive(), name)
				require.NoError(s.t, s.heal())
			}
		})

		for numbers, how := range map[string]string{"A91": "disable", "A95": "password"} {
			row(numbers, "four sign-ins beside it, on two nodes: "+how, func(s *stage) {
				for round := range 3 {
					var group sync.WaitGroup
					group.Go(func() {
						if err := ends[how](s.t.(*testing.T), ""); err != nil {
							s.t.Error(err)
						}
					})
					var requests []func() ginsessiontest.Response
					for _, node := range []*stage{s, other, s, other} {
						requests = append(requests, func() ginsessiontest.Response { return node.login("ada", password) })
					}
					for _, r := range racesTogether(requests...) {
						require.Contains(s.t, []int{200, 401}, r.StatusCode, r.Text)
					}
					group.Wait()
					require.Zero(s.t, s.racesLive(), "round %d", round)
					s.forgive()
					require.NoError(s.t, s.heal())
				}
			})
		}

		row("A92", "sign-ins at once over the same old session: each new one lives, the old is dead", func(s *stage) {
			for round := range 6 {
				old := s.token("ada")
				if round == 0 { // all have looked at the old one and at the password
					racesMeet(2, "UPDATE users", s.wire, other.wire)
				}
				var alive []string
				for _, r := range racesTogether(
					func() ginsessiontest.Response { return s.login("ada", password, bearing(old)) },
					func() ginsessiontest.Response { return other.login("ada", password, bearing(old)) },
				) {
					require.Equal(s.t, 200, r.StatusCode, r.Text)
					alive = append(alive, cookieValue(s.t, r))
				}
				s.wire.reset()
				other.wire.reset()
				s.lifeGood(alive...)
				s.lifeRefused(ginsession.ErrSessionNotFound, old)
				require.Equal(s.t, []string{"session_created", "session_logout"}, s.lifeEvents(old))
				require.EqualValues(s.t, 2*(round+1), s.racesLive())
			}
		})

		row("A94", "ten logouts at once: all are answered 200, the session ends once", func(s *stage) {
			token := s.token("ada")
			var requests []func() ginsessiontest.Response
			for i := range 10 {
				node := []*stage{s, other}[i%2]
				requests = append(requests, func() ginsessiontest.Response { return node.send("POST", "/logout", "", bearing(token)) })
			}
			racesMeet(len(requests), "BEGIN", s.wire, other.wire)
			for _, r := range racesTogether(requests...) {
				require.Equal(s.t, 200, r.StatusCode, r.Text)
				require.Contains(s.t, setCookie(s.t, r), "Max-Age=0")
			}
			other.wire.reset()
			require.Equal(s.t, []string{"session_created", "session_logout"}, s.lifeEvents(token))
		})

		row("A98", "the same twice in a millisecond is no fault, also where only changed rows are counted", func(s *stage) {
			first, second := s.token("ada"), s.token("ada")
			s.pass(2 * time.Minute)
			requests := []func() ginsessiontest.Response{}
			for range 10 {
				requests = append(requests, func() ginsessiontest.Response { return s.lifeMe(first) })
			}
			racesMeet(len(requests), "UPDATE sessions", s.wire)
			for _, r := range racesTogether(requests...) {
				require.Equal(s.t, 200, r.StatusCode, r.Text)
			}
			s.wire.reset()
			require.Equal(s.t, models.At(s.lifeNow()), s.lifeRow(first).LastAccessed)
			for range 2 {
				s.lifeGood(first, second)
				require.Equal(s.t, 200, s.send("POST", "/session/refresh", "", bearing(second)).StatusCode)
				require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "admin"))
				require.Equal(s.t, 200, s.login("ada", password).StatusCode)
				s.lifeGood(first)
			}
		})

		row("A99", "a session is revoked within a transaction of the strictest kind: the write decides", func(s *stage) {
			strict := s.d
			strict.Strict = true
			on := *s.app
			on.d = strict
			node := (&stage{app: &on, clock: s.clock}).lifeTwin()
			for how, end := range ends {
				token := s.token("ada")
				s.pass(lifeRefreshDue)
				met := node.racesBefore("UPDATE sessions", func() { require.NoError(s.t, end(s.t.(*testing.T), token), how) })
				r := node.lifeMe(token)
				met()
				require.Equal(s.t, 401, r.StatusCode, "%s: %s", how, r.Text)
				require.Empty(s.t, cookies(r), how)
				require.Equal(s.t, 401, node.lifeMe(token).StatusCode, how)
				require.NoError(s.t, s.heal())
			}
		})

		row("A102", "Load twice, on the engine and on a group: one refresh, one cookie", func(s *stage) {
			s.engine.Group("/twice", s.sessions.Load, s.sessions.Load).GET("/me", ginsession.Require, func(c *gin.Context) { c.Status(http.StatusOK) })
			token := s.token("ada")
			s.pass(lifeRefreshDue)
			r := s.send("GET", "/twice/me", "", bearing(token))
			require.Equal(s.t, 200, r.StatusCode)
			require.NotEmpty(s.t, cookieValue(s.t, r))
			require.Equal(s.t, []string{"session_created", "session_renewed"}, s.lifeEvents(token))
		})

		row("C111", "a hundred clients of one user sign in and out, refresh and are revoked: it ends, and none meets a fault", func(s *stage) {
			shared := s.token("ada")
			var requests []func() ginsessiontest.Response
			for i := range 100 {
				node := []*stage{s, other}[i%2]
				requests = append(requests, func() ginsessiontest.Response {
					switch i / 2 % 5 {
					case 0:
						r := node.login("ada", password)
						for _, token := range cookies(r) {
							node.send("POST", "/session/refresh", "", bearing(token))
							node.send("POST", "/logout", "", bearing(token))
						}
						return r
					case 1:
						return node.send("POST", "/session/refresh", "", bearing(shared))
					case 2:
						return node.send("POST", "/logout", "", bearing(shared))
					case 3:
						if _, err := node.sessions.RevokeUser(s.t.Context(), s.ada.UserID); err != nil {
							s.t.Errorf("revoke: %v", err)
						}
						fallthrough
					default:
						return node.lifeMe(shared)
					}
				})
			}
			for _, r := range racesTogether(requests...) {
				require.Contains(s.t, []int{200, 401, 429}, r.StatusCode, r.Text)
			}
			_, err := s.sessions.RevokeUser(s.t.Context(), s.ada.UserID)
			require.NoError(s.t, err)
			require.Zero(s.t, s.racesLive())
		})
	})
}

// Keys change by a start of the nodes, one after the other: first all verify the new
// one, then it signs, then the old one goes. Clients hold on all the time.
func TestSecurityRacesOfKeys(t *testing.T) {
	onStage(t, func(s *stage) {
		s.row("A96 C109", "the keys of a running site are changed, and nobody is turned away", func(s *stage) {
			var site atomic.Pointer[gin.Engine]
			turn := func(keys ...ginsession.Key) {
				_, engine := s.node(s.db, func(c *ginsession.Config) { c.Keys, c.StoreTimeout = keys, time.Minute })
				site.Store(engine)
			}
			turn(key1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { site.Load().ServeHTTP(w, r) }))
			defer server.Close()
			s.server = server
			var held sync.Map // the tokens that clients have
			held.Store(s.token("ada"), true)

			stop := make(chan struct{})
			var group sync.WaitGroup
			var answered atomic.Int64
			for range 4 {
				group.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						held.Range(func(token, _ any) bool {
							if r := s.lifeMe(token.(string)); r.StatusCode != 200 {
								s.t.Errorf("answered %d: %s", r.StatusCode, r.Text)
							}
							answered.Add(1)
							return true
						})
					}
				})
			}
			await := func(n int64) {
				for n += answered.Load(); answered.Load() < n && !s.t.Failed(); time.Sleep(time.Millisecond) {
				}
			}
			await(20)
			turn(key1, key2)
			await(20)
			turn(key2, key1)
			held.Store(s.token("ada"), true) // under the new key
			for range 10 {
				turn(key1, key2)
				await(5)
				turn(key2, key1)
				await(5)
			}
			close(stop)
			group.Wait()
		})
	})
}

// A handler leaves a goroutine behind that uses the session when the response is long
// gone, and Gin has given its context to others.
func TestSecuritySessionAfterTheResponse(t *testing.T) {
	onStage(t, func(s *stage) {
		s.row("A100", "what a handler was handed is its own", func(s *stage) {
			goOn := make(chan struct{})
			seen := make(chan string, 40)
			s.engine.GET("/spawn", ginsession.Require, func(c *gin.Context) {
				mine, _ := ginsession.From(c)
				ctx := c.Request.Context()
				go func() {
					<-goOn
					again, ok := ginsession.FromContext(ctx)
					seen <- fmt.Sprint(mine.User.Username, again.User.Username, ok, mine == again)
				}()
				mine2, _ := ginsession.From(c)
				mine2.User.Username = "somebody else" // of a copy
				c.String(http.StatusOK, "%s", mine.User.Username)
			})
			ada, bob := s.token("ada"), s.token("bob")
			for range 20 {
				require.Equal(s.t, "ada", s.send("GET", "/spawn", "", bearing(ada)).Text)
				require.Equal(s.t, "bob", s.send("GET", "/spawn", "", bearing(bob)).Text)
			}
			require.Equal(s.t, 200, s.send("POST", "/logout", "", bearing(ada)).StatusCode)
			close(goOn)
			count := map[string]int{}
			for range 40 {
				count[<-seen]++
			}
			require.Equal(s.t, map[string]int{"adaadatrue true": 20, "bobbobtrue true": 20}, count)
		})
	})
}

// The sweep takes a row that a request has read, or is about to write.
func TestSecurityRacesOfTheSweep(t *testing.T) {
	row(t, "A97", "a session goes while a request has it in hand: 401, and never a fault", func(t *testing.T) {
		modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, d)
				aside := a.aside()
				for _, wait := range []time.Duration{DefaultMaxAge - time.Minute, DefaultMaxAge} {
					for n := 1; n <= 3; n++ { // before the reading, BEGIN, and the UPDATE
						token := a.signIn("ada").Cookie(cookieName)
						time.Sleep(wait)
						gone := false
						a.wire.breakAt(n, false, func(context.Context) error {
							if !gone {
								gone = true
								return aside.Where("id = ?", sessionOf(t, token)).Delete(&models.Session{}).Error
							}
							return nil
						})
						r := a.with(token).Get("/me")
						a.wire.reset()
						require.True(t, gone)
						require.Equal(t, 401, r.StatusCode, r.Text)
						require.Empty(t, r.Header["Set-Cookie"])
					}
				}
			})
		})
	})
}
