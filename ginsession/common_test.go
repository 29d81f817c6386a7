// The application under test.

package ginsession_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

const (
	password = "correct horse battery"
	key1     = "key-one-0123456789-0123456789-0123456789"
	key2     = "key-two-0123456789-0123456789-0123456789"

	cookieName = "__Host-session"

	// settled is long enough after the start of Run for memory to be believed, and
	// lies between two readings of the feed: what a test does then meets none.
	settled = 8300 * time.Millisecond
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

// cheapHash is the hash of password with parameters that take no time.
var cheapHash = sync.OnceValue(func() string { return argonHash(password, 8, 1, 16) })

func argonHash(password string, memory, passes uint32, saltLength int) string {
	salt := []byte("0123456789abcdef")[:saltLength]
	encode := base64.RawStdEncoding.EncodeToString
	sum := argon2.IDKey([]byte(password), salt, passes, memory, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", memory, passes, encode(salt), encode(sum))
}

// app is an application on a database of its own, with the users ada, an admin,
// and bob, a viewer.
type app struct {
	t        testing.TB
	d        modelstest.Database
	db       *gorm.DB
	side     *gorm.DB // see aside
	wire     *wire
	logs     *capture
	sessions *ginsession.Manager
	engine   *gin.Engine
	ada, bob ginsession.Identity
}

// newApp makes the application. When t ends it looks through all that was
// logged, answered and stored for secrets: see capture; and whether anything was
// sent to the database without a deadline.
func newApp(t testing.TB, d modelstest.Database, configure ...func(*ginsession.Config)) *app {
	t.Helper()
	a := &app{t: t, d: d, db: d.Open(t), logs: &capture{}}
	require.NoError(t, models.Migrate(a.db))
	a.wire = tap(a.db)
	a.sessions, a.engine = a.node(a.db, configure...)
	a.ada = a.user("ada", "admin")
	a.bob = a.user("bob", "viewer")
	a.wire.reset()
	t.Cleanup(func() {
		a.logs.check(t, a.db)
		a.wire.check(t)
	})
	return a
}

// otherProcess returns a manager with its routes on a connection of its own, on
// which the app's wire has no hand.
func (a *app) otherProcess() (*ginsession.Manager, *gin.Engine) {
	a.t.Helper()
	return a.node(a.d.Open(a.t))
}

// aside returns a connection on which the wire has no hand.
func (a *app) aside() *gorm.DB {
	if a.side == nil {
		a.side = a.d.Open(a.t)
	}
	return a.side
}

// node makes a manager and its routes.
func (a *app) node(db *gorm.DB, configure ...func(*ginsession.Config)) (*ginsession.Manager, *gin.Engine) {
	a.t.Helper()
	cfg := ginsession.Config{
		Keys:   []ginsession.Key{key1},
		Logger: slog.New(slog.NewJSONHandler(a.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range configure {
		f(&cfg)
	}
	sessions, err := ginsession.New(db, cfg)
	require.NoError(a.t, err)
	sessions.TestOnlyCheapHashes()

	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.Use(a.logs.answers, sessions.Load)
	sessions.Routes(r)
	r.GET("/open", func(c *gin.Context) {
		s, ok := ginsession.From(c)
		c.String(http.StatusOK, "%v %s", ok, s.User.Username)
	})
	r.GET("/me", ginsession.Require, func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.String(http.StatusOK, "%s", s.User.Username)
	})
	r.POST("/act", ginsession.Require, func(c *gin.Context) { c.Status(http.StatusNoContent) })
	r.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) { c.String(http.StatusOK, "admin") })
	return sessions, r
}

// run starts Run and returns what stops it. Memory is believed settled later.
func (a *app) run(sessions *ginsession.Manager) (stop func()) {
	a.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- sessions.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			a.t.Errorf("Run: %v", err)
		}
	})
	a.t.Cleanup(stop)
	return stop
}

// user adds a user whose password is password.
func (a *app) user(name, role string) ginsession.Identity {
	a.t.Helper()
	user, err := a.sessions.Accounts().Create(a.t.Context(), ginsession.NewUser{
		Username: name, Email: name + "@example.com", Role: role,
	})
	require.NoError(a.t, err)
	require.NoError(a.t, a.db.Model(&models.User{}).Where("id = ?", models.Exact(user.UserID)).
		Update("password_hash", cheapHash()).Error)
	a.logs.secret(cheapHash())
	a.logs.secret(password)
	return user
}

// client returns a browser without cookies.
func (a *app) client() *ginsessiontest.Client { return ginsessiontest.NewClient(a.engine) }

// signIn returns a browser in which the user is signed in.
func (a *app) signIn(name string) *ginsessiontest.Client {
	a.t.Helper()
	c := a.client()
	r := c.PostJSON("/login", gin.H{"username": name, "password": password})
	require.Equal(a.t, http.StatusOK, r.StatusCode, r.Text)
	return c
}

// rows returns all sessions.
func (a *app) rows() []models.Session {
	a.t.Helper()
	var rows []models.Session
	require.NoError(a.t, a.db.Order("created_at, id").Find(&rows).Error)
	return rows
}

// unlimited lets a user have as many sessions as he likes.
func unlimited(c *ginsession.Config) { c.MaxSessions = -1 }

// forgive forgets all failed attempts to sign in.
func (a *app) forgive() {
	a.t.Helper()
	require.NoError(a.t, a.db.Where("1 = 1").Delete(&models.LoginAttempts{}).Error)
}

// row returns the only session.
func (a *app) row() models.Session {
	a.t.Helper()
	rows := a.rows()
	require.Len(a.t, rows, 1)
	return rows[0]
}

// events returns the names of all events in their order. That a device is new,
// as it is with most sign-ins of tests, is left out.
func (a *app) events() []string {
	a.t.Helper()
	var names []string
	require.NoError(a.t, a.db.Model(&models.Event{}).Where("name <> ?", "authn_login_newdevice").Order("id").Pluck("name", &names).Error)
	return names
}

// code returns the error code of an answer.
func code(t testing.TB, r ginsessiontest.Response) ginsession.Code {
	t.Helper()
	if r.StatusCode < 400 {
		return ""
	}
	var body struct {
		Error struct {
			Code      ginsession.Code
			Timestamp time.Time
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.Text), &body), r.Text)
	require.NotZero(t, body.Error.Timestamp)
	return body.Error.Code
}

// capture collects what could give a secret away: the log, the answers, the
// rows. Tokens are learned from the answers that set them.
type capture struct {
	mu      sync.Mutex
	log     bytes.Buffer
	bodies  strings.Builder
	secrets []string
}

func (k *capture) Write(line []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log.Write(line)
}

func (k *capture) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log.String()
}

func (k *capture) secret(s string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secrets = append(k.secrets, s)
}

// answers is the outermost middleware. It keeps every body and every header,
// and of Set-Cookie the token, its payload and the secret in it.
func (k *capture) answers(c *gin.Context) {
	body := &copying{ResponseWriter: c.Writer}
	c.Writer = body
	c.Next()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bodies.Write(body.copied.Bytes())
	for name, values := range c.Writer.Header() {
		if name != "Set-Cookie" {
			fmt.Fprintln(&k.bodies, values)
		}
	}
	for _, line := range c.Writer.Header()["Set-Cookie"] {
		value, _, _ := strings.Cut(line, ";")
		_, token, _ := strings.Cut(value, "=")
		parts := strings.Split(token, ".")
		if !strings.HasPrefix(value, cookieName+"=") || len(parts) != 3 {
			continue
		}
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		var claims struct{ JTI string }
		_ = json.Unmarshal(payload, &claims)
		k.secrets = append(k.secrets, token, parts[1], parts[2], claims.JTI)
	}
}

// check fails t if a secret is in the log, in an answer or in a row.
func (k *capture) check(t testing.TB, db *gorm.DB) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	places := map[string]string{"the log": k.log.String(), "the answers": k.bodies.String(), "the rows": dump(t, db)}
	for _, s := range append(k.secrets, key1, key2) {
		for place, text := range places {
			if s == cheapHash() && place == "the rows" {
				continue
			}
			if strings.Contains(text, s) {
				t.Errorf("%s hold the secret %q", place, s)
			}
		}
	}
}

// dump returns all rows as text. Hashes are there as bytes, as a dump of the
// database has them.
func dump(t testing.TB, db *gorm.DB) string {
	t.Helper()
	db.ConnPool.(*wire).reset()
	var all strings.Builder
	for _, table := range []any{&models.User{}, &models.Session{}, &models.Event{}, &models.LoginAttempts{}} {
		var rows []map[string]any
		if err := db.Model(table).Find(&rows).Error; err != nil {
			continue // the test has closed the database
		}
		for _, row := range rows {
			for _, value := range row {
				if b, ok := value.([]byte); ok {
					value = string(b)
				}
				fmt.Fprintln(&all, value)
			}
		}
	}
	return all.String()
}

type copying struct {
	gin.ResponseWriter
	copied bytes.Buffer
}

func (w *copying) Write(b []byte) (int, error) {
	w.copied.Write(b)
	return w.ResponseWriter.Write(b)
}

func (w *copying) WriteString(s string) (int, error) {
	w.copied.WriteString(s)
	return w.ResponseWriter.WriteString(s)
}
