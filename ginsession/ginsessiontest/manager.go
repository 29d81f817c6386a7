// The manager of a test, its users, and who is signed in.

package ginsessiontest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

// New returns a manager on an SQLite database in memory that no other test sees,
// with the tables made, a random key, and a log that goes nowhere. configure may
// set all that and more. It starts nothing: a test that needs Run calls it. The
// database is closed when t ends.
//
// A test in a bubble of testing/synctest calls New inside it, with the bubble's t.
func New(t testing.TB, configure ...func(*ginsession.Config)) *ginsession.Manager {
	t.Helper()
	cfg := ginsession.Config{
		Keys:   []ginsession.Key{ginsession.Key(rand.Text() + rand.Text())},
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range configure {
		f(&cfg)
	}
	db, err := gorm.Open(inMemory(), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatalf("ginsessiontest: open a database in memory: %v", err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatalf("ginsessiontest: open a database in memory: %v", err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	pool.SetMaxOpenConns(1) // each connection is a database of its own
	if err := models.Migrate(db); err != nil {
		t.Fatalf("ginsessiontest: make the tables: %v", err)
	}
	sessions, err := ginsession.New(db, cfg)
	if err != nil {
		t.Fatalf("ginsessiontest: %v", err)
	}
	return sessions
}

// AddUser adds a user to the [ginsession.Accounts] of sessions: without an e-mail,
// and without a password, because to hash one is slow. [LoginAs] needs none. A test
// of the sign-in itself calls Accounts().Create with one.
func AddUser(t testing.TB, sessions *ginsession.Manager, username, role string) ginsession.Identity {
	t.Helper()
	user, err := sessions.Accounts().Create(context.Background(), ginsession.NewUser{Username: username, Role: role})
	if err != nil {
		t.Fatalf("ginsessiontest: add the user %q: %v", username, err)
	}
	return user
}

// LoginAs returns a client of engine in which user is signed in to sessions, as if
// he had sent his password. With [ginsession.Accounts] he must be there, see
// [AddUser]; with Users of the application's own he is what they say at the next
// request. t fails if he may not sign in.
func LoginAs(t testing.TB, engine http.Handler, sessions *ginsession.Manager, user ginsession.Identity) *Client {
	t.Helper()
	client := NewClient(engine)
	signIn := func(w http.ResponseWriter, r *http.Request) {
		c := gin.CreateTestContextOnly(w, new(gin.Engine)) // gin.New would have something to say
		c.Request = r
		if _, err := sessions.Open(c, user, false); err != nil {
			t.Fatalf("ginsessiontest: sign in as %q (UserID %q): %v", user.Username, user.UserID, err)
		}
	}
	client.serve(client.request(http.MethodPost, "/", nil), http.HandlerFunc(signIn))
	return client
}
