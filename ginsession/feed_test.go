// The feed: events whose ids become visible in another order than they were
// given out, transactions that last long, a database that stops.

package ginsession_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// onlyByFeed keeps what is known for so long that only an event removes it.
func onlyByFeed(c *ginsession.Config) { c.CacheFor = time.Hour }

// endings are what another node does: it takes an id for its event at one
// instant and commits at another.
type ending struct {
	session models.Exact
	id      int64
	visible time.Time
}

// The ids are those of engines with one writer, with three whose ids interleave
// and lag behind each other, and with three whose ids are times by clocks that
// are not the same.
func TestIDsThatBecomeVisibleInAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const transaction = ginsession.DefaultStoreTimeout // lasts no longer
	writers := map[string]func(lot *rand.Rand, began time.Time) int64{
		"one writer": func(_ *rand.Rand, began time.Time) int64 {
			return time.Since(began).Milliseconds()
		},
		"interleaved": func(lot *rand.Rand, began time.Time) int64 {
			writer := lot.Int64N(3)
			behind := []time.Duration{0, 900 * time.Millisecond, 1900 * time.Millisecond}[writer]
			return (time.Since(began)-behind).Milliseconds()*3 + writer
		},
		"times": func(lot *rand.Rand, _ time.Time) int64 {
			writer := lot.Int64N(3)
			skew := []time.Duration{0, 250 * time.Millisecond, -250 * time.Millisecond}[writer]
			return time.Now().Add(skew).UnixMicro()/10<<15 + writer
		},
	}
	for name, nextID := range writers {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				lot := rand.New(rand.NewPCG(seed, 0))
				a.run(a.sessions)
				clients := map[models.Exact]*ginsessiontest.Client{}
				for range 40 {
					c := a.signIn("ada")
					clients[models.Exact(sessionOf(t, c.Cookie(cookieName)))] = c
				}
				// The ids that follow are above those of the logins, and no two alike.
				began := time.Now().Add(-1000 * time.Second)
				time.Sleep(settled + 2*time.Second)

				var underWay []ending
				visible := map[models.Exact]time.Time{}
				used := map[int64]bool{}
				unended := sortedKeys(clients)
				for len(unended) > 0 || len(underWay) > 0 {
					time.Sleep(50 * time.Millisecond)
					for len(unended) > 0 && lot.IntN(3) == 0 {
						id := nextID(lot, began)
						if used[id] {
							break
						}
						used[id] = true
						underWay = append(underWay, ending{unended[0], id, time.Now().Add(time.Duration(lot.Int64N(int64(transaction))))})
						unended = unended[1:]
					}
					underWay = slices.DeleteFunc(underWay, func(e ending) bool {
						if time.Now().Before(e.visible) {
							return false
						}
						a.endAside(e)
						visible[e.session] = time.Now()
						return true
					})
					for id, c := range clients {
						want, at := 200, visible[id]
						switch {
						case !at.IsZero() && time.Since(at) > ginsession.DefaultSyncEvery:
							want = 401
						case !at.IsZero():
							continue // known or not
						}
						require.Equal(t, want, c.Get("/me").StatusCode, "seed %d, visible for %v", seed, time.Since(at))
					}
				}
			}, onlyByFeed, unlimited)
		})
	}
}

func sortedKeys(m map[models.Exact]*ginsessiontest.Client) []models.Exact {
	var keys []models.Exact
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// endAside ends a session with an event of a given id.
func (a *app) endAside(e ending) {
	a.t.Helper()
	require.NoError(a.t, a.aside().Transaction(func(tx *gorm.DB) error {
		tell(a.t, tx, e.session, e.id)
		endRow(a.t, tx, e.session)
		return nil
	}))
}

func tell(t testing.TB, tx *gorm.DB, session models.Exact, id int64) {
	t.Helper()
	require.NoError(t, tx.Create(&models.Event{ID: id, At: models.At(time.Now()), Name: "session_logout", SessionID: session, UserID: "x"}).Error)
}

func endRow(t testing.TB, tx *gorm.DB, session models.Exact) {
	t.Helper()
	require.NoError(t, tx.Model(&models.Session{}).Where("id = ?", session).Update("ended_at", models.At(time.Now())).Error)
}

// onServers is onEach on the databases on which two transactions write at the
// same time.
func onServers(t *testing.T, test func(t *testing.T, a *app), configure ...func(*ginsession.Config)) {
	t.Helper()
	for _, d := range []struct {
		name string
		make func(testing.TB) modelstest.Database
	}{{"postgres", modelstest.Postgres}, {"mariadb", modelstest.MariaDB}} {
		t.Run(d.name, func(t *testing.T) {
			d := d.make(t)
			synctest.Test(t, func(t *testing.T) { test(t, newApp(t, d, configure...)) })
		})
	}
}

// Real transactions: the first takes its id from the database before the second,
// and commits after it.
func TestTransactionsHeldOpen(t *testing.T) {
	onServers(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		first, second := a.signIn("ada"), a.signIn("ada")
		for _, c := range []*ginsessiontest.Client{first, second} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		one := a.aside().Begin()
		tell(t, one, sessionOf(t, first.Cookie(cookieName)), 0)
		a.endAside(ending{session: sessionOf(t, second.Cookie(cookieName))})
		time.Sleep(ginsession.DefaultSyncEvery)
		require.Equal(t, 200, first.Get("/me").StatusCode)
		require.Equal(t, 401, second.Get("/me").StatusCode)

		time.Sleep(ginsession.DefaultStoreTimeout - 1100*time.Millisecond)
		require.Equal(t, 200, first.Get("/me").StatusCode)
		endRow(t, one, sessionOf(t, first.Cookie(cookieName)))
		require.NoError(t, one.Commit().Error)
		time.Sleep(ginsession.DefaultSyncEvery)
		require.Equal(t, 401, first.Get("/me").StatusCode)
	}, onlyByFeed)
}

// A transaction that nobody ends holds nothing up, whether it has an event or
// not. What it has done itself, should it commit after all, is known within
// CacheFor.
func TestATransactionThatLastsLong(t *testing.T) {
	onServers(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		long := a.signIn("ada")
		reading := a.aside().Begin()
		require.NoError(t, reading.Find(&[]models.Event{}).Error)
		writing := a.aside().Begin()
		tell(t, writing, sessionOf(t, long.Cookie(cookieName)), 0)

		time.Sleep(settled)
		for range 10 {
			other := a.signIn("ada")
			require.Equal(t, 200, other.Get("/me").StatusCode)
			require.Equal(t, 200, long.Get("/me").StatusCode)
			a.endAside(ending{session: sessionOf(t, other.Cookie(cookieName))})
			require.Equal(t, 200, other.Get("/me").StatusCode)
			time.Sleep(ginsession.DefaultSyncEvery)
			require.Equal(t, 401, other.Get("/me").StatusCode)
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, 200, long.Get("/me").StatusCode)
		endRow(t, writing, sessionOf(t, long.Cookie(cookieName)))
		require.NoError(t, writing.Commit().Error)
		require.NoError(t, reading.Rollback().Error)
		time.Sleep(ginsession.DefaultCacheFor)
		require.Equal(t, 401, long.Get("/me").StatusCode)
	})
}

// For ten seconds each call of the database hangs, or fails; then it is back.
func TestADatabaseThatStopsForTenSeconds(t *testing.T) {
	for name, stop := range map[string]func(context.Context) error{"hangs": hangs, "fails": fails} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				other, _ := a.otherProcess()
				a.run(a.sessions)
				a.run(other)
				time.Sleep(settled)
				staying, ending := a.signIn("ada"), a.signIn("ada")
				ids := []models.Exact{sessionOf(t, staying.Cookie(cookieName)), sessionOf(t, ending.Cookie(cookieName))}
				for range 2 {
					require.Equal(t, 200, staying.Get("/me").StatusCode)
					require.Equal(t, 200, ending.Get("/me").StatusCode)
				}
				// Just before and while this node cannot read, the other ends a session.
				a.wire.breakAt(1, false, stop)
				require.NoError(t, other.RevokeSession(t.Context(), string(ids[1]), ""))
				began := time.Now()
				for time.Since(began) < 10*time.Second {
					for _, c := range []*ginsessiontest.Client{staying, ending} {
						status := c.Get("/me").StatusCode
						if time.Since(began) > 4*time.Second { // three intervals, and that which was under way
							require.Equal(t, 503, status)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				a.wire.reset()
				for range 100 {
					require.Equal(t, 200, staying.Get("/me").StatusCode, "an honest user is not signed out")
					require.Equal(t, 401, ending.Get("/me").StatusCode)
					time.Sleep(100 * time.Millisecond)
				}
				a.wire.reset()
				staying.Get("/me")
				require.Empty(t, a.wire.byRequests(), "memory is believed again")
			})
		})
	}
}

// A page of the feed is full: what is on the next one counts as well.
func TestMoreEventsThanOnePage(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		events := make([]models.Event, 3500)
		for i := range events {
			events[i] = models.Event{At: models.At(time.Now()), Name: "session_logout", SessionID: "another", UserID: "x"}
		}
		require.NoError(t, a.aside().CreateInBatches(events, 500).Error)
		a.endAside(ending{session: sessionOf(t, c.Cookie(cookieName))})
		require.Equal(t, 200, c.Get("/me").StatusCode)
		time.Sleep(ginsession.DefaultSyncEvery)
		require.Equal(t, 401, c.Get("/me").StatusCode)
	}, onlyByFeed)
}

// The query costs the same however many events there have been: it returns those
// of some seconds.
func TestTheFeedReadsOnlyWhatIsNew(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		old := make([]models.Event, 3000)
		for i := range old {
			old[i] = models.Event{At: models.At(time.Now()), Name: "session_logout", SessionID: "another", UserID: "x"}
		}
		require.NoError(t, a.aside().CreateInBatches(old, 500).Error)
		var last int64
		require.NoError(t, a.aside().Model(&models.Event{}).Select("MAX(id)").Scan(&last).Error)
		a.run(a.sessions)
		time.Sleep(time.Minute + 300*time.Millisecond) // between two readings
		a.wire.reset()
		time.Sleep(10 * time.Second)
		calls, args := a.wire.sent()
		require.Len(t, calls, 10, "one query a second")
		require.Equal(t, []any{last}, args[0][:1], "and it begins where nothing can come any more")
	})
}

// An id that was given out before the last reading becomes visible after it, and
// then the feed cannot be read for a while.
func TestAnIDBelowTheLastReadAcrossAnOutage(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		c, other := a.signIn("ada"), a.signIn("ada")
		time.Sleep(settled + 600*time.Millisecond) // shortly before a reading
		require.Equal(t, 200, c.Get("/me").StatusCode)
		a.endAside(ending{session: sessionOf(t, other.Cookie(cookieName)), id: 1000})
		time.Sleep(200 * time.Millisecond)
		a.wire.breakAt(1, false, fails)
		a.endAside(ending{session: sessionOf(t, c.Cookie(cookieName)), id: 999})
		time.Sleep(10 * time.Second)
		a.wire.reset()
		time.Sleep(ginsession.DefaultSyncEvery)
		require.Equal(t, 401, c.Get("/me").StatusCode)
	}, onlyByFeed)
}

// What happened in the meantime is not read when nothing is left in memory for it
// to concern.
func TestAfterALongOutageTheFeedBeginsAnew(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		a.wire.breakAt(1, false, fails)
		time.Sleep(ginsession.DefaultCacheFor + 5*time.Second)
		events := make([]models.Event, 3000)
		for i := range events {
			events[i] = models.Event{At: models.At(time.Now()), Name: "session_logout", SessionID: "another", UserID: "x"}
		}
		require.NoError(t, a.aside().CreateInBatches(events, 500).Error)
		a.wire.reset()
		time.Sleep(settled)
		calls, _ := a.wire.sent()
		require.Len(t, calls, 8)
		require.Contains(t, calls[0], "MAX(id)")
		c := a.signIn("ada")
		c.Get("/me")
		a.wire.reset()
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.Empty(t, a.wire.byRequests())
	})
}

// The feed goes back over some seconds each time. What it has heard already makes
// nobody read a row again.
func TestAnEventIsHeardOnce(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		a.endAside(ending{session: "another"})
		require.NoError(t, a.sessions.UserChanged(t.Context(), a.ada.UserID))
		a.wire.reset()
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		require.Len(t, a.wire.byRequests(), 2, "before it was heard of and after")
	}, onlyByFeed)
}
