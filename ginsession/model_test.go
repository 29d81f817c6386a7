// A model of what each cookie must get, and random sequences of acts on several
// nodes that are held against it.

package ginsession_test

import (
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

// The seed of a failed run, in GINSESSION_TEST_SEED, brings it back.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("GINSESSION_TEST_SEED"); s != "" {
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
		if raceDetector {
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
	step  atomic.Int64 // by which all clocks are wrong
	back  time.Time    // when they were last set back
	keys  []ginsession.Key
	nodes []*node

	sequence, acts int
	users          []*person
	browsers       []*browser
	sessions       map[models.Exact]*modelled
	log            []string // of the sequence
}

type node struct {
	name     string
	sessions *ginsession.Manager
	engine   *gin.Engine
	stop     func() // Run; nil where it does not run
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
	user     *person
	secrets  []string // in their order
	seen     time.Time
	accessed time.Time
	expires  time.Time
	issued   time.Time // when the last cookie was
	reason   ginsession.Code
	ended    *change
}

func newWorld(t *testing.T, d modelstest.Database, lot *rand.Rand, n int) *world {
	w := &world{t: t, d: d, lot: lot, n: n, keys: []ginsession.Key{key1}, sessions: map[models.Exact]*modelled{}}
	w.sync = []time.Duration{time.Second, 5 * time.Second}[lot.IntN(2)]
	w.idle = []time.Duration{0, 20 * time.Minute}[lot.IntN(2)]
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
	})
	require.NoError(w.t, err)
	sessions.TestOnlyCheapHashes()
	n.sessions, n.engine = sessions, gin.New()
	n.engine.Use(sessions.Load)
	sessions.Routes(n.engine)
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
		w.log, w.users, w.browsers = nil, nil, nil
		for i := range 1 + w.lot.IntN(2) {
			w.users = append(w.users, w.person(fmt.Sprintf("user%d-%d-%d", w.n, w.sequence, i)))
		}
		for range 1 + w.lot.IntN(4) {
			w.browsers = append(w.browsers, &browser{user: w.users[w.lot.IntN(len(w.users))]})
		}
		for range 15 + w.lot.IntN(25) {
			w.act()
			w.pass()
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
	switch lot := w.lot.IntN(100); {
	case lot < 40:
		w.request(n, b, "/admin", b.cookie)
	case lot < 50:
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
		w.note("%s: role of %s is %s", n.name, b.user.name, role)
		b.user.changes = append(b.user.changes, change{n, time.Now()})
		b.user.role = role
		w.must(n.sessions.Accounts().SetRole(w.t.Context(), b.user.id, role))
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
	if old != nil && old.ended == nil {
		switch {
		case wants[0] == ginsession.ErrSessionInvalid:
			w.end(n, old, wants[0]) // reuse
		case wants[0] != ginsession.ErrTokenInvalid && !b.user.disabled:
			w.end(n, old, ginsession.ErrSessionNotFound)
		}
	}
	w.learn(b, r)
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
		require.ErrorIs(w.t, err, ginsession.ErrSessionNotFound)
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
func (w *world) request(n *node, b *browser, path, cookie string) {
	c := ginsessiontest.NewClient(n.engine)
	w.send(c, cookie)
	s, wants := w.expect(n, cookie)
	var r ginsessiontest.Response
	switch path {
	case "/logout", "/session/refresh":
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
		switch {
		case s == nil || s.ended != nil:
		case wants[0] == ginsession.ErrSessionInvalid:
			w.end(n, s, wants[0]) // reuse
		case wants[0] != ginsession.ErrTokenInvalid:
			w.end(n, s, ginsession.ErrSessionNotFound)
		}
		return
	}
	if path != "/admin" { // no question of the role
		for i := range wants {
			if wants[i] == ginsession.ErrRoleRequired {
				wants[i] = ""
			}
		}
	}
	w.check(slices.Contains(wants, got), "%s: got %q, want one of %q", path, got, wants)
	if s != nil && s.ended == nil && path != "/session" {
		w.consequences(n, s, cookie, got)
	}
	w.learn(b, r)
}

// consequences tells the model what activity has done to a session.
func (w *world) consequences(n *node, s *modelled, cookie string, got ginsession.Code) {
	switch got {
	case "", ginsession.ErrRoleRequired:
		s.accessed = w.now()
		if claimsOf(w.t, cookie).JTI == s.secrets[len(s.secrets)-1] && s.seen.IsZero() {
			s.seen = w.now()
		}
	case ginsession.ErrSessionInvalid:
		w.end(n, s, got)
	case ginsession.ErrSessionExpired:
		if w.over(s) {
			w.end(n, s, got)
		}
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
	// What another node has just changed this one need not know yet.
	ended := s.ended != nil && w.verifies(cookie) && w.late(n, *s.ended)
	if ended || slices.ContainsFunc(s.user.changes, func(c change) bool { return w.late(n, c) }) && s.ended == nil && wants[0] != ginsession.ErrSessionInvalid {
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
	last := len(s.secrets) - 1
	place := slices.Index(s.secrets, claims.JTI)
	if place < last-1 || place == last-1 && !s.seen.IsZero() && !now.Before(s.seen.Add(30*time.Second)) {
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
			s = &modelled{user: b.user, accessed: w.now()}
			w.sessions[models.Exact(claims.SID)] = s
		}
		if !slices.Contains(s.secrets, claims.JTI) {
			s.secrets = append(s.secrets, claims.JTI)
			s.seen = time.Time{}
		}
		if expires := time.Unix(claims.Exp, 0); expires.After(s.expires) {
			s.expires = expires
		}
		s.issued = w.now()
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
