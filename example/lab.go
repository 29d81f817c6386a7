// Do not copy this file: it breaks things on purpose, to show what a session makes
// of it. It is part of the program in development only.

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

// lab stands before the site. It has a page of its own, and calls the site's within
// the process.
type lab struct {
	config ginsession.Config
	set    settings
	upkeep context.Context // of the managers that it makes

	stopping <-chan struct{}

	broken  atomic.Int64 // until when the database is, in Unix milliseconds
	present atomic.Pointer[labSite]

	mu      sync.Mutex // held to change the key
	running sync.WaitGroup
}

// labSite is the site with one list of keys.
type labSite struct {
	site *site
	keys []ginsession.Key
	open http.Handler // what everybody sees
	lab  http.Handler
}

const breakFor = 10 * time.Second

// newLab puts a lab before a site. upkeep ends when the program does.
func newLab(upkeep context.Context, s *site, config ginsession.Config, set settings) (*lab, error) {
	l := &lab{config: config, set: set, upkeep: upkeep, stopping: s.stopping}
	keys := config.Keys
	if len(keys) == 0 {
		for key := range strings.SplitSeq(os.Getenv("JWT_SECRET"), ",") {
			keys = append(keys, ginsession.Key(strings.TrimSpace(key)))
		}
	}
	l.use(s, keys)
	fail := func(tx *gorm.DB) {
		if l.brokenFor() > 0 {
			_ = tx.AddError(errors.New("the lab has broken the database"))
		}
	}
	on := s.db.Callback()
	return l, errors.Join(
		on.Create().Before("gorm:begin_transaction").Register("lab:create", fail),
		on.Query().Before("gorm:query").Register("lab:query", fail),
		on.Update().Before("gorm:begin_transaction").Register("lab:update", fail),
		on.Delete().Before("gorm:begin_transaction").Register("lab:delete", fail),
		on.Row().Before("gorm:row").Register("lab:row", fail),
		on.Raw().Before("gorm:raw").Register("lab:raw", fail),
	)
}

// use makes a site the one that answers.
func (l *lab) use(s *site, keys []ginsession.Key) {
	at := &labSite{site: s, keys: keys, open: routes(s)}
	r := gin.New()
	_ = r.SetTrustedProxies(nil)
	r.SetHTMLTemplate(templates())
	r.Use(gin.Recovery(), s.securityHeaders, noStore, l.remember)
	r.GET("/lab/state", l.state) // also while the database does not answer
	r.Use(s.sessions.Load, ginsession.Require)
	r.GET("/lab", func(c *gin.Context) { s.show(c, http.StatusOK, "lab.html", view{Title: "Lab"}) })
	r.POST("/lab/database", l.breakDatabase)
	r.POST("/lab/key", l.rotateKey)
	r.POST("/lab/due", l.makeDue)
	r.POST("/lab/replay", l.replay)
	r.POST("/lab/limit", l.limit)
	at.lab = r
	l.present.Store(at)
}

// ServeHTTP implements [http.Handler].
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := l.present.Load()
	if r.URL.Path == "/lab" || strings.HasPrefix(r.URL.Path, "/lab/") {
		at.lab.ServeHTTP(w, r)
		return
	}
	at.open.ServeHTTP(w, r)
}

func (l *lab) brokenFor() time.Duration {
	select {
	case <-l.stopping: // what is left to write is to be written
		return 0
	default:
	}
	return max(0, time.Until(time.UnixMilli(l.broken.Load())))
}

func (l *lab) state(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"databaseBrokenFor": l.brokenFor().Seconds(), "keys": len(l.present.Load().keys)})
}

// breakDatabase makes every statement fail for a while.
func (l *lab) breakDatabase(c *gin.Context) {
	l.broken.Store(time.Now().Add(breakFor).UnixMilli())
	l.state(c)
}

// rotateKey signs with a new key from now on, and still knows the old ones. The new
// one is in memory only: a restart signs those out whose cookies have it.
func (l *lab) rotateKey(c *gin.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.present.Load()
	config := l.config
	config.Keys = append([]ginsession.Key{ginsession.Key(rand.Text() + rand.Text())}, at.keys...)
	s, err := newSite(at.site.db, config, l.set, at.site.stopping)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	if err := l.age(c, 3*time.Minute, time.Time{}); err != nil { // or the new cookie would wait for half a minute
		ginsession.Refuse(c, err)
		return
	}
	l.running.Go(func() { _ = s.sessions.Run(l.upkeep) })
	l.use(s, config.Keys)
	l.state(c)
}

// makeDue lets the session of the request be as if most of its time had passed: its
// next use refreshes it.
func (l *lab) makeDue(c *gin.Context) {
	if err := l.age(c, 3*time.Minute, l.soon()); err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"due": true})
}

// soon is an expiry at which a refresh is due.
func (l *lab) soon() time.Time {
	threshold := l.set.refresh
	if threshold == 0 {
		threshold = min(ginsession.DefaultRefreshThreshold, l.set.maxAge/2)
	}
	return time.Now().Add(min(threshold/2, time.Minute))
}

// age changes the row of the session of the request: its secret was made and seen so
// long ago, and it expires at an instant, if one is given. The manager is told.
func (l *lab) age(c *gin.Context, ago time.Duration, expires time.Time) error {
	s, own := l.present.Load().site, l.session(c)
	past := models.At(time.Now().Add(-ago))
	values := map[string]any{"renewed_at": past, "seen_at": gorm.Expr("CASE WHEN previous_hash IS NULL THEN seen_at ELSE ? END", past)}
	if !expires.IsZero() {
		values["expires_at"] = models.At(expires.Truncate(time.Second))
	}
	row := s.db.WithContext(c.Request.Context()).Model(&models.Session{}).Where("id = ?", models.Exact(own.ID))
	if err := row.Updates(values).Error; err != nil {
		return unavailable(err)
	}
	return s.sessions.UserChanged(c.Request.Context(), own.User.UserID)
}

func (l *lab) session(c *gin.Context) ginsession.Session {
	own, _ := ginsession.From(c)
	return own
}

// replay comes with a cookie that was replaced: at once, and half a minute later.
func (l *lab) replay(c *gin.Context) {
	old := c.GetString("cookie")
	if refreshed := cookieIn(c.Writer.Header()); refreshed != "" {
		old = refreshed // just now, by Load
	}
	var steps []string
	present := func(what, cookie string) answerOfSite {
		a := l.call(c, http.MethodGet, "/api/me", cookie)
		steps = append(steps, strings.TrimSpace(fmt.Sprintf("%s: %d %s %s", what, a.status, a.code, a.reason)))
		return a
	}
	if err := l.age(c, 3*time.Minute, l.soon()); err != nil {
		ginsession.Refuse(c, err)
		return
	}
	first := present("a refresh is due, and the old cookie is replaced", old)
	fresh := first.cookie
	if fresh == "" {
		ginsession.Refuse(c, errors.New("the lab got no new cookie"))
		return
	}
	c.Writer.Header()["Set-Cookie"] = first.header["Set-Cookie"] // the browser has it too
	present("the new cookie", fresh)
	present("the old one beside it, as a request does that was under way", old)
	if err := l.age(c, time.Minute, time.Time{}); err != nil {
		ginsession.Refuse(c, err)
		return
	}
	present("the old one a minute later, so somebody has a copy", old)
	present("the new one, whose session has ended too", fresh)
	c.JSON(http.StatusOK, gin.H{"steps": steps})
}

// limit signs the user in until he has more sessions than he may have.
func (l *lab) limit(c *gin.Context) {
	s, own, most := l.present.Load().site, l.session(c), l.set.maxSessions
	if most <= 0 {
		c.JSON(http.StatusOK, gin.H{"limit": most, "ended": []string{}})
		return
	}
	began := time.Now().Truncate(time.Millisecond)
	before, err := s.sessions.Sessions(c.Request.Context(), own.User.UserID)
	for i := 0; i < most+2 && err == nil; i++ {
		// This one is used last each time, by more than the clock of the rows can miss.
		time.Sleep(2 * time.Millisecond)
		row := s.db.WithContext(c.Request.Context()).Model(&models.Session{}).Where("id = ?", models.Exact(own.ID))
		if err = unavailable(row.Update("last_accessed", models.At(time.Now())).Error); err != nil {
			break
		}
		// As on another device: a request of its own, and an answer that nobody reads.
		other, _ := gin.CreateTestContext(&sink{})
		other.Request, err = http.NewRequestWithContext(context.Background(), http.MethodPost, "/", nil)
		if err == nil {
			other.Request.RemoteAddr = c.Request.RemoteAddr
			other.Request.Header.Set("User-Agent", "curl/8.0 (by the lab)")
			_, err = s.sessions.Open(other, own.User, false)
		}
	}
	var after []ginsession.Session
	if err == nil {
		after, err = s.sessions.Sessions(c.Request.Context(), own.User.UserID, ginsession.Page{Ended: true})
	}
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	live, ended := 0, []string{}
	for _, one := range after {
		switch {
		case one.EndedAt.IsZero():
			live++
		case one.EndReason == ginsession.ReasonLimit && !one.EndedAt.Before(began):
			ended = append(ended, deviceInWords(one.UserAgent)+", "+one.ID)
		}
	}
	c.JSON(http.StatusOK, gin.H{"limit": most, "before": len(before), "signedIn": most + 2, "live": live, "ended": ended})
}

// remember keeps the cookie of a request for its handler, before Load takes it away.
func (l *lab) remember(c *gin.Context) {
	if cookie, err := c.Request.Cookie(ginsession.DefaultCookieName); err == nil {
		c.Set("cookie", cookie.Value)
	}
}

// answerOfSite is what a call within the process is answered.
type answerOfSite struct {
	status               int
	header               http.Header
	cookie, code, reason string
}

// call calls the site as a browser with a cookie would.
func (l *lab) call(c *gin.Context, method, path, cookie string) (a answerOfSite) {
	r, err := http.NewRequestWithContext(context.Background(), method, path, nil)
	if err != nil {
		return a
	}
	r.RemoteAddr = c.Request.RemoteAddr
	r.Header.Set("User-Agent", c.Request.UserAgent())
	r.AddCookie(&http.Cookie{Name: ginsession.DefaultCookieName, Value: cookie})
	w := &sink{}
	l.present.Load().open.ServeHTTP(w, r)
	var body struct {
		Error struct{ Code, EndReason string }
	}
	_ = json.Unmarshal(w.body, &body)
	a.status, a.header, a.cookie = w.status, w.Header(), cookieIn(w.Header())
	a.code, a.reason = body.Error.Code, body.Error.EndReason
	return a
}

// cookieIn is the cookie that an answer sets, if it does.
func cookieIn(h http.Header) string {
	for _, set := range (&http.Response{Header: h}).Cookies() {
		if set.Name == ginsession.DefaultCookieName {
			return set.Value
		}
	}
	return ""
}

// sink is a response that stays in the process.
type sink struct {
	header http.Header
	status int
	body   []byte
}

func (s *sink) Header() http.Header {
	if s.header == nil {
		s.header = http.Header{}
	}
	return s.header
}

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(b []byte) (int, error) {
	s.body = append(s.body, b...)
	return len(b), nil
}
