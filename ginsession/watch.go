// Live connections: how a stream hears that its session has ended.

package ginsession

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// A stream or a WebSocket was let in by a session that may end while it is open.
// Nobody asks again: so it is told.
//
// Whoever watches waits on a context; there is no goroutine and no timer of his.
// What may concern him comes to Manager.changed, of this process at once and of
// others by the feed. That does not say enough to decide by, so his row is read.
// Once in SyncEvery Run does the same for those whose session should have run out by
// now, for those whose row could not be read, and for everybody if the feed was begun
// anew, because what happened in between was not heard.

// Watch returns a context that ends when the session of the request does, for
// handlers that last: streams, server-sent events, WebSockets. It ends at once if
// this process ends the session, within Config.SyncEvery and the time of a query if
// another does, when the session runs out, when the user is disabled or gets another
// role, and with the request. [context.Cause] is an *[Error] then, whose Reason says
// why, unless it was the request. If the request has no session, the context has
// ended already.
//
// A stream is no activity: it keeps no session from falling idle. Watch needs Run;
// without that it hears only of what this process does. The caller must call the
// function when he is done.
func (m *Manager) Watch(c *gin.Context) (context.Context, context.CancelFunc) {
	v := m.visit(c)
	ctx, end := context.WithCancelCause(c.Request.Context())
	if v.err != nil {
		end(stamp(v.err, v.now()))
		return ctx, func() {}
	}
	s := v.session()
	w := &watcher{ctx: ctx, end: end, session: models.Exact(s.ID), user: models.Exact(s.User.UserID), role: s.User.Role, heard: 1}
	m.watchers.add(w)
	m.look(context.WithoutCancel(ctx), []*watcher{w})
	return ctx, func() {
		m.watchers.remove(w)
		end(context.Canceled)
	}
}

// A watcher is one call of Watch.
type watcher struct {
	ctx           context.Context
	end           context.CancelCauseFunc
	session, user models.Exact
	role          string

	until models.Time // when the session ends, as far as is known

	// How often something was heard that may concern him, and how often it had been
	// when his row was read last. What is heard while it is read leaves a doubt.
	heard, looked uint64
}

// watchers are all of them, by session and by user: no id is both. It is safe for
// concurrent use, and guards what changes in a watcher.
type watchers struct {
	mu   sync.Mutex
	byID map[models.Exact]map[*watcher]struct{}
}

func newWatchers() *watchers {
	return &watchers{byID: map[models.Exact]map[*watcher]struct{}{}}
}

func (ws *watchers) add(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, id := range []models.Exact{w.session, w.user} {
		if ws.byID[id] == nil {
			ws.byID[id] = map[*watcher]struct{}{}
		}
		ws.byID[id][w] = struct{}{}
	}
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, id := range []models.Exact{w.session, w.user} {
		if delete(ws.byID[id], w); len(ws.byID[id]) == 0 {
			delete(ws.byID, id)
		}
	}
}

// concerned returns those whom an event concerns: those of its session, or of its
// user, or all.
func (ws *watchers) concerned(event models.Event) (found []*watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	mark := func(some map[*watcher]struct{}) {
		for w := range some {
			w.heard++
			found = append(found, w)
		}
	}
	switch {
	case event.SessionID != "":
		mark(ws.byID[event.SessionID])
	case event.UserID != "":
		mark(ws.byID[event.UserID])
	default:
		for _, some := range ws.byID {
			mark(some)
		}
	}
	return found
}

// due returns those who are to be looked up at an instant, and removes those who
// are gone.
func (ws *watchers) due(now models.Time) (due []*watcher) {
	ws.mu.Lock()
	var gone []*watcher
	for id, some := range ws.byID {
		for w := range some {
			switch {
			case id != w.session: // met under its session
			case w.ctx.Err() != nil:
				gone = append(gone, w)
			case w.heard != w.looked || now >= w.until:
				due = append(due, w)
			}
		}
	}
	ws.mu.Unlock()
	for _, w := range gone {
		ws.remove(w)
	}
	return due
}

// hearing returns how often something has been heard of a watcher, to be asked
// before his row is read.
func (ws *watchers) hearing(w *watcher) uint64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return w.heard
}

// settled notes until when nothing is to be done for a watcher, of whom nothing had
// been heard but so often when his row was read.
func (ws *watchers) settled(w *watcher, until models.Time, heard uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if heard >= w.looked {
		w.until, w.looked = until, heard
	}
}

// changedHere is changed for what this process has done.
func (m *Manager) changedHere(event models.Event) {
	m.look(context.Background(), m.changed(event))
}

// look reads how the sessions of watchers stand, and ends those that are over. When
// the database does not answer, the rest is left to Run.
func (m *Manager) look(ctx context.Context, some []*watcher) {
	if len(some) == 0 {
		return
	}
	now := m.now()
	for _, w := range some {
		heard := m.watchers.hearing(w)
		until, err := m.stands(ctx, w, now)
		var code Code
		switch {
		case err == nil:
			m.watchers.settled(w, until, heard)
		case !errors.As(err, &code) || code == ErrStoreUnavailable:
			return
		default:
			m.watchers.remove(w)
			w.end(stamp(err, now))
		}
	}
}

// stands returns until when the session of a watcher lasts, or why it does not.
func (m *Manager) stands(ctx context.Context, w *watcher, now time.Time) (models.Time, error) {
	if m.owed.ended(string(w.session)) {
		return 0, &Error{Code: ErrSessionNotFound, Reason: ReasonLogout}
	}
	rec, ok, err := m.store.find(ctx, string(w.session))
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, ErrSessionNotFound
	}
	f := found{row: rec.Session, place: current, accessed: max(rec.LastAccessed, m.activity.last(rec.ID))}
	if err := m.over(f, now); err != nil {
		return 0, err
	}
	if f.user, err = m.identity(ctx, rec); err == nil && rec.Actor != "" {
		f.actor, err = m.actorOf(ctx, f, now)
	}
	if err != nil {
		if errors.Is(err, ErrSessionInvalid) {
			err = &Error{Code: ErrSessionInvalid, Reason: ReasonDisabled}
		}
		return 0, err
	}
	if f.user.Role != w.role {
		return 0, &Error{Code: ErrRoleRequired, Reason: ReasonRole}
	}
	end, _ := m.ends(f)
	return models.At(end), nil
}
