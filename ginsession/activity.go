// The accesses that are yet to be written.

package ginsession

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ginsession/gin-session/models"
)

// While Run runs, the last accesses of sessions in use are gathered here, and
// written together, each session's once a minute. Nothing but an IdleTimeout
// hangs on that: no other node may find a session idle that was used here. How far
// can its row be behind, while an access waits here? The access in the row may
// have waited itself, for activityInterval and flushEvery; and then the next one
// does. That is little more than two minutes, since an access that comes after a
// longer pause is written at once. So an IdleTimeout of three minutes has most of
// one for the writing.
//
// A shorter one, of two minutes at least, has none. So under that every access is
// written at once that comes activityInterval less activitySlack after the one
// before. Its row may be written twice a minute, but is behind by less than
//
//	activityInterval - activitySlack + activityInterval + flushEvery

const (
	// activityInterval is how often the last access of a session is written.
	activityInterval = time.Minute

	activitySlack = 15 * time.Second
	flushEvery    = 2 * time.Second

	// accessGrain is how exactly the last access is known on the node it was made on.
	accessGrain models.Time = 1000 // milliseconds

	accessBatch = 100 // sessions in one statement
)

// An access is the last one of a session.
type access struct {
	id models.Exact
	at models.Time
	by client
}

// activity is safe for concurrent use.
type activity struct {
	mu    sync.Mutex
	open  bool // Run runs, and will write what is noted
	limit int

	// noted has the sessions of which an access waits, and those of which one was
	// written less than activityInterval ago.
	noted map[models.Exact]notedAccess
}

type notedAccess struct {
	last    access
	waits   bool
	written models.Time // when the row was
}

func newActivity(limit int) *activity {
	return &activity{limit: limit, noted: map[models.Exact]notedAccess{}}
}

// accept says whether accesses may be noted from now on.
func (a *activity) accept(open bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = open
}

// state returns whether accesses may be noted, and when the row of a session was
// last written, zero if that is long ago or not known.
func (a *activity) state(id models.Exact) (open bool, written models.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open, a.noted[id].written
}

// note keeps an access to be written. The row was last written at row, or later.
// It reports false, and keeps nothing, if there is nobody to write it, or no room.
func (a *activity) note(last access, row models.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.noted[last.id]
	switch {
	case !a.open, !ok && len(a.noted) >= a.limit:
		return false
	case !ok:
		n.written = row
	case last.at <= n.last.at:
		return true
	}
	n.last, n.waits = last, true
	a.noted[last.id] = n
	return true
}

// within reports whether at is less than d after since, and not before it, as it
// is where the clock was set back.
func within(at, since models.Time, d time.Duration) bool {
	gap := at - since
	return 0 <= gap && gap < models.Time(d.Milliseconds())
}

// last returns the last access of a session that was noted, or zero.
func (a *activity) last(id models.Exact) models.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.noted[id].last.at
}

// lastAccess returns the last access of the session of a row, as far as this process
// knows.
func (m *Manager) lastAccess(row models.Session) models.Time {
	return max(row.LastAccessed, m.activity.last(row.ID))
}

// due returns the accesses that have waited long enough at an instant, or all of
// them, in the order of their ids, so that nodes that write the same rows seldom
// block each other. They stay noted until they are written.
func (a *activity) due(now models.Time, all bool) []access {
	a.mu.Lock()
	defer a.mu.Unlock()
	var due []access
	for id, n := range a.noted {
		switch lately := within(now, n.written, activityInterval); {
		case n.waits && (all || !lately):
			due = append(due, n.last)
		case !n.waits && !lately:
			delete(a.noted, id)
		}
	}
	slices.SortFunc(due, func(x, y access) int { return strings.Compare(string(x.id), string(y.id)) })
	return due
}

// wrote tells that the row of a session has an access since an instant. A later
// one still waits.
func (a *activity) wrote(one access, now models.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.noted[one.id]
	if !ok && (!a.open || len(a.noted) >= a.limit) {
		return
	}
	if one.at >= n.last.at {
		n.last, n.waits = one, false
	}
	n.written = now
	a.noted[one.id] = n
}

// flush writes the accesses that are due, or all that wait. It stops at the first
// statement that fails; those that are left are due the next time.
func (m *Manager) flush(ctx context.Context, all bool) error {
	for batch := range slices.Chunk(m.activity.due(models.At(m.now()), all), accessBatch) {
		if !all && ctx.Err() != nil {
			return nil
		}
		if err := m.store.accesses(ctx, batch); err != nil {
			return err
		}
		now := models.At(m.now())
		for _, one := range batch {
			m.activity.wrote(one, now)
		}
	}
	return nil
}
