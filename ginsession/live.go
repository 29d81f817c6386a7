// The sessions that this process has verified, by their tokens.

package ginsession

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ginsession/gin-session/models"
)

// A request of a live session costs a map look-up: no query, no signature, no
// JSON. What is kept is kept only as long as every part of the answer is sure to
// stay the same if the row does: see restsUntil.
//
// That the row is still the same is known by stamps. There is a clock that counts
// changes, here or heard of from elsewhere. Each change moves it on and stamps
// the session, or the user, with the new time. What is kept bears the time of the
// clock before its row was read. It holds while neither its session nor its user
// bears a later stamp: then no change came after the reading began, and whatever
// was changed before was there to be read. So a change has nothing to search for
// and nothing to remove, and a reader that was overtaken by a change can put back
// what it likes: it does not hold.
//
// Sessions and users share a table of stamps, by a hash. Two that meet there
// cost each other a reading of the row, no more.

const (
	stampCount = 1 << 16
	maxShards  = 64
)

// live is safe for concurrent use.
type live struct {
	seed   maphash.Seed
	shards []shard

	changing sync.Mutex // for the next two to change together
	clock    atomic.Uint64
	stamps   []atomic.Uint64
	all      atomic.Uint64 // the stamp of everything
}

// A shard holds some of the sessions. Which go when it is full is found by the
// clock algorithm: a hand goes round, spares each that was used since it last
// came by, and takes the first that was not.
type shard struct {
	mu       sync.RWMutex
	byToken  map[string]*known
	ring     []*known
	hand     int
	capacity int
	_        [40]byte // keeps the locks of two shards off one cache line
}

// known is a session as it was found by a token. All but the atomics never
// changes.
type known struct {
	token   string
	session brief

	since       uint64      // the clock, before the row was read
	read, until models.Time // it holds in between

	accessed atomic.Int64 // models.Time, exact to accessGrain
	written  models.Time  // the last access in the row

	sessionSlot, userSlot uint16      // of the stamps
	place                 int32       // in the ring
	used                  atomic.Bool // since the hand came by
}

func newLive(capacity int) *live {
	l := &live{
		seed:   maphash.MakeSeed(),
		shards: make([]shard, min(maxShards, 1+capacity/maxShards)),
		stamps: make([]atomic.Uint64, stampCount),
	}
	for i := range l.shards {
		l.shards[i].byToken = map[string]*known{}
		l.shards[i].capacity = capacity / len(l.shards)
	}
	return l
}

// get returns what is known of a token, if it holds at the instant now.
func (l *live) get(raw string, now models.Time) *known {
	s := l.shard(raw)
	s.mu.RLock()
	k := s.byToken[raw]
	s.mu.RUnlock()
	if k == nil || now < k.read || now >= k.until || !l.current(k.since, k.sessionSlot, k.userSlot) {
		return nil
	}
	if !k.used.Load() {
		k.used.Store(true)
	}
	return k
}

// tick returns the time of the clock, to be taken before a row is read.
func (l *live) tick() uint64 { return l.clock.Load() }

// overtaken reports whether a session or its user has changed since a time of
// the clock.
func (l *live) overtaken(since uint64, session, user string) bool {
	return !l.current(since, l.slot(session), l.slot(user))
}

func (l *live) current(since uint64, session, user uint16) bool {
	return l.stamps[session].Load() <= since && l.stamps[user].Load() <= since && l.all.Load() <= since
}

// put keeps what was read of a session since a time of the clock.
func (l *live) put(raw string, session brief, accessed, written models.Time, since uint64, read, until models.Time) *known {
	k := &known{
		token:       strings.Clone(raw), // the header line that it is part of need not stay
		session:     session,
		written:     written,
		since:       since,
		read:        read,
		until:       until,
		sessionSlot: l.slot(session.id),
		userSlot:    l.slot(session.user.UserID),
	}
	k.accessed.Store(int64(accessed))
	s := l.shard(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byToken[raw]; old != nil {
		k.place = old.place
		k.used.Store(old.used.Load())
		delete(s.byToken, raw) // the map would keep the old key
	} else {
		k.place = s.room()
	}
	s.ring[k.place] = k
	s.byToken[k.token] = k
	return k
}

// room returns a free place in the ring.
func (s *shard) room() int32 {
	if len(s.ring) < s.capacity {
		s.ring = append(s.ring, nil)
		return int32(len(s.ring) - 1)
	}
	for s.ring[s.hand].used.Swap(false) {
		s.hand = (s.hand + 1) % len(s.ring)
	}
	place := s.hand
	delete(s.byToken, s.ring[place].token)
	s.hand = (s.hand + 1) % len(s.ring)
	return int32(place)
}

// changed tells that a session, or whatever a user has to do with, is no longer
// as it was.
func (l *live) changed(id models.Exact) {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.stamps[l.slot(string(id))].Store(l.clock.Add(1))
}

// forget tells that nothing is known any more.
func (l *live) forget() {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.all.Store(l.clock.Add(1))
}

// shard finds the shard of a token by the end of its signature, which is as
// good as random.
func (l *live) shard(raw string) *shard {
	h := maphash.String(l.seed, raw[max(0, len(raw)-8):])
	return &l.shards[h%uint64(len(l.shards))]
}

func (l *live) slot(id string) uint16 { return uint16(maphash.String(l.seed, id)) }
