// What is over for long is removed, and nothing else.

package ginsession_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

const (
	day = 24 * time.Hour
	// swept is within how long whatever may go is gone.
	swept = 100 * time.Minute
)

// Sessions end in every way and at every distance from the retention; the sweep
// removes those on the one side of it, to the millisecond.
func TestSweepAtTheBoundary(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		// The clock stands still, so that the boundary does not move while it is swept.
		now := time.Now()
		sessions, _ := a.node(a.db, func(c *ginsession.Config) { c.Now = func() time.Time { return now } })
		boundary := now.Add(-ginsession.DefaultKeepSessions)
		eventBoundary := now.Add(-ginsession.DefaultKeepEvents)

		row := func(id string, expires, ended time.Time) models.Session {
			return models.Session{
				ID: models.Exact(id), UserID: models.Exact(a.ada.UserID), SecretHash: []byte("x"),
				ExpiresAt: models.At(expires), AbsoluteExpiresAt: models.At(now.Add(day)), EndedAt: models.At(ended),
			}
		}
		live, never := now.Add(day), time.Time{}
		require.NoError(t, a.db.Create([]models.Session{
			row("live", live, never),
			row("live for a ms", now.Add(time.Millisecond), never),
			row("expired now", now, never),
			row("ended now", live, now),
			row("expired at the boundary", boundary, never),
			row("ended at the boundary", live, boundary),
			row("gone 1", boundary.Add(-time.Millisecond), never),
			row("gone 2", live, boundary.Add(-time.Millisecond)),
			row("gone 3", boundary.Add(-day), boundary.Add(-2*day)),
			row("gone 4", boundary.Add(-day), now),
		}).Error)
		event := func(name string, at time.Time) models.Event { return models.Event{Name: name, At: models.At(at)} }
		require.NoError(t, a.db.Where("1 = 1").Delete(&models.Event{}).Error)
		require.NoError(t, a.db.Create([]models.Event{
			event("gone 1", eventBoundary.Add(-time.Millisecond)),
			event("at the boundary", eventBoundary),
			event("gone 2", eventBoundary.Add(-day)),
			event("new", now),
		}).Error)

		a.run(sessions)
		time.Sleep(swept)
		var left []string
		for _, row := range a.rows() {
			left = append(left, string(row.ID))
		}
		slices.Sort(left)
		require.Equal(t, []string{
			"ended at the boundary", "ended now", "expired at the boundary", "expired now", "live", "live for a ms",
		}, left)
		require.Equal(t, []string{"at the boundary", "new"}, a.events())
	})
}

// Three nodes sweep thousands of rows beside each other, in batches, while a
// session is used all along.
func TestSweepOnManyNodes(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		nodes := []*ginsession.Manager{a.sessions}
		for range 2 {
			other, _ := a.otherProcess()
			nodes = append(nodes, other)
		}
		c := a.signIn("ada")
		const n = 2300
		long := models.At(time.Now().Add(-40 * day))
		rows, events := make([]models.Session, n), make([]models.Event, n)
		for i := range rows {
			rows[i] = models.Session{ID: models.Exact(fmt.Sprint("old ", i)), UserID: "x", SecretHash: []byte("x"), ExpiresAt: long}
			if i%2 == 0 {
				rows[i].ExpiresAt, rows[i].EndedAt = models.At(time.Now().Add(day)), long
			}
			events[i] = models.Event{Name: "old", At: long - models.Time((60 * day).Milliseconds())}
		}
		require.NoError(t, a.aside().CreateInBatches(rows, 500).Error)
		require.NoError(t, a.aside().CreateInBatches(events, 500).Error)

		a.wire.reset()
		for _, node := range nodes {
			a.run(node)
		}
		for began := time.Now(); time.Since(began) < swept; time.Sleep(time.Minute) {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		require.Len(t, a.rows(), 1)
		require.NotContains(t, a.events(), "old")
		require.NotContains(t, a.logs.text(), `"level":"ERROR"`)
		calls, args := a.wire.sent()
		for i, call := range calls {
			if strings.HasPrefix(call, "DELETE") {
				require.LessOrEqual(t, len(args[i]), 202, "rows in one batch")
			}
		}
	})
}

// A row that is renewed between the reading of the batch and its removal stays.
func TestSweepAsksAgain(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		c.Get("/me")
		id := a.row().ID
		old := models.At(time.Now().Add(-31 * day))
		require.NoError(t, a.db.Model(&models.Session{}).Where("id = ?", id).Update("expires_at", old).Error)
		aside := a.aside()
		a.wire.onRead("expires_at >= ", func() {
			err := aside.Model(&models.Session{}).Where("id = ?", id).Update("expires_at", models.At(time.Now().Add(day))).Error
			if err != nil {
				t.Error(err)
			}
		})
		a.run(a.sessions)
		time.Sleep(15 * time.Minute)
		deleted := false
		calls, _ := a.wire.sent()
		for _, call := range calls {
			deleted = deleted || strings.HasPrefix(call, "DELETE")
		}
		require.True(t, deleted, "or this test shows nothing")
		require.Equal(t, id, a.row().ID)
	})
}

// Events from the future, of a node whose clock was wrong, hide no old ones.
func TestSweepBehindEventsOfTheFuture(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		for _, block := range []struct {
			name string
			at   time.Time
			n    int
		}{{"future", time.Now().Add(365 * day), 1200}, {"old", time.Now().Add(-91 * day), 700}, {"new", time.Now(), 700}} {
			events := make([]models.Event, block.n)
			for i := range events {
				events[i] = models.Event{Name: block.name, At: models.At(block.at)}
			}
			require.NoError(t, a.db.CreateInBatches(events, 500).Error)
		}
		a.run(a.sessions)
		time.Sleep(swept)
		names := a.events()
		require.NotContains(t, names, "old")
		require.Len(t, names, 2+1200+700)
	})
}

func TestSweepThatFailsIsToldAndTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		require.NoError(t, a.db.Create(&models.Session{ID: "old", UserID: "x", SecretHash: []byte("x"), ExpiresAt: 1}).Error)
		a.wire.breakAt(1, false, fails)
		a.run(a.sessions)
		time.Sleep(15 * time.Minute)
		require.Contains(t, a.logs.text(), "what ended long ago cannot be removed")
		require.NotContains(t, a.logs.text(), "over: what ended long ago")
		a.wire.reset()
		require.Len(t, a.rows(), 1)
		time.Sleep(swept)
		require.Empty(t, a.rows())
		require.Contains(t, a.logs.text(), "over: what ended long ago")
	})
}

// Run ends in the middle of whatever it does, and leaves nothing behind.
func TestRunEndsAtAnyInstant(t *testing.T) {
	d := modelstest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, d)
		old := make([]models.Session, 3000)
		for i := range old {
			old[i] = models.Session{ID: models.Exact(fmt.Sprint(i)), UserID: "x", SecretHash: []byte("x"), ExpiresAt: 1}
		}
		require.NoError(t, a.db.CreateInBatches(old, 500).Error)
		for _, after := range []time.Duration{0, 1, time.Millisecond, time.Second, 5 * time.Second, time.Minute, 7 * time.Minute, 8 * time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			require.NoError(t, a.sessions.Run(ctx), after)
			cancel()
		}
		// The database hangs when it is to end, and the accesses of many sessions wait.
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var err error
		group.Go(func() { err = a.sessions.Run(ctx) })
		time.Sleep(settled)
		var clients []*ginsessiontest.Client
		for range 300 {
			clients = append(clients, a.signIn("ada"))
		}
		time.Sleep(2 * time.Second)
		for _, c := range clients {
			c.Get("/me")
		}
		a.wire.breakAt(1, false, hangs)
		time.Sleep(1500 * time.Millisecond)
		cancel()
		began := time.Now()
		group.Wait()
		require.ErrorIs(t, err, ginsession.ErrStoreUnavailable)
		require.LessOrEqual(t, time.Since(began), 2*ginsession.DefaultStoreTimeout)
	})
}
