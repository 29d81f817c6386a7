// Upkeep: the one thing that runs beside the requests.

package ginsession

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ginsession/gin-session/models"
)

// maxMissed is after how many intervals without a reading of the feed memory is
// believed no more.
const maxMissed = 3

// Run keeps this process up to date until ctx ends: it follows what other
// processes change, writes the accesses of sessions, and removes what ended long
// ago. It is meant to run for as long as requests are served:
//
//	go sessions.Run(ctx)
//
// While it runs, a session that this process has seen is answered from memory,
// without a query, and what another process ends or changes is known here within
// Config.SyncEvery and the time of one query. Without it, for some seconds after it
// was started, and while the database cannot be asked, every request reads its
// row.
//
// Config.StoreTimeout and Config.SyncEvery are to be the same on all nodes: a
// change that another node takes longer to commit may be known here only after
// Config.CacheFor.
//
// When ctx ends, Run writes what is still to be written and returns when all that
// it started has ended, at the latest after some calls of the database have met
// their deadlines; then it may be called again. The error is that of the last
// writing, or [ErrInternal] if Run runs already. What goes wrong meanwhile is
// logged, and tried again.
func (m *Manager) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return &Error{Code: ErrInternal, Time: m.now(), Err: errors.New("Run is running already")}
	}
	defer m.running.Store(false)
	m.activity.accept(true)
	m.owed.accept(true)
	var loops sync.WaitGroup
	loops.Go(func() { m.followChanges(ctx) })
	loops.Go(func() { m.writeAccesses(ctx) })
	loops.Go(func() { m.payOwed(ctx) })
	loops.Go(func() { m.sweepNowAndThen(ctx) })
	loops.Go(func() { m.lookAfterStreams(ctx) })
	loops.Wait()

	m.activity.accept(false)
	m.owed.accept(false)
	last := context.WithoutCancel(ctx)
	if err := errors.Join(m.flush(last, true), m.settleOwed(last)); err != nil {
		return stamp(err, m.now())
	}
	return nil
}

func (m *Manager) followChanges(ctx context.Context) {
	defer m.synced.Store(nil)
	changes := feed{m: m}
	var broken fault
	for {
		began, instant := time.Now(), m.cfg.Now()
		ready, err := changes.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && ready:
			m.synced.Store(&instant)
		}
		broken.report(ctx, m, "the changes of other processes cannot be read", err)
		select {
		case m.heard <- struct{}{}:
		default: // it has yet to take the last one
		}
		if !sleep(ctx, m.cfg.SyncEvery-time.Since(began)) {
			return
		}
	}
}

// lookAfterStreams looks up who watches, after each reading of the feed, and does not
// hold that up.
func (m *Manager) lookAfterStreams(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.heard:
			m.look(ctx, m.watchers.due(models.At(m.now())), m.heard)
		}
	}
}

func (m *Manager) writeAccesses(ctx context.Context) {
	var broken fault
	for sleep(ctx, flushEvery) {
		broken.report(ctx, m, "accesses cannot be written", m.flush(ctx, false))
	}
}

func (m *Manager) payOwed(ctx context.Context) {
	var broken fault
	for sleep(ctx, owedEvery) {
		broken.report(ctx, m, "events and logouts cannot be written", m.settleOwed(ctx))
	}
}

func (m *Manager) sweepNowAndThen(ctx context.Context) {
	var broken fault
	for wait := sweepEvery / 10; sleep(ctx, byLot(wait)); wait = sweepEvery {
		err := m.sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		broken.report(ctx, m, "what ended long ago cannot be removed", err)
	}
}

// sleep waits for d, which may be negative. It reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// A fault is reported when it begins and when it is over, not each time between.
type fault bool

func (f *fault) report(ctx context.Context, m *Manager, what string, err error) {
	switch {
	case err != nil && !bool(*f):
		m.cfg.Logger.ErrorContext(ctx, "ginsession: "+what, "error", err)
	case err == nil && bool(*f):
		m.cfg.Logger.InfoContext(ctx, "ginsession: over: "+what)
	}
	*f = err != nil
}
