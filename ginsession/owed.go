// Owed: what the database is to be told as soon as it can be.

package ginsession

import (
	"context"
	"sync"
	"time"

	"github.com/ginsession/gin-session/models"
)

// Two things wait here, and Run sees to them once in owedEvery.
//
// Events that change nothing, such as a request that was denied: no request waits
// for their writing, and none of them fails because of it. Nobody fills the table
// by asking again and again: of what happens to the same user, session and address
// in one interval the table gets one row.
//
// And logouts that met a database that did not answer. The client was told so, and
// does not have the cookie any more; so nobody else may use it, first of all here,
// and everywhere else as soon as the database has it.

const (
	owedEvery   = time.Second
	owedEvents  = 1000
	owedLogouts = 10_000
)

// owed is safe for concurrent use.
type owed struct {
	mu      sync.Mutex
	open    bool // Run runs, and will write what waits
	events  []models.Event
	known   map[models.Event]struct{} // of events, without their times and details
	dropped int                       // for which there was no room
	logouts map[models.Exact]logout   // by the session's id
}

// A logout is the end of a session that the database has not been told.
type logout struct {
	at    time.Time
	by    client
	until time.Time // when the session is over by itself
}

func newOwed() *owed {
	return &owed{known: map[models.Event]struct{}{}, logouts: map[models.Exact]logout{}}
}

// accept says whether events may wait from now on.
func (o *owed) accept(open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = open
}

// event keeps an event to be written. It reports false if nobody will write it.
func (o *owed) event(e models.Event) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open {
		return false
	}
	kind := e
	kind.At, kind.Detail, kind.UserAgent = 0, "", ""
	switch _, again := o.known[kind]; {
	case again:
	case len(o.events) >= owedEvents:
		o.dropped++
	default:
		o.known[kind] = struct{}{}
		o.events = append(o.events, e)
	}
	return true
}

// take returns the events that wait, and how many found no room.
func (o *owed) take() (events []models.Event, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	events, dropped = o.events, o.dropped
	o.events, o.dropped = nil, 0
	clear(o.known)
	return events, dropped
}

// back returns events that could not be written. They come before later ones.
func (o *owed) back(events []models.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(events, o.events...)
	if over := len(o.events) - owedEvents; over > 0 {
		o.events, o.dropped = o.events[:owedEvents], o.dropped+over
	}
}

// logout keeps the end of a session. It reports false if there is no room: then
// the session is not refused here.
func (o *owed) logout(id models.Exact, l logout, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.logouts) >= owedLogouts {
		for id, l := range o.logouts {
			if !now.Before(l.until) {
				delete(o.logouts, id)
			}
		}
	}
	if len(o.logouts) >= owedLogouts {
		return false
	}
	o.logouts[id] = l
	return true
}

// ended reports whether a session has been signed out of that the database may
// still call alive.
func (o *owed) ended(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.logouts[models.Exact(id)]
	return ok
}

// waiting returns the logouts that wait.
func (o *owed) waiting() map[models.Exact]logout {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := make(map[models.Exact]logout, len(o.logouts))
	for id, l := range o.logouts {
		waiting[id] = l
	}
	return waiting
}

// done tells that the database knows of a logout.
func (o *owed) done(id models.Exact) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.logouts, id)
}

// settleOwed tells the database what it is owed. It stops at the first fault; what
// is left waits for the next time.
func (m *Manager) settleOwed(ctx context.Context) error {
	for id, l := range m.owed.waiting() {
		if err := m.endLate(ctx, id, l); err != nil {
			return err
		}
		m.owed.done(id)
	}
	events, dropped := m.owed.take()
	if dropped > 0 {
		m.cfg.Logger.ErrorContext(ctx, "ginsession: events are in the log alone, because there were too many", "count", dropped)
	}
	if len(events) == 0 {
		return nil
	}
	err := m.store.insert(ctx, events)
	if err != nil {
		m.owed.back(events)
	}
	return err
}

// endLate carries out a logout that the database did not hear of.
func (m *Manager) endLate(ctx context.Context, id models.Exact, l logout) error {
	rec, ok, err := m.store.find(ctx, string(id))
	if err != nil || !ok {
		return err
	}
	names := []name{{rec.ID, rec.UserID}}
	if rec.OriginID != "" {
		names = append(names, name{rec.OriginID, rec.Actor})
	}
	return m.end(ctx, names, l.at, l.by)
}
