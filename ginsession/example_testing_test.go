// Story: the tests of an application's routes.

package ginsession_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/rbac"
)

// shopRoutes is the application under test.
func shopRoutes(sessions *ginsession.Manager) *gin.Engine {
	r := gin.New()
	r.Use(sessions.Load)
	r.GET("/orders", rbac.RequireRole("clerk"), func(c *gin.Context) { c.Status(http.StatusOK) })
	return r
}

// In an application this is a test: func TestOrders(t *testing.T). See the
// documentation of package ginsessiontest for one that is complete.
func Example_testing() {
	testOrders := func(t testing.TB) {
		sessions := ginsessiontest.New(t) // on a database in memory
		app := shopRoutes(sessions)
		user := ginsessiontest.AddUser(t, sessions, "ada", "clerk")
		clerk := ginsessiontest.LoginAs(t, app, sessions, user)
		stranger := ginsessiontest.NewClient(app)

		if got := clerk.Get("/orders").StatusCode; got != http.StatusOK {
			t.Errorf("a clerk gets %d", got)
		}
		if got := stranger.Get("/orders").StatusCode; got != http.StatusUnauthorized {
			t.Errorf("a stranger gets %d", got)
		}
		if err := sessions.Accounts().SetRole(t.Context(), user.UserID, "customer"); err != nil {
			t.Fatal(err)
		}
		if got := clerk.Get("/orders").StatusCode; got != http.StatusForbidden {
			t.Errorf("who was a clerk gets %d", got)
		}
	}
	exampleTest(testOrders)
	// Output: PASS
}
