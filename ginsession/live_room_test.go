// The room of the live sessions by itself: how much it holds, and what it takes.

package ginsession

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ginsession/gin-session/models"
)

// typical returns a token and a session as a database driver would leave them in
// memory, each text by itself.
func typical(i int) (string, brief) {
	return strings.Repeat("e", 215) + rand.Text() + rand.Text()[:17], brief{
		id: rand.Text(),
		user: Identity{
			UserID: rand.Text(), Username: fmt.Sprintf("firstname.lastname%d", i),
			Email: fmt.Sprintf("firstname.lastname%d@example.com", i), Role: strings.Clone("editor"),
		},
		agent: strings.Clone("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"),
		ip:    strings.Clone("203.0.113.195"),
	}
}

func keep(l *live, i int) string {
	token, s := typical(i)
	l.put(token, s, 500, 500, l.tick(), 1000, 2000)
	return token
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (l *live) size() int {
	n := 0
	for i := range l.shards {
		n += len(l.shards[i].byToken)
		if len(l.shards[i].byToken) != len(l.shards[i].ring) {
			panic("the map and the ring do not hold the same")
		}
	}
	return n
}

func TestASessionTakesLessThanAKilobyte(t *testing.T) {
	const n = 100_000
	before := heap()
	l := newLive(2 * n)
	for i := range n {
		keep(l, i)
	}
	each := (heap() - before) / n
	if l.size() != n {
		t.Errorf("%d of %d sessions were kept", l.size(), n)
	}
	t.Logf("%d sessions take %d bytes each", n, each)
	if each >= 1024 {
		t.Errorf("a session takes %d bytes", each)
	}
	runtime.KeepAlive(l)
}

func TestTheBoundHoldsWithAMillionSessions(t *testing.T) {
	const bound = DefaultLiveSessions
	n := 1_000_000
	if RaceDetector {
		n /= 5
	}
	before := heap()
	l := newLive(bound)
	kept := keep(l, 0)
	for i := range n {
		keep(l, i)
		if i%1000 == 0 && l.get(kept, 1500) == nil {
			t.Fatalf("a session in use went after %d others", i)
		}
	}
	size, each := l.size(), (heap()-before)/bound
	t.Logf("of %d sessions %d were kept, %d bytes for each of the bound", n, size, each)
	if size > bound || size < bound*9/10 {
		t.Errorf("%d sessions are kept, the bound is %d", size, bound)
	}
	if each >= 1024 {
		t.Errorf("a session takes %d bytes", each)
	}
	runtime.KeepAlive(l)
}

func TestSmallBounds(t *testing.T) {
	for _, bound := range []int{1, 2, 3, 63, 64, 65, 1000} {
		l := newLive(bound)
		for i := range 10 * bound {
			token := keep(l, i)
			if l.get(token, 1500) == nil {
				t.Errorf("bound %d: a session that was just put is gone", bound)
			}
		}
		if l.size() > bound || l.size() < bound/2 {
			t.Errorf("%d sessions are kept, the bound is %d", l.size(), bound)
		}
	}
}

// What is known holds from the instant it was read until its end, while neither
// its session nor its user has changed since before it was read.
func TestWhatHolds(t *testing.T) {
	l := newLive(10)
	token, s := typical(0)
	since := l.tick()
	put := func() { l.put(token, s, 500, 500, since, 1000, 2000) }
	put()
	for _, at := range []models.Time{999, 2000, 2001} {
		if l.get(token, at) != nil {
			t.Errorf("it holds at %d", at)
		}
	}
	for _, at := range []models.Time{1000, 1999} {
		if l.get(token, at) == nil {
			t.Errorf("it does not hold at %d", at)
		}
	}
	if l.get(token[1:], 1500) != nil || l.get(token+"x", 1500) != nil || l.get("", 1500) != nil {
		t.Error("another token finds it")
	}
	for name, change := range map[string]func(){
		"session": func() { l.changed(models.Exact(s.id)) },
		"user":    func() { l.changed(models.Exact(s.user.UserID)) },
		"all":     l.forget,
	} {
		since = l.tick()
		put()
		if l.get(token, 1500) == nil {
			t.Errorf("%s: it does not hold", name)
		}
		change()
		if l.get(token, 1500) != nil || !l.overtaken(since, s.id, s.user.UserID) {
			t.Errorf("%s: it holds after the change", name)
		}
		put() // by a reader who began before the change
		if l.get(token, 1500) != nil {
			t.Errorf("%s: it was put back", name)
		}
	}
}

// Readers and changes at once, on sessions that share one stamp. When a change
// has been told, nothing holds that was read before, whatever other changes are
// being told.
func TestLiveAtOnce(t *testing.T) {
	l := newLive(50)
	token, s := typical(0)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50_000 {
				since := l.tick()
				l.changed(models.Exact(s.id))
				if !l.overtaken(since, s.id, s.user.UserID) {
					t.Error("a change was lost")
					return
				}
				l.put(token, s, 500, 500, since, 1000, 2000)
			}
		})
	}
	group.Wait()
	if l.get(token, 1500) != nil {
		t.Error("it holds, although it was read before a change")
	}
}
