// The test that the documentation shows, word for word.

package ginsessiontest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/rbac"
)

// routes is what the application under test has somewhere.
func routes(sessions *ginsession.Manager) *gin.Engine {
	r := gin.New()
	r.Use(sessions.Load)
	sessions.Routes(r.Group("/auth"))
	r.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.String(http.StatusOK, "hello, %s", s.User.Username)
	})
	return r
}

func TestAdminsOnly(t *testing.T) {
	sessions := ginsessiontest.New(t)
	app := routes(sessions)
	ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
	bob := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "bob", "viewer"))
	stranger := ginsessiontest.NewClient(app)

	if got := ada.Get("/admin"); got.StatusCode != http.StatusOK || got.Text != "hello, ada" {
		t.Errorf("an admin gets %d %s", got.StatusCode, got.Text)
	}
	if got := bob.Get("/admin"); got.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer gets %d", got.StatusCode)
	}
	if got := stranger.Get("/admin"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d", got.StatusCode)
	}

	ada.PostForm("/auth/logout", nil)
	if got := ada.Get("/admin"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the logout an admin gets %d", got.StatusCode)
	}
}

func TestSessionsLastADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a day takes no time
		sessions := ginsessiontest.New(t)
		app := routes(sessions)
		ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))

		time.Sleep(ginsession.DefaultMaxAge)
		if got := ada.Get("/admin"); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("a day later an admin gets %d", got.StatusCode)
		}
	})
}
