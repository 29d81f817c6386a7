// The examples of single functions, what all examples share, and the program that
// the README shows. The stories are in files of their own.

package ginsession_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

// The smallest application. It is compiled and not run, because it listens.
func Example() {
	db, err := gorm.Open(sqlite.Open("app.db?_journal_mode=WAL&_busy_timeout=5000"))
	if err != nil {
		log.Fatal(err)
	}
	if err := models.Migrate(db); err != nil {
		log.Fatal(err)
	}
	sessions, err := ginsession.New(db, ginsession.Config{}) // the key is in JWT_SECRET
	if err != nil {
		log.Fatal(err)
	}
	go sessions.Run(context.Background()) // upkeep, for as long as the program runs
	_, err = sessions.Accounts().Create(context.Background(), ginsession.NewUser{
		Username: "ada", Role: "admin", Password: "correct horse battery",
	})
	if err != nil && !errors.Is(err, ginsession.ErrUserExists) {
		log.Fatal(err)
	}

	r := gin.New()
	r.Use(gin.Recovery(), sessions.Load)
	sessions.Routes(r.Group("/auth")) // login, logout, session, sessions and more
	r.GET("/me", ginsession.Require, func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.JSON(http.StatusOK, s.User)
	})
	r.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	server := http.Server{Addr: "127.0.0.1:8080", Handler: r, ReadTimeout: 30 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func ExampleAccounts() {
	sessions, done := exampleSessions()
	defer done()
	ctx := context.Background()

	ada, err := sessions.Accounts().Create(ctx, ginsession.NewUser{
		Username: "ada", Email: "ada@example.com", Role: "editor", Password: "correct horse battery",
	})
	fmt.Println(ada.Username, ada.Role, err)

	_, err = sessions.Accounts().Create(ctx, ginsession.NewUser{Username: "ADA"})
	fmt.Println(errors.Is(err, ginsession.ErrUserExists))

	err = sessions.Accounts().SetRole(ctx, ada.UserID, "admin") // his sessions have it at the next request
	fmt.Println(err)
	// Output:
	// ada editor <nil>
	// true
	// <nil>
}

// A service that is handed a context finds the session in it.
func ExampleFromContext() {
	greet := func(ctx context.Context) string {
		if s, ok := ginsession.FromContext(ctx); ok {
			return "hello, " + s.User.Username
		}
		return "hello, stranger"
	}
	fmt.Println(greet(context.Background()))
	fmt.Println(greet(ginsession.NewContext(context.Background(), ginsession.Session{
		User: ginsession.Identity{Username: "ada"},
	})))
	// Output:
	// hello, stranger
	// hello, ada
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// exampleDB opens an empty database that goes with the example.
func exampleDB() (db *gorm.DB, done func()) {
	gin.SetMode(gin.TestMode)
	folder, err := os.MkdirTemp("", "ginsession")
	must(err)
	db, err = modelstest.OpenSQLite(folder + "/example.db")
	must(err)
	return db, func() {
		pool, err := db.DB()
		must(err)
		must(pool.Close())
		must(os.RemoveAll(folder))
	}
}

// exampleSessions makes a manager on such a database.
func exampleSessions(configure ...func(*ginsession.Config)) (sessions *ginsession.Manager, done func()) {
	db, done := exampleDB()
	must(models.Migrate(db))
	return exampleManager(db, configure...), done
}

func exampleManager(db *gorm.DB, configure ...func(*ginsession.Config)) *ginsession.Manager {
	cfg := ginsession.Config{
		Keys:   []ginsession.Key{"an example key, which nobody must use"},
		Logger: slog.New(slog.DiscardHandler), // the output is long enough
	}
	for _, f := range configure {
		f(&cfg)
	}
	sessions, err := ginsession.New(db, cfg)
	must(err)
	return sessions
}

// exampleUser adds a user with a password.
func exampleUser(sessions *ginsession.Manager, name, role string) ginsession.Identity {
	user, err := sessions.Accounts().Create(context.Background(), ginsession.NewUser{
		Username: name, Role: role, Password: "correct horse battery",
	})
	must(err)
	return user
}

// exampleTest runs a test, which an example has no t for, and prints how it went.
func exampleTest(test func(t testing.TB)) {
	t := &exampleT{}
	test(t)
	for _, end := range slices.Backward(t.ends) {
		end()
	}
	if !t.failed {
		fmt.Println("PASS")
	}
}

// exampleT is the t of such a test; it has no more than is needed.
type exampleT struct {
	testing.TB
	ends   []func()
	failed bool
}

func (t *exampleT) Helper()                  {}
func (t *exampleT) Cleanup(end func())       { t.ends = append(t.ends, end) }
func (t *exampleT) Context() context.Context { return context.Background() }
func (t *exampleT) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (t *exampleT) Errorf(format string, args ...any) {
	t.failed = true
	fmt.Printf(format+"\n", args...)
}

// A server that ends in order ends Run after its last request, so that nothing of
// that is lost.
func ExampleManager_Run() {
	sessions, done := exampleSessions()
	defer done()

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sessions.Run(ctx) }()

	// Here the server serves, and shuts down.

	stop()
	fmt.Println(<-ended)
	// Output: <nil>
}

// An admin ends what others began.
func ExampleManager_RevokeUser() {
	sessions, done := exampleSessions()
	defer done()
	ctx := context.Background()

	ended, err := sessions.RevokeUser(ctx, "42") // all sessions of this user, at once here and on all nodes within a second
	fmt.Println(ended, err)

	err = sessions.RevokeSession(ctx, "RZ2DFCRLT3M5ON7SHCKDVSFFQO", ginsession.ReasonRevoked)
	fmt.Println(errors.Is(err, ginsession.ErrNoSuchSession))
	// Output:
	// 0 <nil>
	// true
}

// Each piece of Go in the README stands in an example, and so compiles.
func TestReadmeCompiles(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	var examples string
	files, err := filepath.Glob("example*_test.go")
	require.NoError(t, err)
	for _, file := range append(files, "../rbac/example_test.go", "browser/example_test.go") {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		examples += flat(string(source))
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		require.Contains(t, examples, flat(block))
	}
}

// flat removes the indentation.
func flat(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}
