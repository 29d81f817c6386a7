// The whole story, from outside: a small application, two users with their
// browsers, and a clock that runs for weeks within a bubble of testing/synctest.

package ginsession_test

import (
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

const password = "correct horse battery staple"

// newApplication is what an application does to use the package.
func newApplication(t *testing.T, d modelstest.Database) http.Handler {
	t.Helper()
	gin.SetMode(gin.TestMode)
	db := d.Open(t)
	require.NoError(t, models.Migrate(db))
	sessions, err := ginsession.New(db, ginsession.Config{
		Keys:   []ginsession.Key{"an example key, which nobody must use"},
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	for name, role := range map[string]string{"alice": "admin", "bob": "viewer"} {
		_, err := sessions.Accounts().Create(t.Context(), ginsession.NewUser{Username: name, Role: role, Password: password})
		require.NoError(t, err)
	}

	r := gin.New()
	r.Use(sessions.Load)
	sessions.Routes(r.Group("/auth"))
	ok := func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.String(http.StatusOK, "hello, %s", s.User.Username)
	}
	r.GET("/", ok)
	r.Group("/me", ginsession.Require).GET("", ok)
	r.Group("/admin", rbac.RequireRole("admin")).GET("", ok)
	return r
}

// browser is a user at a browser.
type browser struct {
	t *testing.T
	*ginsessiontest.Client
}

func (b browser) login(name string) {
	b.t.Helper()
	r := b.PostJSON("/auth/login", gin.H{"username": name, "password": password})
	require.Equal(b.t, http.StatusOK, r.StatusCode, r.Text)
}

// sees returns the status of a page, and counts the cookies that it sets.
func (b browser) sees(path string) (status, cookies int) {
	r := b.Get(path)
	return r.StatusCode, len(r.Header["Set-Cookie"])
}

func (b browser) requireStatus(want int, path string) {
	b.t.Helper()
	got, _ := b.sees(path)
	require.Equal(b.t, want, got, path)
}

func TestStory(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		synctest.Test(t, func(t *testing.T) {
			app := newApplication(t, d)
			alice := browser{t, ginsessiontest.NewClient(app)}
			bob := browser{t, ginsessiontest.NewClient(app)}

			// Strangers see what is public.
			alice.requireStatus(200, "/")
			alice.requireStatus(401, "/me")
			alice.requireStatus(401, "/admin")

			// Signed in, each sees what his role allows.
			alice.login("alice")
			bob.login("bob")
			require.Equal(t, "hello, alice", alice.Get("/me").Text)
			alice.requireStatus(200, "/admin")
			bob.requireStatus(200, "/me")
			bob.requireStatus(403, "/admin")

			// A click every quarter of an hour keeps alice signed in for days. Her
			// session is refreshed once for each that it lasts, when half an hour is
			// left of it.
			refreshes := 0
			for range 3 * 24 * 4 {
				time.Sleep(15 * time.Minute)
				status, cookies := alice.sees("/admin")
				require.Equal(t, 200, status)
				refreshes += cookies
			}
			require.Equal(t, 3, refreshes)

			// Bob was away: he is signed out, and told why.
			bob.requireStatus(401, "/me")
			require.Contains(t, bob.Get("/me").Text, `"SESSION_EXPIRED"`)
			require.Contains(t, bob.Get("/auth/session").Text, `"isAuthenticated":false,"isExpired":true`)
			bob.login("bob")
			bob.requireStatus(200, "/me")

			// After thirty days alice has to say again who she is, click as she may.
			signedIn := 3 * 24 * time.Hour
			for {
				time.Sleep(15 * time.Minute)
				signedIn += 15 * time.Minute
				if status, _ := alice.sees("/me"); status != 200 {
					break
				}
			}
			require.Equal(t, 30*24*time.Hour, signedIn)

			// She does, and signs out when she is done. A copy of her cookie is worth
			// nothing then, now and later.
			alice.login("alice")
			time.Sleep(time.Hour)
			copied := alice.Cookie("__Host-session")
			require.NotEmpty(t, copied)
			r := alice.Do(http.MethodPost, "/auth/logout", "", nil)
			require.Equal(t, http.StatusOK, r.StatusCode)
			require.Len(t, r.Header["Set-Cookie"], 1)
			require.Empty(t, alice.Cookie("__Host-session"))
			alice.requireStatus(401, "/me")

			thief := browser{t, ginsessiontest.NewClient(app)}
			thief.Header.Set("Cookie", "__Host-session="+copied)
			for range 3 {
				thief.requireStatus(401, "/me")
				thief.requireStatus(401, "/admin")
				require.Contains(t, thief.Get("/auth/session").Text, `"isAuthenticated":false`)
				time.Sleep(10 * time.Hour)
			}
		})
	})
}
