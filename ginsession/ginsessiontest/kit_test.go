// The kit itself: its cookies, its databases, and who it lets sign in.

package ginsessiontest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

func TestTheDocumentedTestIsThisOne(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(doc), "//\tpackage shop_test\n//\n")
	code, _, ok := strings.Cut(code, "//\n// A test that needs")
	require.True(t, ok)
	code = strings.ReplaceAll("\n"+code, "\n//", "\n")
	code = strings.ReplaceAll(code, "\n\t", "\n")

	test, err := os.ReadFile("guarded_route_test.go")
	require.NoError(t, err)
	_, want, ok := strings.Cut(string(test), "package ginsessiontest_test\n")
	require.True(t, ok)
	require.Equal(t, want, code)
}

// inAndOutside runs a test in a bubble of synctest and outside of one.
func inAndOutside(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Run("bubble", func(t *testing.T) { synctest.Test(t, test) })
	t.Run("no bubble", test)
}

func TestLoginAs(t *testing.T) {
	inAndOutside(t, func(t *testing.T) {
		sessions := ginsessiontest.New(t)
		app := routes(sessions)
		ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
		require.Equal(t, "hello, ada", ada.Get("/admin").Text)
		require.NotEmpty(t, ada.Cookie("__Host-session"))
		require.NotEmpty(t, ada.Cookie("__Host-session-device"))
	})
}

func TestLoginAsInsecure(t *testing.T) {
	inAndOutside(t, func(t *testing.T) {
		sessions := ginsessiontest.New(t, func(cfg *ginsession.Config) { cfg.Insecure = true })
		app := routes(sessions)
		ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
		require.Equal(t, "hello, ada", ada.Get("/admin").Text)
		require.Equal(t, "hello, ada", ada.Get("http://app.example.com/admin").Text)
		require.NotEmpty(t, ada.Cookie("session"))
	})
}

// members are users of an application's own.
type members map[string]ginsession.Identity

func (m members) Authenticate(context.Context, string, string) (ginsession.Identity, error) {
	return ginsession.Identity{}, ginsession.ErrCredentialsInvalid
}

func (m members) Identity(_ context.Context, userID string) (ginsession.Identity, error) {
	if user, ok := m[userID]; ok {
		return user, nil
	}
	return ginsession.Identity{}, ginsession.ErrUserNotFound
}

func TestLoginAsWithOwnUsers(t *testing.T) {
	inAndOutside(t, func(t *testing.T) {
		ada := ginsession.Identity{UserID: "7", Username: "ada", Role: "admin"}
		sessions := ginsessiontest.New(t, func(cfg *ginsession.Config) { cfg.Users = members{"7": ada} })
		app := routes(sessions)
		require.Equal(t, "hello, ada", ginsessiontest.LoginAs(t, app, sessions, ada).Get("/admin").Text)
	})
}

// A wrapped engine is a handler like any other.
func TestLoginAsBehindAnotherHandler(t *testing.T) {
	sessions := ginsessiontest.New(t)
	app := http.StripPrefix("/shop", routes(sessions))
	ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
	require.Equal(t, "hello, ada", ada.Get("/shop/admin").Text)
}

// failing is a t that only notes why it failed.
type failing struct {
	testing.TB
	why string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.why = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// whyFails returns why a test fails.
func whyFails(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	var wait sync.WaitGroup
	wait.Go(func() { test(f) })
	wait.Wait()
	return f.why
}

func TestWhyTheTestFails(t *testing.T) {
	sessions := ginsessiontest.New(t, func(cfg *ginsession.Config) { cfg.MaxSessions, cfg.RefuseOverLimit = 1, true })
	app := routes(sessions)
	ada := ginsessiontest.AddUser(t, sessions, "ada", "admin")
	bob := ginsessiontest.AddUser(t, sessions, "bob", "viewer")
	require.NoError(t, sessions.Accounts().Disable(t.Context(), bob.UserID))
	ginsessiontest.LoginAs(t, app, sessions, ada)

	for name, test := range map[string]struct {
		test func(t testing.TB)
		want []string
	}{
		"unknown user": {
			func(t testing.TB) {
				ginsessiontest.LoginAs(t, app, sessions, ginsession.Identity{UserID: "7", Username: "eve"})
			},
			[]string{`sign in as "eve" (UserID "7")`, "CREDENTIALS_INVALID"},
		},
		"disabled user": {
			func(t testing.TB) { ginsessiontest.LoginAs(t, app, sessions, bob) },
			[]string{`sign in as "bob"`, "CREDENTIALS_INVALID"},
		},
		"no user": {
			func(t testing.TB) { ginsessiontest.LoginAs(t, app, sessions, ginsession.Identity{}) },
			[]string{`sign in as ""`, "INTERNAL"},
		},
		"too many sessions": {
			func(t testing.TB) { ginsessiontest.LoginAs(t, app, sessions, ada) },
			[]string{`sign in as "ada"`, "SESSION_LIMIT"},
		},
		"same name": {
			func(t testing.TB) { ginsessiontest.AddUser(t, sessions, "ADA", "") },
			[]string{`add the user "ADA"`, "USER_EXISTS"},
		},
		"settings": {
			func(t testing.TB) { ginsessiontest.New(t, func(cfg *ginsession.Config) { cfg.MaxAge = -1 }) },
			[]string{"MaxAge"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			why := whyFails(t, test.test)
			require.Contains(t, why, "ginsessiontest: ")
			for _, want := range test.want {
				require.Contains(t, why, want)
			}
		})
	}
}

func TestNewIsADatabaseOfItsOwn(t *testing.T) {
	ctx := t.Context()
	one, other := ginsessiontest.New(t), ginsessiontest.New(t)
	ada := ginsessiontest.AddUser(t, one, "ada", "admin")
	require.ErrorIs(t, other.Accounts().SetRole(ctx, ada.UserID, "viewer"), ginsession.ErrUserNotFound)
	ginsessiontest.AddUser(t, other, "ada", "viewer")

	// The key is another one, too.
	browser := ginsessiontest.LoginAs(t, routes(one), one, ada)
	thief := ginsessiontest.NewClient(routes(other))
	thief.Header.Set("Cookie", "__Host-session="+browser.Cookie("__Host-session"))
	require.Contains(t, thief.Get("/admin").Text, `"JWT_INVALID"`)

	var past *ginsession.Manager
	t.Run("until the test ends", func(t *testing.T) { past = ginsessiontest.New(t) })
	_, err := past.Accounts().Create(ctx, ginsession.NewUser{Username: "ada"})
	require.ErrorIs(t, err, ginsession.ErrStoreUnavailable)
}

func TestNewServesManyAtOnce(t *testing.T) {
	inAndOutside(t, func(t *testing.T) {
		sessions := ginsessiontest.New(t)
		app := routes(sessions)
		var wait sync.WaitGroup
		for i := range 16 {
			wait.Go(func() {
				user, err := sessions.Accounts().Create(context.Background(), ginsession.NewUser{Username: fmt.Sprint("user", i), Role: "admin"})
				if err != nil {
					t.Error(err)
					return
				}
				browser := ginsessiontest.LoginAs(t, app, sessions, user)
				for range 4 {
					if got := browser.Get("/admin"); got.Text != "hello, "+user.Username {
						t.Errorf("%s gets %d %s", user.Username, got.StatusCode, got.Text)
					}
				}
			})
		}
		wait.Wait()
	})
}

func TestNewIsQuietUnlessToldOtherwise(t *testing.T) {
	var before, log bytes.Buffer
	standard := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&before, nil)))
	defer slog.SetDefault(standard)

	quiet := ginsessiontest.New(t)
	ginsessiontest.LoginAs(t, routes(quiet), quiet, ginsessiontest.AddUser(t, quiet, "ada", "admin"))
	require.Empty(t, before.String())

	loud := ginsessiontest.New(t, func(cfg *ginsession.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	ginsessiontest.AddUser(t, loud, "ada", "admin")
	require.Contains(t, log.String(), "user_created")
}

// Run works on the one connection, and ends with the bubble.
func TestRunInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := ginsessiontest.New(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go sessions.Run(ctx)

		app := routes(sessions)
		app.GET("/news", ginsession.Require, func(c *gin.Context) {
			watched, done := sessions.Watch(c)
			defer done()
			<-watched.Done()
		})
		ada := ginsessiontest.AddUser(t, sessions, "ada", "admin")
		browser := ginsessiontest.LoginAs(t, app, sessions, ada)
		time.Sleep(time.Minute) // memory answers
		require.Equal(t, "hello, ada", browser.Get("/admin").Text)

		listener := ginsessiontest.LoginAs(t, app, sessions, ada)
		var wait sync.WaitGroup
		wait.Go(func() { listener.Get("/news") })
		synctest.Wait()
		ended, err := sessions.RevokeUser(t.Context(), ada.UserID)
		require.NoError(t, err)
		require.Equal(t, 2, ended)
		wait.Wait()
		require.Equal(t, http.StatusUnauthorized, browser.Get("/admin").StatusCode)
	})
}

// jarOf serves /set, which sets a cookie, and /, which tells the cookies that came.
func jarOf(cookie http.Cookie) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/set", func(w http.ResponseWriter, _ *http.Request) { http.SetCookie(w, &cookie) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Cookie")) })
	return mux
}

func TestCookiesRunOut(t *testing.T) {
	for name, cookie := range map[string]func() http.Cookie{
		"Max-Age": func() http.Cookie { return http.Cookie{Name: "k", Value: "v", Path: "/", MaxAge: 60} },
		"Expires": func() http.Cookie {
			return http.Cookie{Name: "k", Value: "v", Path: "/", Expires: time.Now().Add(time.Minute)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				browser := ginsessiontest.NewClient(jarOf(cookie()))
				browser.Get("/set")
				time.Sleep(time.Minute - time.Nanosecond)
				require.Equal(t, "k=v", browser.Get("/").Text)
				require.Equal(t, "v", browser.Cookie("k"))
				time.Sleep(time.Nanosecond)
				require.Empty(t, browser.Get("/").Text)
				require.Empty(t, browser.Cookie("k"))
			})
		})
	}
}

func TestSecureCookiesNeedHTTPS(t *testing.T) {
	app := jarOf(http.Cookie{Name: "k", Value: "v", Path: "/", Secure: true})
	browser := ginsessiontest.NewClient(app)
	browser.Get("/set")
	require.Equal(t, "k=v", browser.Get("/").Text)
	require.Equal(t, "k=v", browser.Get("https://app.example.com/").Text)
	require.Empty(t, browser.Get("http://app.example.com/").Text)
	require.Empty(t, browser.Get("https://other.example.com/").Text)

	sessions := ginsessiontest.New(t)
	ada := ginsessiontest.LoginAs(t, routes(sessions), sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
	require.Equal(t, http.StatusUnauthorized, ada.Get("http://app.example.com/admin").StatusCode)
	require.Equal(t, http.StatusOK, ada.Get("/admin").StatusCode)
}

func TestLogoutDeletesTheCookieOfOneBrowser(t *testing.T) {
	sessions := ginsessiontest.New(t)
	app := routes(sessions)
	user := ginsessiontest.AddUser(t, sessions, "ada", "admin")
	desk, phone := ginsessiontest.LoginAs(t, app, sessions, user), ginsessiontest.LoginAs(t, app, sessions, user)
	require.NotEqual(t, desk.Cookie("__Host-session"), phone.Cookie("__Host-session"))
	require.NotEqual(t, desk.Cookie("__Host-session-device"), phone.Cookie("__Host-session-device"))

	require.Equal(t, http.StatusOK, desk.PostJSON("/auth/logout", nil).StatusCode)
	require.Empty(t, desk.Cookie("__Host-session"))
	require.NotEmpty(t, desk.Cookie("__Host-session-device")) // the browser is known again
	require.Equal(t, http.StatusUnauthorized, desk.Get("/admin").StatusCode)
	require.Equal(t, http.StatusOK, phone.Get("/admin").StatusCode)
}

func TestStreamsAreRead(t *testing.T) {
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		left := 3
		c.Stream(func(w io.Writer) bool {
			left--
			_, _ = io.WriteString(w, "tick ")
			return left > 0
		})
	})
	got := ginsessiontest.NewClient(r).Get("/")
	require.Equal(t, "tick tick tick ", got.Text)
	require.Equal(t, "https://app.example.com/", got.Request.URL.String())
}
