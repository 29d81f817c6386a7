// Live connections: how a stream hears that its session has ended.

package ginsession

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
// now, for those whose row was read before CacheFor or could not be, and for everybody
// if the feed was begun anew, because what happened in between was not heard.

// Watch returns a context that ends when the session of the request does, for
// handlers that last: streams, server-sent events, WebSockets. It ends at once if
// this process ends the session, within Config.SyncEvery and the time of a query if
// another does, when the session runs out, when the user is disabled or gets another
// role, and with the request; within Config.CacheFor also by changes that no event
// tells of. [context.Cause] is an *[Error] then, whose Reason says
// why, unless it was the request. If the request has no session, the context has
// ended already.
//
// A stream is no activity: it keeps no session from falling idle. What timeouts the
// http.Server has cut it off: lift them with [net/http.ResponseController]. Watch needs Run;
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
	w.ids = []models.Exact{w.session, w.user}
	if v.found != nil && v.found.row.Actor != "" { // it hangs on these two as well
		w.ids = append(w.ids, v.found.row.OriginID, v.found.row.Actor)
	}
	m.watchers.add(w)
	m.look(context.WithoutCancel(ctx), []*watcher{w}, nil)
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
	ids           []models.Exact // of the sessions and users that it hangs on

	until models.Time // when the session ends, as far as is known

	// How often something was heard that may concern him, and how often it had been
	// when his row was read last. What is heard while it is read leaves a doubt.
	heard, looked uint64
}

// watchers are all of them, by sessions and by users: no id is both. It is safe for
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
	for _, id := range w.ids {
		if ws.byID[id] == nil {
			ws.byID[id] = map[*watcher]struct{}{}
		}
		ws.byID[id][w] = struct{}{}
	}
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, id := range w.ids {
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
	mark := func(w *watcher) {
		w.heard++
		found = append(found, w)
	}
	id := event.SessionID
	if id == "" {
		id = event.UserID
	}
	if id == "" {
		ws.each(mark)
	}
	for w := range ws.byID[id] {
		mark(w)
	}
	return found
}

// each calls f for all of them, once each, under the lock.
func (ws *watchers) each(f func(w *watcher)) {
	for id, some := range ws.byID {
		for w := range some {
			if id == w.session { // and not where it is met again
				f(w)
			}
		}
	}
}

// due returns those who are to be looked up at an instant, and removes those who
// are gone.
func (ws *watchers) due(now models.Time) (due []*watcher) {
	var gone []*watcher
	ws.mu.Lock()
	ws.each(func(w *watcher) {
		switch {
		case w.ctx.Err() != nil:
			gone = append(gone, w)
		case w.heard != w.looked || now >= w.until:
			due = append(due, w)
		}
	})
	ws.mu.Unlock()
	for _, w := range gone {
		ws.remove(w)
	}
	return due
}

// hearing returns how often something has been heard of each of some watchers, to be
// asked before their rows are read.
func (ws *watchers) hearing(some []*watcher) map[*watcher]uint64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	heard := make(map[*watcher]uint64, len(some))
	for _, w := range some {
		heard[w] = w.heard
	}
	return heard
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
	m.look(context.Background(), m.changed(event), nil)
}

// look reads how the sessions of watchers stand, and ends those that are over. When
// the database does not answer, or there is more to look at, the rest is left to Run.
func (m *Manager) look(ctx context.Context, some []*watcher, more <-chan struct{}) {
	if len(some) == 0 {
		return
	}
	now := m.now()
	rest := some[:0:0]
	for _, w := range some { // no row is needed for these
		if m.owed.ended(string(w.session)) {
			m.watchers.over(w, &Error{Code: ErrSessionNotFound, Time: now, Reason: ReasonLogout})
		} else {
			rest = append(rest, w)
		}
	}
	// The application's Users are asked last: one of whom they say nothing, or say it
	// late, must not hold up the end of the others.
	type standing struct {
		*watcher
		rec   record
		heard uint64
	}
	var standings []standing
	for batch := range slices.Chunk(rest, lookBatch) {
		heard := m.watchers.hearing(batch)
		ids := map[models.Exact]struct{}{}
		for _, w := range batch {
			ids[w.session] = struct{}{}
		}
		rows, err := m.store.findAll(ctx, slices.Collect(maps.Keys(ids)))
		if err != nil {
			return
		}
		for _, w := range batch {
			rec := rows[w.session]
			if err := m.overByRow(rec, now); err != nil {
				m.watchers.over(w, stamp(err, now))
				continue
			}
			standings = append(standings, standing{w, rec, heard[w]})
		}
	}
	for _, s := range standings {
		if len(more) > 0 {
			return // these are still due
		}
		until, err := m.standsSafely(ctx, s.watcher, s.rec, now)
		var code Code
		switch {
		case err == nil:
			m.watchers.settled(s.watcher, until, s.heard)
		case !errors.As(err, &code) || code == ErrStoreUnavailable:
		default:
			m.watchers.over(s.watcher, stamp(err, now))
		}
	}
}

// overByRow returns why a session is over by what its row says. The row is zero if there
// is none.
func (m *Manager) overByRow(rec record, now time.Time) error {
	if rec.ID == "" {
		return ErrSessionNotFound
	}
	return m.over(found{row: rec.Session, place: current, accessed: m.lastAccess(rec.Session)}, now)
}

// lookBatch is how many rows are read by one query.
const lookBatch = 500

// over ends the context of a watcher.
func (ws *watchers) over(w *watcher, why *Error) {
	ws.remove(w)
	w.end(why)
}

// standsSafely is stands where no request's Recovery catches a panic of the
// application's hooks: then it is asked again soon.
func (m *Manager) standsSafely(ctx context.Context, w *watcher, rec record, now time.Time) (until models.Time, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			until = models.At(now.Add(m.cfg.SyncEvery))
			m.cfg.Logger.ErrorContext(ctx, "ginsession: a watched session cannot be looked up", "session", string(w.session), "panic", fmt.Sprint(fault))
		}
	}()
	return m.stands(ctx, w, rec, now)
}

// stands returns until when the session of a watcher, which is not over by its row, need
// not be looked up again, or why it does not last.
func (m *Manager) stands(ctx context.Context, w *watcher, rec record, now time.Time) (models.Time, error) {
	f := found{row: rec.Session, place: current, accessed: m.lastAccess(rec.Session)}
	var err error
	if f.user, err = m.identity(ctx, rec); err == nil && rec.Actor != "" {
		err = m.acts(ctx, &f, now)
	}
	if err != nil {
		return 0, err
	}
	if f.user.Role != w.role {
		return 0, &Error{Code: ErrRoleRequired, Reason: ReasonRole}
	}
	end, _ := m.ends(f)
	return min(models.At(end), models.At(now.Add(m.cfg.CacheFor))), nil
}
