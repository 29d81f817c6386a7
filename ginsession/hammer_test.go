// Real goroutines on three nodes: clients hammer while their sessions end.

package ginsession_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models/modelstest"
)

// Each client notes when it began the last request that was answered 200, each
// node when its feed began to read. From the node that ended a session none that
// began after the end had been answered may be 200. From another none that began
// after two readings had: the first of them began after the end, and was done when
// the second began. That a reading begins each SyncEvery is shown under a clock
// that does not depend on the machine: TestAtOnceHereWithinASecondThere.
func TestClientsHammerWhileTheirSessionsEnd(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		a := newApp(t, d)
		users := &anyone{role: "admin"}
		var nodes []*hammered
		for range 3 {
			nodes = append(nodes, newHammered(t, d, users))
		}
		for _, n := range nodes {
			a.run(n.sessions)
		}
		n := 60
		if ginsession.RaceDetector {
			n = 30
		}
		sessions := make([]*hammeredSession, n)
		for i := range sessions {
			c := ginsessiontest.NewClient(nodes[i%3].engine)
			user := fmt.Sprint("user ", i)
			require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": user, "password": "x"}).StatusCode)
			sessions[i] = &hammeredSession{cookie: c.Cookie(cookieName), user: user}
		}
		for _, n := range nodes {
			n.awaitMemory(t, sessions[0].cookie)
		}

		var hammers, ends sync.WaitGroup
		stop := make(chan struct{})
		var answered, fromMemory atomic.Int64
		for worker := range 6 {
			hammers.Go(func() {
				lot := rand.New(rand.NewPCG(uint64(worker), 0))
				for {
					select {
					case <-stop:
						return
					default:
					}
					s, node := sessions[lot.IntN(n)], lot.IntN(3)
					c := ginsessiontest.NewClient(nodes[node].engine)
					c.Header.Set("Cookie", cookieName+"="+s.cookie)
					began, read := time.Now(), nodes[node].reads.Load()
					switch status := c.Get("/admin").StatusCode; status {
					case http.StatusOK:
						s.note(node, began)
						if nodes[node].reads.Load() == read {
							fromMemory.Add(1)
						}
					case http.StatusUnauthorized:
					default:
						t.Errorf("answered %d", status)
					}
					answered.Add(1)
				}
			})
		}
		for worker := range 3 {
			ends.Go(func() {
				for i := worker; i < n; i += 3 {
					time.Sleep(20 * time.Millisecond) // so that ends and readings fall everywhere
					sessions[i].end(t, (i*7+worker)%3, nodes)
				}
			})
		}
		ends.Wait()
		for _, node := range nodes { // until each has certainly heard of the last end
			node.awaitReadings(4)
		}
		close(stop)
		hammers.Wait()

		require.Greater(t, fromMemory.Load(), int64(n), "memory answers, or this test shows nothing")
		var latest time.Duration
		for i, s := range sessions {
			for node, last := range s.last {
				limit := s.ended
				if node != s.by {
					limit = nodes[node].secondReadingAfter(s.ended)
				}
				if last.After(limit) {
					t.Errorf("session %d: ended at %v by node %d, but node %d answered 200 to a request that began %v after that, %v after the limit",
						i, s.ended.Format("05.000"), s.by, node, last.Sub(s.ended), last.Sub(limit))
				}
				latest = max(latest, last.Sub(s.ended))
			}
		}
		t.Logf("%d answers, %d without a query, the latest 200 on another node began %v after the end", answered.Load(), fromMemory.Load(), latest)
		for _, s := range sessions { // and nothing brings them back
			for _, node := range nodes {
				c := ginsessiontest.NewClient(node.engine)
				c.Header.Set("Cookie", cookieName+"="+s.cookie)
				require.Equal(t, 401, c.Get("/admin").StatusCode)
			}
		}
	})
}

// hammered is a node whose queries are counted.
type hammered struct {
	sessions *ginsession.Manager
	engine   *gin.Engine
	reads    atomic.Int64 // of rows

	mu       sync.Mutex
	readings []time.Time // when those of the feed began
}

func newHammered(t *testing.T, d modelstest.Database, users ginsession.Users) *hammered {
	db := d.Open(t)
	h := &hammered{}
	tap(db).rewrite = func(query string) string {
		switch {
		case strings.HasPrefix(query, "SELECT") && strings.Contains(query, "session_events"):
			h.mu.Lock()
			h.readings = append(h.readings, time.Now())
			h.mu.Unlock()
		case strings.HasPrefix(query, "SELECT s.id"):
			h.reads.Add(1)
		}
		return query
	}
	a := &app{t: t, logs: &capture{}}
	h.sessions, h.engine = a.node(db, func(c *ginsession.Config) {
		c.Users, c.SyncEvery, c.StoreTimeout = users, 100*time.Millisecond, 2*time.Second
	})
	return h
}

// awaitMemory waits until a session is answered without a query.
func (h *hammered) awaitMemory(t *testing.T, cookie string) {
	c := ginsessiontest.NewClient(h.engine)
	c.Header.Set("Cookie", cookieName+"="+cookie)
	for {
		before := h.reads.Load()
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		if h.reads.Load() == before {
			return
		}
		h.awaitReadings(1)
	}
}

func (h *hammered) awaitReadings(n int) {
	h.mu.Lock()
	n += len(h.readings)
	h.mu.Unlock()
	for {
		h.mu.Lock()
		have := len(h.readings)
		h.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *hammered) secondReadingAfter(t time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, began := range h.readings {
		if began.After(t) && i+1 < len(h.readings) {
			return h.readings[i+1]
		}
	}
	return time.Now()
}

type hammeredSession struct {
	cookie string
	user   string
	by     int       // the node that ended it
	ended  time.Time // when that had been answered

	mu   sync.Mutex
	last [3]time.Time // when the last request began that a node answered 200
}

func (s *hammeredSession) note(node int, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if began.After(s.last[node]) {
		s.last[node] = began
	}
}

// end ends the session on a node, on each in another way.
func (s *hammeredSession) end(t *testing.T, by int, nodes []*hammered) {
	node := nodes[by]
	var err error
	switch by {
	case 0:
		c := ginsessiontest.NewClient(node.engine)
		c.Header.Set("Cookie", cookieName+"="+s.cookie)
		if status := c.PostJSON("/logout", nil).StatusCode; status != http.StatusOK {
			t.Errorf("logout: %d", status)
		}
	case 1:
		err = node.sessions.RevokeSession(context.Background(), string(sessionOf(t, s.cookie)), "")
	default:
		_, err = node.sessions.RevokeUser(context.Background(), s.user)
	}
	s.by, s.ended = by, time.Now()
	if err != nil {
		t.Error(err)
	}
}
