// A model of what each cookie must get, and random sequences of acts on several
// nodes that are held against it.

package ginsession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

// A run does the same each time, so that it fails for a change and not by chance.
// GINSESSION_TEST_SEED is another seed, or "random", to look further.
func TestModel(t *testing.T) {
	seed := uint64(1)
	switch s := os.Getenv("GINSESSION_TEST_SEED"); s {
	case "":
	case "random":
		seed = rand.Uint64()
	default:
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d", seed)
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		worlds := 40
		if d.Kind != "sqlite" {
			worlds = 2
		}
		if ginsession.RaceDetector {
			worlds = max(1, worlds/8)
		}
		sequences, acts := 0, 0
		for n := range worlds {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, d, rand.New(rand.NewPCG(seed, uint64(n))), n)
				w.run()
				sequences += w.sequence + 1
				acts += w.acts
			})
		}
		t.Logf("%d sequences of %d acts", sequences, acts)
	})
}

// A world is two or three nodes over one database, and what the model knows.
type world struct {
	t     *testing.T
	d     modelstest.Database
	db    *gorm.DB
	lot   *rand.Rand
	n     int
	idle  time.Duration
	sync  time.Duration
	limit int
	step  atomic.Int64 // by which all clocks are wrong
	back  time.Time    // when they were last set back
	keys  []ginsession.Key
	nodes []*node

	sequence, acts int
	users          []*person
	browsers       []*browser
	sessions       map[models.Exact]*modelled
	streams        []*stream
	as             func(good ginsession.Code) ginsession.Code // what a request gets whose session is good
	opens          *modelled                                  // what a request opens
	log            []string                                   // of the sequence
}

type node struct {
	name     string
	sessions *ginsession.Manager
	engine   *gin.Engine
	stop     func() // Run; nil where it does not run
	watch    func(c *gin.Context)
	close    func() // its connections
}

type person struct {
	id, name string
	role     string
	disabled bool
	changes  []change // of the role
}

// A change was made by a node at an instant.
type change struct {
	by *node
	at time.Time
}

type browser struct {
	user   *person
	cookie string
	old    []string
}

// modelled is what the model knows of a session.
type modelled struct {
	id       models.Exact
	key      ginsession.Key // that signed the last cookie
	user     *person
	secrets  []string // in their order
	seen     time.Time
	accessed time.Time
	expires  time.Time
	issued   time.Time // when the last cookie was
	reason   ginsession.Code
	ended    *change

	created time.Time
	cut     int // secrets before this one are good for nothing, see goBack
	cutBy   *change

	actor  *person // who is signed in as user, and his own session
	origin *modelled
	spent  bool // it led back to that
}

// A stream was opened with a session.
type stream struct {
	n      *node
	s      *modelled
	ctx    context.Context
	stop   context.CancelFunc
	opened time.Time
	role   string
	over   time.Time // since when it should have ended, if nobody has ended the session
}

func newWorld(t *testing.T, d modelstest.Database, lot *rand.Rand, n int) *world {
	w := &world{t: t, d: d, lot: lot, n: n, keys: []ginsession.Key{key1}, sessions: map[models.Exact]*modelled{}}
	w.sync = []time.Duration{time.Second, 5 * time.Second}[lot.IntN(2)]
	w.idle = []time.Duration{0, 20 * time.Minute}[lot.IntN(2)]
	w.limit = []int{2, ginsession.DefaultMaxSessions}[lot.IntN(2)]
	w.db, _ = w.open()
	require.NoError(t, models.Migrate(w.db))
	for i := range 2 + lot.IntN(2) {
		w.nodes = append(w.nodes, &node{name: fmt.Sprint("node ", i)})
		w.start(w.nodes[i])
	}
	return w
}

// now is what the clocks of the nodes show.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.step.Load())) }

// start starts a node, or starts it anew.
func (w *world) start(n *node) {
	w.halt(n)
	if n.close != nil {
		n.close()
	}
	var db *gorm.DB
	db, n.close = w.open()
	sessions, err := ginsession.New(db, ginsession.Config{
		Keys: w.keys, MaxAge: time.Hour, RefreshThreshold: 20 * time.Minute, AbsoluteTimeout: 3 * time.Hour,
		IdleTimeout: w.idle, SyncEvery: w.sync, Now: w.now, Logger: slog.New(slog.DiscardHandler),
		MaxSessions: w.limit, MayImpersonate: func(actor, user ginsession.Identity) bool { return modelMayBe(actor.Role, user.Role) },
	})
	require.NoError(w.t, err)
	sessions.TestOnlyCheapHashes()
	w.streams = slices.DeleteFunc(w.streams, func(st *stream) bool { return st.n == n }) // they were of its last life
	n.sessions, n.engine = sessions, gin.New()
	n.engine.Use(sessions.Load)
	sessions.Routes(n.engine)
	impersonation(sessions, n.engine)
	n.engine.GET("/stream", func(c *gin.Context) { n.watch(c) })
	n.engine.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) { c.Status(http.StatusOK) })
	a := &app{t: w.t}
	n.stop = a.run(sessions)
}

func (w *world) open() (db *gorm.DB, closeDB func()) {
	db = w.d.Open(w.t)
	pool, err := db.DB()
	require.NoError(w.t, err)
	return db, func() { _ = pool.Close() }
}

func (w *world) halt(n *node) {
	if n.stop != nil {
		n.stop()
		n.stop = nil
	}
}

func (w *world) run() {
	time.Sleep(settled)
	for w.sequence = range 51 {
		for _, st := range w.streams {
			st.stop()
		}
		w.log, w.users, w.browsers, w.streams = nil, nil, nil, nil
		for i := range 1 + w.lot.IntN(2) {
			w.users = append(w.users, w.person(fmt.Sprintf("user%d-%d-%d", w.n, w.sequence, i)))
		}
		for range 1 + w.lot.IntN(4) {
			w.browsers = append(w.browsers, &browser{user: w.users[w.lot.IntN(len(w.users))]})
		}
		for range 15 + w.lot.IntN(25) {
			w.act()
			w.listen()
			w.pass()
			w.listen()
			w.acts++
		}
	}
}

func (w *world) person(name string) *person {
	accounts := w.nodes[0].sessions.Accounts()
	user, err := accounts.Create(w.t.Context(), ginsession.NewUser{Username: name, Role: "admin"})
	require.NoError(w.t, err)
	require.NoError(w.t, w.db.Model(&models.User{}).Where("id = ?", models.Exact(user.UserID)).Update("password_hash", cheapHash()).Error)
	return &person{id: user.UserID, name: name, role: "admin"}
}

// pass lets time pass. Long times cost many readings of the feed, so mostly the
// clocks are set instead: see act.
func (w *world) pass() {
	limit := []time.Duration{time.Millisecond, time.Second, time.Second, 5 * time.Second, 5 * time.Second, 40 * time.Second}[w.lot.IntN(6)]
	if w.lot.IntN(50) == 0 {
		limit = 3 * time.Minute
	}
	time.Sleep(time.Duration(w.lot.Int64N(int64(limit))))
}

// act does one thing by lot.
func (w *world) act() {
	b := w.browsers[w.lot.IntN(len(w.browsers))]
	n := w.nodes[w.lot.IntN(len(w.nodes))]
	if b.cookie != "" && w.lot.IntN(3) == 0 {
		if s := w.sessions[sessionOf(w.t, b.cookie)]; s.actor != nil {
			w.actAs(n, b, s)
			return
		}
	}
	switch lot := w.lot.IntN(100); {
	case lot < 26:
		w.request(n, b, "/admin", b.cookie)
	case lot < 31:
		w.stream(n, b)
	case lot < 34:
		w.list(n, b)
	case lot < 39:
		w.impersonate(n, b)
	case lot < 41:
		w.goBack(n, b)
	case lot < 43:
		w.reauthenticate(n, b)
	case lot < 45:
		w.changePassword(n, b)
	case lot < 46:
		w.revokeAll(n)
	case lot < 53:
		w.request(n, b, "/session", b.cookie)
	case lot < 58:
		w.request(n, b, "/session/refresh", b.cookie)
	case lot < 61 && len(b.old) > 0:
		w.request(n, b, "/admin", b.old[w.lot.IntN(len(b.old))])
	case lot < 64:
		w.request(n, b, "/logout", b.cookie)
	case lot < 75:
		w.login(n, b)
	case lot < 79:
		w.revokeOne(n, b)
	case lot < 82:
		w.revokeUser(n, b.user, b)
	case lot < 84:
		w.revokeUser(n, b.user, nil)
	case lot < 88:
		role := []string{"admin", "viewer", "editor"}[w.lot.IntN(3)]
		w.setRole(n, b.user, role)
	case lot < 90:
		w.disable(n, b.user)
	case lot < 92:
		w.note("%s stops following", n.name)
		w.halt(n)
	case lot < 96:
		w.note("%s starts anew", n.name)
		w.start(n)
		if w.lot.IntN(2) == 0 {
			time.Sleep(settled + 2*w.sync)
		}
	case lot < 97:
		w.changeKeys()
	case lot < 98 && time.Since(w.back) > time.Minute:
		w.back = time.Now()
		w.setClock(-time.Duration(w.lot.Int64N(int64(20 * time.Second))))
	case lot < 99:
		w.setClock(time.Duration(w.lot.Int64N(int64(70 * time.Minute))))
	default:
		w.setClock(time.Duration(w.lot.Int64N(int64(10 * time.Minute))))
	}
}

func (w *world) setClock(step time.Duration) {
	w.note("the clocks are set by %v", step)
	w.step.Add(int64(step))
}

// changeKeys gives all nodes a new key, or takes the old one from them.
func (w *world) changeKeys() {
	if len(w.keys) == 1 {
		w.keys = []ginsession.Key{ginsession.Key(fmt.Sprintf("key %d of the model, of at least 32 bytes", w.lot.Uint64())), w.keys[0]}
	} else {
		w.keys = w.keys[:1]
		// Who acts as another hangs on the row of his own session too, and that is marked
		// under the key that signed when it was renewed: no more is known of him.
		gone := func(cookie string) bool {
			s := w.sessions[sessionOf(w.t, cookie)]
			return s.origin != nil && s.origin.key != w.keys[0]
		}
		for _, b := range w.browsers {
			b.old = slices.DeleteFunc(b.old, gone)
			if b.cookie != "" && gone(b.cookie) {
				b.cookie = ""
			}
		}
	}
	w.note("the nodes start anew with %d keys", len(w.keys))
	for _, n := range w.nodes {
		w.start(n)
	}
}

func (w *world) login(n *node, b *browser) {
	c := ginsessiontest.NewClient(n.engine)
	w.send(c, b.cookie)
	old, wants := w.expect(n, b.cookie)
	require.NoError(w.t, w.db.Where("1 = 1").Delete(&models.LoginAttempts{}).Error) // all come from one address
	r := c.PostJSON("/login", gin.H{"username": b.user.name, "password": password})
	w.note("%s: login of %s over %s: %d", n.name, b.user.name, label(w.t, b.cookie), r.StatusCode)
	if b.user.disabled {
		w.check(r.StatusCode == http.StatusUnauthorized, "login of a disabled user: %d", r.StatusCode)
	} else {
		w.check(r.StatusCode == http.StatusOK, "login: %d %s", r.StatusCode, r.Text)
	}
	if old != nil {
		w.leave(n, old, b.cookie, wants[0], !b.user.disabled)
	}
	w.learn(b, r)
	w.limited(n, b.user)
}

// leave tells the model that a cookie came with a logout or a sign-in, which is
// carried out or not.
func (w *world) leave(n *node, s *modelled, cookie string, want ginsession.Code, done bool) {
	reuse := w.reused(s, cookie)
	switch {
	case !w.verifies(cookie):
	case reuse && s.ended == nil && w.cutUnheard(n, s, cookie):
		w.endAsRow(n, s)
	case reuse && s.ended == nil:
		w.end(n, s, ginsession.ErrSessionInvalid)
	case reuse || !done:
	default:
		if s.origin != nil && !s.spent && s.origin.ended == nil && (s.ended == nil || s.reason == ginsession.ErrSessionExpired) {
			w.end(n, s.origin, ginsession.ErrSessionNotFound)
		}
		if s.ended == nil {
			w.end(n, s, ginsession.ErrSessionNotFound)
		}
	}
}

// limited tells the model which sessions ended because a user has too many. Which
// they are is known to two minutes.
func (w *world) limited(n *node, user *person) {
	var ids []models.Exact
	require.NoError(w.t, w.db.Model(&models.Session{}).Where("user_id = ? AND end_reason = ?", models.Exact(user.id), ginsession.ReasonLimit).Pluck("id", &ids).Error)
	live, counted := 0, 0
	var newest time.Time
	for id, s := range w.sessions {
		if s.user != user || s.ended != nil || s.actor != nil {
			continue
		}
		if w.now().Before(s.expires) {
			counted++
		}
		if slices.Contains(ids, id) {
			w.check(w.now().Before(s.expires), "the limit ended %s, which had run out", id)
			w.end(n, s, ginsession.ErrSessionNotFound)
			if s.accessed.After(newest) {
				newest = s.accessed
			}
		}
	}
	for _, s := range w.sessions {
		if s.user == user && s.ended == nil && s.actor == nil && !w.over(s) {
			live++
			w.check(!newest.After(s.accessed.Add(3*time.Minute)), "the limit ended what was used at %v, not what was at %v", newest, s.accessed)
		}
	}
	w.check(live <= w.limit, "%d sessions live, the limit is %d", live, w.limit)
	w.check(newest.IsZero() || counted > w.limit, "the limit of %d ended one of %d", w.limit, counted)
}

func modelMayBe(actor, user string) bool {
	return actor == "admin" && (user == "viewer" || user == "") // nobody has no role but who is not there
}

// stream opens a stream.
func (w *world) stream(n *node, b *browser) {
	var st *stream
	n.watch = func(c *gin.Context) {
		ctx, stop := n.sessions.Watch(c)
		if ctx.Err() == nil {
			st = &stream{n: n, ctx: ctx, stop: stop, opened: time.Now()}
			c.Status(http.StatusOK)
			return
		}
		ginsession.Refuse(c, context.Cause(ctx))
	}
	cookie := b.cookie
	w.request(n, b, "/stream", cookie)
	if st != nil {
		st.s = w.sessions[sessionOf(w.t, cookie)]
		st.role = st.s.user.role
		w.check(st.s.ended == nil, "a stream of an ended session")
		w.streams = append(w.streams, st)
	}
}

// listen looks whether the streams have ended whose sessions have, and no others.
func (w *world) listen() {
	w.streams = slices.DeleteFunc(w.streams, func(st *stream) bool {
		must, by := w.unusable(st)
		if st.ctx.Err() != nil {
			w.check(must || w.over(st.s) || w.roleChanged(st), "a stream has ended: %v", context.Cause(st.ctx))
			return true
		}
		hears := st.n.stop != nil
		switch {
		case !must:
			st.over = time.Time{}
		case by != nil:
			w.check(st.n != by.by, "%s: a stream has not ended at once: %v", st.n.name, st.s.reason)
			w.check(!hears || time.Since(by.at) <= w.sync, "%s: a stream has not ended in %v", st.n.name, time.Since(by.at))
		case st.over.IsZero():
			st.over = time.Now()
		default:
			w.check(!hears || time.Since(st.over) <= w.sync, "%s: a stream outlives its session by %v", st.n.name, time.Since(st.over))
		}
		return false
	})
}

// roleChanged reports whether the role that a stream hangs on was another one since it
// was opened, be it for a moment.
func (w *world) roleChanged(st *stream) bool {
	changes := st.s.user.changes
	if st.s.actor != nil {
		changes = append(slices.Clone(changes), st.s.actor.changes...)
	}
	return slices.ContainsFunc(changes, func(c change) bool { return !c.at.Before(st.opened) })
}

// unusable reports whether a stream should have ended, and by whose doing if that is
// known.
func (w *world) unusable(st *stream) (must bool, by *change) {
	s := st.s
	for s := s; s != nil; s = s.origin {
		if s.ended != nil {
			return true, s.ended
		}
	}
	for s := s; s != nil; s = s.origin {
		must = must || !w.now().Before(s.expires)
	}
	return must || s.user.role != st.role ||
		w.idle > 0 && !w.now().Before(s.accessed.Add(w.idle)) ||
		s.actor != nil && !modelMayBe(s.actor.role, s.user.role), nil
}

// list compares what a browser lists with what the model knows to live.
func (w *world) list(n *node, b *browser) {
	var listed struct{ Sessions []struct{ ID models.Exact } }
	r := w.request(n, b, "/sessions", b.cookie)
	if r.StatusCode != http.StatusOK {
		return
	}
	user := w.sessions[sessionOf(w.t, b.cookie)].user
	require.NoError(w.t, json.Unmarshal([]byte(r.Text), &listed))
	shown := map[models.Exact]bool{}
	for _, item := range listed.Sessions {
		s := w.sessions[item.ID]
		w.check(s != nil && s.user == user && s.ended == nil && w.now().Before(s.expires) && (s.origin == nil || s.origin.ended == nil), "%s is listed", item.ID)
		shown[item.ID] = true
	}
	for id, s := range w.sessions {
		gone := s.ended != nil || w.over(s) || s.origin != nil && (s.origin.ended != nil || w.over(s.origin))
		w.check(s.user != user || gone || shown[id], "%s is not listed", id)
	}
}

func (w *world) impersonate(n *node, b *browser) {
	target := w.users[w.lot.IntN(len(w.users))]
	if w.lot.IntN(4) > 0 { // or it would seldom be allowed
		if target == b.user {
			target = w.person(fmt.Sprintf("user%d-%d-%d", w.n, w.sequence, len(w.users)))
			w.users = append(w.users, target)
		}
		if target.role != "viewer" {
			w.setRole(n, target, "viewer")
		}
		if b.user.role != "admin" {
			w.setRole(n, b.user, "admin")
		}
		if b.cookie == "" {
			w.login(n, b)
		}
	}
	path := "/as/" + target.id
	if b.cookie == "" {
		w.request(n, b, path, "")
		return
	}
	own := w.sessions[sessionOf(w.t, b.cookie)]
	w.as = func(good ginsession.Code) ginsession.Code {
		switch {
		case own.actor != nil || own.user == target:
			return ginsession.ErrImpersonation
		case target.disabled && modelMayBe(own.user.role, ""):
			return ginsession.ErrUserNotFound
		case target.disabled, !modelMayBe(own.user.role, target.role):
			return ginsession.ErrImpersonation
		}
		return ""
	}
	w.opens = &modelled{user: target, actor: own.user, origin: own}
	w.request(n, b, path, b.cookie)
	w.as, w.opens = nil, nil
	// Where that request renewed the own session, the other's cookie has taken the
	// place of its.
	w.learnExpiry(own)
}

// actAs does one thing of those that matter to who is signed in as another.
func (w *world) actAs(n *node, b *browser, s *modelled) {
	switch w.lot.IntN(9) {
	case 0, 1:
		w.stream(n, b)
	case 2, 3:
		w.goBack(n, b)
	case 4:
		w.request(n, b, "/logout", b.cookie)
	case 5:
		w.login(n, b)
	case 6:
		w.revokeUser(n, s.actor, nil)
	case 7:
		w.setRole(n, s.actor, "viewer")
	default:
		w.setRole(n, s.user, "editor")
	}
}

// goBack returns to the own session.
func (w *world) goBack(n *node, b *browser) {
	c, cookie := ginsessiontest.NewClient(n.engine), b.cookie
	w.send(c, cookie)
	s, wants := w.expect(n, cookie)
	if s == nil || s.actor == nil {
		w.as = func(ginsession.Code) ginsession.Code { return ginsession.ErrImpersonation }
		w.request(n, b, "/back", cookie)
		w.as = nil
		return
	}
	reuse := w.reused(s, cookie)
	forked := w.rowOf(s.origin).RenewedAt.Time().After(s.created.Add(30 * time.Second))
	if w.verifies(cookie) && !reuse && (s.ended == nil || s.reason == ginsession.ErrSessionExpired) {
		wants = []ginsession.Code{ginsession.ErrSessionInvalid}
		used := s.accessed
		if s.origin.accessed.After(used) {
			used = s.origin.accessed
		}
		switch {
		case forked, s.spent || s.origin.ended != nil || !w.now().Before(s.origin.expires):
		case w.idle > 0 && !w.now().Before(used.Add(w.idle)):
		case w.idle > 0 && !w.now().Before(used.Add(w.idle-idleDoubt)):
			wants = append(wants, "")
		default:
			wants = []ginsession.Code{""}
		}
	}
	over := w.over(s)
	usable := w.judge(s, cookie)
	r := c.PostJSON("/back", nil)
	got := outcome(w.t, "/back", r)
	w.note("%s: back from %s gets %q", n.name, label(w.t, cookie), got)
	w.check(slices.Contains(wants, got), "back: got %q, want one of %q", got, wants)
	if s.origin.ended == nil && forked {
		w.endAsRow(n, s.origin)
	}
	switch {
	case got == "":
		w.check(len(r.Cookies()) == 1, "back sets a cookie")
		switch {
		case s.ended != nil:
		case over && slices.Contains(usable, ginsession.ErrSessionExpired):
			w.expire(n, s)
		default:
			w.end(n, s, ginsession.ErrSessionNotFound)
		}
		s.spent = true
		w.learn(b, r)
		s.origin.accessed, s.origin.seen = w.now(), time.Time{}
		s.origin.cut, s.origin.cutBy = len(s.origin.secrets)-1, &change{by: n, at: time.Now()}
	case s.ended == nil && reuse:
		w.end(n, s, ginsession.ErrSessionInvalid)
	case s.ended == nil && over && slices.Contains(usable, ginsession.ErrSessionExpired):
		w.expire(n, s)
	case s.ended == nil && usable[0] != ginsession.ErrSessionInvalid:
		s.accessed = w.now()
	}
}

func (w *world) reauthenticate(n *node, b *browser) {
	require.NoError(w.t, w.db.Where("1 = 1").Delete(&models.LoginAttempts{}).Error)
	var s *modelled
	if b.cookie != "" {
		if s = w.sessions[sessionOf(w.t, b.cookie)]; s.actor != nil {
			w.as = func(ginsession.Code) ginsession.Code { return ginsession.ErrImpersonation }
		}
	}
	r := w.request(n, b, "/session/reauthenticate", b.cookie)
	w.as = nil
	if r.StatusCode != http.StatusOK {
		return
	}
	fresh := cookies(r)
	w.check(len(fresh) == 1, "a new token")
	if w.sessions[sessionOf(w.t, fresh[0])] != s {
		w.end(n, s, ginsession.ErrSessionNotFound) // another has taken its place
		w.limited(n, s.user)
	}
}

func (w *world) changePassword(n *node, b *browser) {
	var except []string
	if b.cookie != "" {
		except = []string{string(sessionOf(w.t, b.cookie))}
	}
	w.note("%s: change the password of %s except %v", n.name, b.user.name, except)
	require.NoError(w.t, w.db.Where("1 = 1").Delete(&models.LoginAttempts{}).Error)
	err := n.sessions.Accounts().ChangePassword(w.t.Context(), b.user.id, password, password, except...)
	if b.user.disabled {
		require.ErrorIs(w.t, err, ginsession.ErrCredentialsInvalid)
		return
	}
	w.must(err)
	for id, s := range w.sessions {
		if s.user == b.user && s.ended == nil && !slices.Contains(except, string(id)) {
			w.end(n, s, ginsession.ErrSessionNotFound)
		}
	}
}

func (w *world) revokeAll(n *node) {
	w.note("%s: revoke all", n.name)
	ended, err := n.sessions.RevokeAll(w.t.Context())
	w.must(err)
	want := 0
	for _, s := range w.sessions {
		if s.ended == nil && !s.created.After(w.now()) { // or the clocks were set back
			w.end(n, s, ginsession.ErrSessionNotFound)
			want++
		}
	}
	w.check(ended >= want, "revoked %d, not %d", ended, want) // and those of the worlds before
}

func (w *world) setRole(n *node, user *person, role string) {
	w.note("%s: role of %s is %s", n.name, user.name, role)
	user.changes = append(user.changes, change{n, time.Now()})
	user.role = role
	w.must(n.sessions.Accounts().SetRole(w.t.Context(), user.id, role))
}

// reused reports whether the secret of a cookie is good no longer.
func (w *world) reused(s *modelled, cookie string) bool {
	last := len(s.secrets) - 1
	place := slices.Index(s.secrets, claimsOf(w.t, cookie).JTI)
	return place < last-1 || place < s.cut || place == last-1 && !s.seen.IsZero() && !w.now().Before(s.seen.Add(30*time.Second))
}

func (w *world) revokeOne(n *node, b *browser) {
	if b.cookie == "" {
		return
	}
	id := sessionOf(w.t, b.cookie)
	s := w.sessions[id]
	w.note("%s: revoke %s", n.name, id)
	err := n.sessions.RevokeSession(w.t.Context(), string(id), "")
	if s.ended == nil {
		w.must(err)
		w.end(n, s, ginsession.ErrSessionNotFound)
	} else {
		require.ErrorIs(w.t, err, ginsession.ErrNoSuchSession)
	}
}

// revokeUser revokes the sessions of a user, except that of a browser if there is
// one.
func (w *world) revokeUser(n *node, user *person, except *browser) {
	var ids []string
	if except != nil && except.cookie != "" {
		ids = []string{string(sessionOf(w.t, except.cookie))}
	}
	w.note("%s: revoke all of %s except %v", n.name, user.name, ids)
	ended, err := n.sessions.RevokeUser(w.t.Context(), user.id, ids...)
	w.must(err)
	want := 0
	for id, s := range w.sessions {
		if s.user == user && s.ended == nil && !slices.Contains(ids, string(id)) {
			w.end(n, s, ginsession.ErrSessionNotFound)
			want++
		}
	}
	w.check(ended == want, "revoked %d, not %d", ended, want)
}

func (w *world) disable(n *node, user *person) {
	w.note("%s: disable or enable %s", n.name, user.name)
	user.disabled = !user.disabled
	if !user.disabled {
		w.must(n.sessions.Accounts().Enable(w.t.Context(), user.id))
		return
	}
	w.must(n.sessions.Accounts().Disable(w.t.Context(), user.id))
	for _, s := range w.sessions {
		if s.user == user && s.ended == nil {
			w.end(n, s, ginsession.ErrSessionInvalid)
		}
	}
}

func (w *world) end(n *node, s *modelled, reason ginsession.Code) {
	s.ended, s.reason = &change{by: n, at: time.Now()}, reason
}

// request sends a cookie to a path and holds the answer against the model.
func (w *world) request(n *node, b *browser, path, cookie string) ginsessiontest.Response {
	c := ginsessiontest.NewClient(n.engine)
	w.send(c, cookie)
	s, wants := w.expect(n, cookie)
	var r ginsessiontest.Response
	switch {
	case path == "/session/reauthenticate":
		r = c.PostJSON(path, gin.H{"password": password})
	case path == "/logout", path == "/session/refresh", path == "/back", strings.HasPrefix(path, "/as/"):
		r = c.PostJSON(path, nil)
	default:
		r = c.Get(path)
	}
	got := outcome(w.t, path, r)
	w.note("%s: %s with %s gets %q", n.name, path, label(w.t, cookie), got)
	if path == "/logout" {
		w.check(r.StatusCode == http.StatusOK, "logout: %d %s", r.StatusCode, r.Text)
		w.check(len(r.Header["Set-Cookie"]) == 1, "logout deletes the cookie")
		b.cookie = ""
		if s != nil {
			w.leave(n, s, cookie, wants[0], true)
		}
		return r
	}
	if path != "/admin" { // no question of the role
		for i := range wants {
			if wants[i] == ginsession.ErrRoleRequired {
				wants[i] = ""
			}
			if wants[i] == "" && w.as != nil {
				wants[i] = w.as(wants[i])
			}
		}
	}
	if path == "/stream" && len(wants) > 1 {
		wants = append(wants, ginsession.ErrRoleRequired) // Load does not know yet, and Watch does
	}
	w.check(slices.Contains(wants, got), "%s: got %q, want one of %q", path, got, wants)
	unwritten := path == "/session/reauthenticate" && (got == ginsession.ErrSessionExpired || got == ginsession.ErrImpersonation)
	if s != nil && s.ended == nil && path != "/session" && !unwritten {
		w.consequences(n, s, cookie, got)
	}
	w.learn(b, r)
	return r
}

// consequences tells the model what activity has done to a session.
func (w *world) consequences(n *node, s *modelled, cookie string, got ginsession.Code) {
	switch got {
	case "", ginsession.ErrRoleRequired, ginsession.ErrImpersonation, ginsession.ErrUserNotFound:
		s.accessed = w.now()
		if s.origin != nil {
			s.origin.accessed = w.now()
			w.learnExpiry(s.origin)
		}
		if claimsOf(w.t, cookie).JTI == s.secrets[len(s.secrets)-1] && s.seen.IsZero() {
			s.seen = w.now()
		}
	case ginsession.ErrSessionInvalid:
		if w.reused(s, cookie) { // and not only forbidden at present
			w.end(n, s, got)
		}
	case ginsession.ErrSessionExpired:
		if w.over(s) {
			w.expire(n, s)
		}
	}
}

// expire tells the model that a session ended because it has run out, if that is sure.
func (w *world) expire(n *node, s *modelled) {
	if w.now().Before(s.expires) && w.now().Before(s.accessed.Add(w.idle)) {
		w.endAsRow(n, s)
		return
	}
	w.end(n, s, ginsession.ErrSessionExpired)
}

// endAsRow lets the row of a session say how it ended, if it has, where it may as well
// be one as the other.
func (w *world) endAsRow(n *node, s *modelled) {
	switch ginsession.Reason(w.rowOf(s).EndReason) {
	case "":
	case ginsession.ReasonReuse:
		w.end(n, s, ginsession.ErrSessionInvalid)
	case ginsession.ReasonIdle:
		w.end(n, s, ginsession.ErrSessionExpired)
	default:
		w.end(n, s, ginsession.ErrSessionNotFound)
	}
}

// over reports whether a session has run out, and not only a token of it.
func (w *world) over(s *modelled) bool {
	return !w.now().Before(s.expires) || w.idle > 0 && !w.now().Before(s.accessed.Add(w.idle-idleDoubt))
}

// idleDoubt is how much earlier than the model says a session may be idle, if its
// last access was made on a node that did not gather accesses.
const idleDoubt = time.Minute

// expect says what a cookie must get from a node: the first, or else one of
// those about which there is a doubt.
func (w *world) expect(n *node, cookie string) (s *modelled, wants []ginsession.Code) {
	if cookie == "" {
		return nil, []ginsession.Code{ginsession.ErrSessionNotFound}
	}
	s = w.sessions[sessionOf(w.t, cookie)]
	wants = w.judge(s, cookie)
	if s.actor != nil {
		return s, wants // never answered from memory
	}
	// What another node has just changed this one need not know yet.
	ended := s.ended != nil && w.verifies(cookie) && w.late(n, *s.ended)
	cut := s.ended == nil && w.verifies(cookie) && w.cutUnheard(n, s, cookie)
	changed := s.ended == nil && wants[0] != ginsession.ErrSessionInvalid && slices.ContainsFunc(s.user.changes, func(c change) bool { return w.late(n, c) })
	if ended || cut || changed {
		wants = append(wants, "", ginsession.ErrRoleRequired)
	}
	return s, wants
}

// judge says what the cookie must get from a node that knows everything.
func (w *world) judge(s *modelled, cookie string) []ginsession.Code {
	claims, now := claimsOf(w.t, cookie), w.now()
	good := ginsession.ErrRoleRequired
	if s.user.role == "admin" {
		good = ""
	}
	const expired, invalid = ginsession.ErrSessionExpired, ginsession.ErrSessionInvalid
	if w.reused(s, cookie) {
		good = invalid
	}
	if o := s.origin; o != nil && (o.ended != nil || !now.Before(o.expires) || !modelMayBe(s.actor.role, s.user.role)) {
		good = invalid
	}
	switch {
	case !w.verifies(cookie):
		return []ginsession.Code{ginsession.ErrTokenInvalid}
	case s.ended != nil:
		return []ginsession.Code{s.reason}
	case !now.Before(s.expires), w.idle > 0 && !now.Before(s.accessed.Add(w.idle)):
		return []ginsession.Code{expired}
	case !now.Before(time.Unix(claims.Exp, 0)):
		if now.Before(s.issued.Add(30 * time.Second)) {
			return []ginsession.Code{expired, good} // the answer with a later token may be under way
		}
		return []ginsession.Code{expired}
	case w.over(s):
		return []ginsession.Code{good, expired}
	default:
		return []ginsession.Code{good}
	}
}

// cutUnheard reports whether a cookie is good no longer because its user has come back
// to his own session, of which a node need not know yet.
func (w *world) cutUnheard(n *node, s *modelled, cookie string) bool {
	return s.cutBy != nil && w.late(n, *s.cutBy) && slices.Index(s.secrets, claimsOf(w.t, cookie).JTI) < s.cut
}

// learnExpiry tells the model that a session may have been renewed without a cookie of
// its own, as far as activity near its end does that.
func (w *world) learnExpiry(s *modelled) {
	expires := w.rowOf(s).ExpiresAt.Time()
	if w.now().After(s.expires.Add(-20*time.Minute)) && expires.After(s.expires) {
		s.expires = expires
	}
}

// rowOf is what the database says of a session.
func (w *world) rowOf(s *modelled) (row models.Session) {
	require.NoError(w.t, w.db.Where("id = ?", s.id).Take(&row).Error)
	return row
}

// late reports whether a node need not know of a change yet.
func (w *world) late(n *node, c change) bool {
	return n != c.by && n.stop != nil && time.Since(c.at) <= w.sync
}

// verifies reports whether the key of a cookie is still there.
func (w *world) verifies(cookie string) bool {
	header, _, _ := strings.Cut(cookie, ".")
	return slices.ContainsFunc(w.keys, func(k ginsession.Key) bool {
		return strings.HasPrefix(forge(w.t, string(k), strings.Repeat("A", 26), strings.Repeat("a", 43), time.Now()), header+".")
	})
}

// learn takes over what the nodes have issued. One answer of ten is lost.
func (w *world) learn(b *browser, r ginsessiontest.Response) {
	for _, cookie := range r.Cookies() {
		if cookie.Name != cookieName || cookie.Value == "" {
			continue
		}
		claims := claimsOf(w.t, cookie.Value)
		s := w.sessions[models.Exact(claims.SID)]
		if s == nil {
			s = &modelled{user: b.user}
			if w.opens != nil {
				s = w.opens
			}
			s.id, s.accessed, s.created = models.Exact(claims.SID), w.now(), w.now()
			w.sessions[models.Exact(claims.SID)] = s
		}
		if !slices.Contains(s.secrets, claims.JTI) {
			s.secrets = append(s.secrets, claims.JTI)
			s.seen = time.Time{}
		}
		if expires := time.Unix(claims.Exp, 0); expires.After(s.expires) {
			s.expires = expires
		}
		s.issued, s.key = w.now(), w.keys[0]
		if w.lot.IntN(10) == 0 {
			w.note("and the answer is lost")
			continue
		}
		if b.cookie != "" {
			b.old = append(b.old, b.cookie)
		}
		b.cookie = cookie.Value
	}
}

func (w *world) send(c *ginsessiontest.Client, cookie string) {
	if cookie != "" {
		c.Header.Set("Cookie", cookieName+"="+cookie)
	}
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, w.now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *world) must(err error) {
	w.t.Helper()
	w.check(err == nil, "%v", err)
}

func (w *world) check(ok bool, format string, args ...any) {
	w.t.Helper()
	if !ok {
		w.t.Fatalf("world %d, sequence %d, SyncEvery %v, IdleTimeout %v:\n%s\n%s", w.n, w.sequence, w.sync, w.idle,
			strings.Join(w.log, "\n"), fmt.Sprintf(format, args...))
	}
}

// outcome is the code of an answer; that of the status is in its body.
func outcome(t *testing.T, path string, r ginsessiontest.Response) ginsession.Code {
	if path != "/session" {
		return code(t, r)
	}
	if strings.Contains(r.Text, `"isAuthenticated":true`) {
		return ""
	}
	_, reason, _ := strings.Cut(r.Text, `"reason":`)
	reason, _, _ = strings.Cut(reason, ",")
	if reason == "null" {
		return ginsession.ErrSessionNotFound
	}
	return ginsession.Code(strings.Trim(reason, `"`))
}

func label(t *testing.T, cookie string) string {
	if cookie == "" {
		return "no cookie"
	}
	claims := claimsOf(t, cookie)
	return claims.SID[:4] + "/" + claims.JTI[:4]
}
