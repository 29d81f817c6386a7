package ginsession_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// A rig is an application with nothing in it but what is measured.
type rig struct {
	sessions *ginsession.Manager
	engine   *gin.Engine
	token    string // of a live session of ada
	another  func(b *testing.B) (token string)
}

// onEveryDatabase runs a benchmark on every database.
func onEveryDatabase(b *testing.B, run func(b *testing.B, r rig)) {
	for _, kind := range []struct {
		name string
		make func(testing.TB) modelstest.Database
	}{{"sqlite", modelstest.SQLite}, {"postgres", modelstest.Postgres}, {"mariadb", modelstest.MariaDB}} {
		b.Run(kind.name, func(b *testing.B) {
			r := newRig(b, kind.make(b), ginsession.Config{})
			b.ReportAllocs()
			run(b, r)
		})
	}
}

func newRig(b *testing.B, d modelstest.Database, cfg ginsession.Config) rig {
	db := d.Open(b)
	require.NoError(b, models.Migrate(db))
	cfg.Keys, cfg.Logger = []ginsession.Key{key1}, slog.New(slog.DiscardHandler)
	sessions, err := ginsession.New(db, cfg)
	require.NoError(b, err)
	_, err = sessions.Accounts().Create(b.Context(), ginsession.NewUser{Username: "ada", Role: "admin", Password: password})
	require.NoError(b, err)
	engine := gin.New()
	engine.Use(sessions.Load)
	sessions.Routes(engine)
	engine.GET("/me", func(c *gin.Context) {
		if _, ok := ginsession.From(c); !ok {
			b.Error("no session")
		}
		c.Status(http.StatusNoContent)
	})
	engine.GET("/open", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	r := rig{sessions: sessions, engine: engine}
	r.another = func(b *testing.B) string { return tokenIn(r.login(b)) }
	r.token = r.another(b)
	return r
}

func tokenIn(w *httptest.ResponseRecorder) string { return w.Result().Cookies()[0].Value }

func (r rig) login(b *testing.B) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/login",
		strings.NewReader(`{"username":"ada","password":"`+password+`"}`))
	request.Header.Set("Content-Type", "application/json")
	return r.serve(b, request, http.StatusOK)
}

func (r rig) serve(b *testing.B, request *http.Request, want int) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.engine.ServeHTTP(w, request)
	if w.Code != want {
		b.Fatalf("answered %d: %s", w.Code, w.Body)
	}
	return w
}

// get serves a request again and again, with a cookie or without.
func (r rig) get(b *testing.B, path, cookie string, want int) {
	request, w := r.request(b, path), &nobody{header: http.Header{}}
	if cookie != "" {
		cookie = cookieName + "=" + cookie
	}
	for b.Loop() {
		r.again(b, request, w, cookie, want)
	}
}

func (r rig) request(b *testing.B, path string) *http.Request {
	return httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
}

// again serves a request with a Cookie line, which Load takes out of it. The
// copy of the request has no context yet.
func (r rig) again(b *testing.B, request *http.Request, w *nobody, cookie string, want int) {
	if cookie != "" {
		request.Header["Cookie"] = []string{cookie}
	}
	clear(w.header)
	r.engine.ServeHTTP(w, request)
	if w.code != want {
		b.Fatalf("answered %d", w.code)
	}
}

// follow starts Run and waits until memory is believed.
func (r rig) follow(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- r.sessions.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	time.Sleep(4 * time.Second)
}

// nobody is a response writer that costs nothing.
type nobody struct {
	header http.Header
	code   int
}

func (w *nobody) Header() http.Header         { return w.header }
func (w *nobody) Write(p []byte) (int, error) { return len(p), nil }
func (w *nobody) WriteHeader(code int)        { w.code = code }

func BenchmarkGinAlone(b *testing.B) {
	engine := gin.New()
	engine.GET("/me", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	b.ReportAllocs()
	rig{engine: engine}.get(b, "/me", "x", http.StatusNoContent)
}

// BenchmarkKnown is a request of a session that is answered from memory, beside
// what is the least and what is usual, all of them in the same process.
//
// The limit is what a session could cost of which a process knows everything:
// Gin, a look-up of the whole token in a map, and c.Set. Stateless is the plain
// JWT, which nothing revokes: Gin and one verification by golang-jwt.
func BenchmarkKnown(b *testing.B) {
	r := newRig(b, modelstest.SQLite(b), ginsession.Config{StoreTimeout: time.Second / 2})
	r.follow(b)
	b.Run("limit", func(b *testing.B) { r.limit().measure(b) })
	b.Run("session", func(b *testing.B) { r.measure(b) })
	b.Run("session among other cookies", func(b *testing.B) {
		r := r
		r.token += "; theme=dark; _ga=GA1.1.1234567890.1234567890; lang=en"
		r.measure(b)
	})
	b.Run("stateless", func(b *testing.B) { stateless(b).measure(b) })
	b.Run("limit/parallel", func(b *testing.B) { r.limit().measureParallel(b) })
	b.Run("session/parallel", func(b *testing.B) { r.measureParallel(b) })
}

func (r rig) measure(b *testing.B) {
	b.ReportAllocs()
	r.get(b, "/me", r.token, http.StatusNoContent)
}

// measureParallel gives each core a session of its own.
func (r rig) measureParallel(b *testing.B) {
	b.ReportAllocs()
	tokens := make(chan string, 64)
	for range runtime.GOMAXPROCS(0) {
		tokens <- r.another(b)
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		cookie := cookieName + "=" + <-tokens
		request, w := r.request(b, "/me"), &nobody{header: http.Header{}}
		for pb.Next() {
			r.again(b, request, w, cookie, http.StatusNoContent)
		}
	})
}

func (r rig) limit() rig {
	type session struct{ id string }
	known := map[string]*session{}
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		line := c.Request.Header["Cookie"][0]
		if s := known[line[len(cookieName)+1:]]; s != nil {
			c.Set("session", s)
		}
	})
	engine.GET("/me", func(c *gin.Context) {
		if s, _ := c.MustGet("session").(*session); s == nil {
			panic("no session")
		}
		c.Status(http.StatusNoContent)
	})
	known[r.token] = &session{"a"}
	return rig{engine: engine, token: r.token, another: func(b *testing.B) string {
		token := r.another(b)
		known[token] = &session{"b"}
		return token
	}}
}

func stateless(b *testing.B) rig {
	claims := jwt.MapClaims{"sub": "ada", "role": "admin", "exp": time.Now().Add(time.Hour).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key1))
	require.NoError(b, err)
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		line := c.Request.Header["Cookie"][0]
		key := func(*jwt.Token) (any, error) { return []byte(key1), nil }
		parsed, err := jwt.Parse(line[len(cookieName)+1:], key, jwt.WithValidMethods([]string{"HS256"}))
		if err == nil {
			c.Set("claims", parsed.Claims)
		}
	})
	engine.GET("/me", func(c *gin.Context) {
		c.MustGet("claims")
		c.Status(http.StatusNoContent)
	})
	return rig{engine: engine, token: token}
}

func BenchmarkLoad(b *testing.B) {
	onEveryDatabase(b, func(b *testing.B, r rig) { r.get(b, "/me", r.token, http.StatusNoContent) })
}

func BenchmarkLoadNobody(b *testing.B) {
	onEveryDatabase(b, func(b *testing.B, r rig) { r.get(b, "/open", "", http.StatusNoContent) })
}

func BenchmarkLoadJunk(b *testing.B) {
	onEveryDatabase(b, func(b *testing.B, r rig) {
		r.get(b, "/open", r.token[:len(r.token)-2]+"AA", http.StatusNoContent)
	})
}

func BenchmarkStatus(b *testing.B) {
	onEveryDatabase(b, func(b *testing.B, r rig) { r.get(b, "/session", r.token, http.StatusOK) })
}

func BenchmarkLogin(b *testing.B) {
	onEveryDatabase(b, func(b *testing.B, r rig) {
		for b.Loop() {
			r.login(b)
		}
	})
}

func BenchmarkPasswordHash(b *testing.B) {
	db := modelstest.SQLite(b).Open(b)
	require.NoError(b, models.Migrate(db))
	sessions, err := ginsession.New(db, ginsession.Config{Keys: []ginsession.Key{key1}})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() { // of a name that is not there: one query and one hash
		if _, err := sessions.Accounts().Authenticate(b.Context(), "nobody", password); err == nil {
			b.Fatal("let in")
		}
	}
}

// BenchmarkGuards lets a request pass again and again whose session is known.
func BenchmarkGuards(b *testing.B) {
	for _, guard := range []struct {
		name string
		gin.HandlerFunc
	}{
		{"Require", ginsession.Require},
		{"RequireFresh", ginsession.RequireFresh(time.Hour)},
		{"DenyImpersonated", ginsession.DenyImpersonated},
	} {
		b.Run(guard.name, func(b *testing.B) {
			r := newRig(b, modelstest.SQLite(b), ginsession.Config{StoreTimeout: time.Second / 2})
			r.engine.GET("/guarded", func(c *gin.Context) {
				b.ReportAllocs()
				for b.Loop() {
					guard.HandlerFunc(c)
				}
				c.Status(http.StatusNoContent)
			})
			r.again(b, r.request(b, "/guarded"), &nobody{header: http.Header{}}, cookieName+"="+r.token, http.StatusNoContent)
		})
	}
}
