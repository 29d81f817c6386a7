// Story: the smallest application, and what it answers.

package ginsession_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/rbac"
)

// smallestRoutes are all that the smallest application has.
func smallestRoutes(sessions *ginsession.Manager) *gin.Engine {
	r := gin.New()
	r.Use(sessions.Load)
	sessions.Routes(r.Group("/auth")) // login, logout, session and more
	r.GET("/me", ginsession.Require, func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.String(http.StatusOK, "hello, %s", s.User.Username)
	})
	r.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) { c.String(http.StatusOK, "hello, admin") })
	return r
}

// A stranger, a user who signs in, what he may not see, and the end of it.
func Example_smallest() {
	sessions, done := exampleSessions()
	defer done()
	_, err := sessions.Accounts().Create(context.Background(), ginsession.NewUser{
		Username: "ada", Role: "viewer", Password: "correct horse battery",
	})
	must(err)
	app := smallestRoutes(sessions)

	browser := ginsessiontest.NewClient(app)
	show := func(r ginsessiontest.Response) { fmt.Println(r.Request.URL.Path, r.StatusCode) }
	show(browser.Get("/me"))
	show(browser.PostJSON("/auth/login", gin.H{"username": "ada", "password": "correct horse battery"}))
	fmt.Println(browser.Get("/me").Text)
	show(browser.Get("/admin"))
	show(browser.PostJSON("/auth/logout", nil))
	show(browser.Get("/me"))
	// Output:
	// /me 401
	// /auth/login 200
	// hello, ada
	// /admin 403
	// /auth/logout 200
	// /me 401
}
