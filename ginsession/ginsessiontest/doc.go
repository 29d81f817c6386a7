// Package ginsessiontest helps to test applications that use ginsession: [New] makes
// a manager on a database in memory, [LoginAs] a client that is signed in to it, and
// [NewClient] one that is not. A [Client] keeps cookies as a browser does. There is
// no server and no network, and everything works in a bubble of testing/synctest, in
// which a session runs out as fast as the test can sleep.
//
// A complete test of a guarded route:
//
//	package shop_test
//
//	import (
//		"net/http"
//		"testing"
//		"testing/synctest"
//		"time"
//
//		"github.com/gin-gonic/gin"
//
//		"github.com/ginsession/gin-session/ginsession"
//		"github.com/ginsession/gin-session/ginsession/ginsessiontest"
//		"github.com/ginsession/gin-session/rbac"
//	)
//
//	// routes is what the application under test has somewhere.
//	func routes(sessions *ginsession.Manager) *gin.Engine {
//		r := gin.New()
//		r.Use(sessions.Load)
//		sessions.Routes(r.Group("/auth"))
//		r.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) {
//			s, _ := ginsession.From(c)
//			c.String(http.StatusOK, "hello, %s", s.User.Username)
//		})
//		return r
//	}
//
//	func TestAdminsOnly(t *testing.T) {
//		sessions := ginsessiontest.New(t)
//		app := routes(sessions)
//		ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
//		bob := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "bob", "viewer"))
//		stranger := ginsessiontest.NewClient(app)
//
//		if got := ada.Get("/admin"); got.StatusCode != http.StatusOK || got.Text != "hello, ada" {
//			t.Errorf("an admin gets %d %s", got.StatusCode, got.Text)
//		}
//		if got := bob.Get("/admin"); got.StatusCode != http.StatusForbidden {
//			t.Errorf("a viewer gets %d", got.StatusCode)
//		}
//		if got := stranger.Get("/admin"); got.StatusCode != http.StatusUnauthorized {
//			t.Errorf("a stranger gets %d", got.StatusCode)
//		}
//
//		ada.PostForm("/auth/logout", nil)
//		if got := ada.Get("/admin"); got.StatusCode != http.StatusUnauthorized {
//			t.Errorf("after the logout an admin gets %d", got.StatusCode)
//		}
//	}
//
//	func TestSessionsLastADay(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) { // a day takes no time
//			sessions := ginsessiontest.New(t)
//			app := routes(sessions)
//			ada := ginsessiontest.LoginAs(t, app, sessions, ginsessiontest.AddUser(t, sessions, "ada", "admin"))
//
//			time.Sleep(ginsession.DefaultMaxAge)
//			if got := ada.Get("/admin"); got.StatusCode != http.StatusUnauthorized {
//				t.Errorf("a day later an admin gets %d", got.StatusCode)
//			}
//		})
//	}
//
// A test that needs [ginsession.Manager.Run], such as one of memory or of Watch, calls
// it as the application does, and ends it before the bubble does:
//
//	ctx, stop := context.WithCancel(t.Context())
//	defer stop()
//	go sessions.Run(ctx)
//
// An application that opens its own database in the test passes its own manager to
// LoginAs. [New] brings the SQLite driver of GORM into the test's program: with cgo
// that of mattn/go-sqlite3, without it modernc.org/sqlite.
package ginsessiontest
