// How a process hears what the others have changed: the feed.

package ginsession

import (
	"context"
	"time"

	"github.com/ginsession/gin-session/models"
)

// Each transaction that ends, rotates or otherwise changes a session, or changes
// a user, adds an event in that same transaction. The feed reads the events that
// are new, once in SyncEvery, by their ids, with one query that begins at an
// index and reads to the end of the table.
//
// The ids of events are given out while their transactions run, and these end in
// any order: an event may become visible after one with a higher id. So a reading
// does not begin where the last one ended. It begins at the highest id that had
// been read settle before the last reading began. No event is missed by that. Say
// it becomes visible between the readings P and Q. Its transaction has lasted no
// longer than settle, so its id was given out later than settle before P began;
// later than Q's beginning was read, therefore; so its id is higher than that, and
// Q finds it. That needs ids to grow with time, but for the differences between
// several writers, as those of a Galera cluster or the clocks of CockroachDB's
// nodes have them: settle has room for these. It is all the same how long other
// transactions last, how long the table is, and how far apart readings are.
//
// What is beyond it, a commit that a database holds back for long or ids given
// out in blocks (YugabyteDB, and TiDB without AUTO_ID_CACHE 1), is bounded by
// CacheFor: nothing is believed for longer without reading its row.
//
// For the same reason the first reading does not know what is under way. Until
// settle has passed since, every request reads its row. Where the feed could not be
// read for longer than CacheFor, it is begun anew: nothing is left in memory that
// the events of that time could concern.

const (
	// settleMargin is for the differences between several writers; the deadline of
	// a transaction, StoreTimeout, comes on top.
	settleMargin = 2 * time.Second

	// feedPage is how many events are read by one query.
	feedPage = 1000
)

// A reading is one time that the feed was read.
type reading struct {
	ended time.Time
	last  int64 // the highest id so far
}

// feed is used by one goroutine. Its times are of the process's own clock, for
// only distances count.
type feed struct {
	m        *Manager
	readings []reading          // the first is where the next reading begins
	began    time.Time          // when the last one did
	heard    map[int64]struct{} // the ids that it returned
	ready    bool               // memory may be believed
}

// settle is how long after its id was given out an event is visible, if it ever
// will be.
func (m *Manager) settle() time.Duration { return m.cfg.StoreTimeout + settleMargin }

// read hears what is new. It reports whether memory may be believed now.
func (f *feed) read(ctx context.Context) (bool, error) {
	began := time.Now()
	if f.readings == nil || began.Sub(f.began) >= f.m.cfg.CacheFor {
		return false, f.start(ctx, began)
	}
	settled := f.began.Add(-f.m.settle())
	for len(f.readings) > 1 && !f.readings[1].ended.After(settled) {
		f.readings = f.readings[1:]
	}
	heard := map[int64]struct{}{}
	last := f.readings[len(f.readings)-1].last
	for from, more := f.readings[0].last, true; more; {
		events, err := f.m.store.eventsAfter(ctx, from, feedPage)
		if err != nil {
			return false, err
		}
		for _, event := range events {
			if _, known := f.heard[event.ID]; !known {
				f.m.changed(event) // its watchers are looked at when all is read: see lookAfterStreams
			}
			heard[event.ID] = struct{}{}
			from = event.ID
		}
		last = max(last, from)
		more = len(events) == feedPage
	}
	f.began, f.heard = began, heard
	f.readings = append(f.readings, reading{time.Now(), last})
	if !f.ready && !f.readings[0].ended.After(settled) {
		// What was put into memory before now, by whatever slow request, may have been
		// read before an event that was never heard.
		f.m.live.forget()
		f.ready = true
	}
	return f.ready, nil
}

// start begins at the end of the table.
func (f *feed) start(ctx context.Context, began time.Time) error {
	last, err := f.m.store.lastEvent(ctx)
	if err != nil {
		f.readings = nil
		return err
	}
	f.began, f.heard, f.ready = began, nil, false
	f.readings = []reading{{time.Now(), last}}
	f.m.watchers.concerned(models.Event{}) // what happened before is not heard
	return nil
}

// changed forgets what an event says is no longer as it was. It returns those who
// watch a session that the event concerns; Run looks them up when it has read all.
func (m *Manager) changed(event models.Event) []*watcher {
	if changesNothing(event.Name) {
		return nil
	}
	switch {
	case event.SessionID != "":
		m.live.changed(event.SessionID)
	case event.UserID != "":
		m.live.changed(event.UserID)
	default:
		m.live.forget()
	}
	return m.watchers.concerned(event)
}

// follows reports whether at the instant t this process knows what the others
// have changed: the feed was read lately, by the clock on the wall, which t has,
// and by the monotonic one, which it may have too. If either has jumped, it was not.
func (m *Manager) follows(t time.Time) bool {
	synced := m.synced.Load()
	if synced == nil {
		return false
	}
	limit := maxMissed * m.cfg.SyncEvery
	since, wall := t.Sub(*synced), time.Duration(t.UnixNano()-synced.UnixNano())
	return 0 <= since && since <= limit && 0 <= wall && wall <= limit
}
