package rbac_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

// authors has the user id of who wrote a post, by the post's id.
var authors = map[string]string{}

func authorOf(c *gin.Context) (string, error) {
	return authors[c.Param("id")], nil // "" for a post that is not there
}

func ok(c *gin.Context) { c.String(http.StatusOK, "ok") }

// A small magazine: its policy, its routes, and what three users may do there.
func Example() {
	gin.SetMode(gin.TestMode)
	db, done := database()
	defer done()
	sessions, err := ginsession.New(db, ginsession.Config{Keys: []ginsession.Key{"an example key, which nobody must use"}})
	if err != nil {
		log.Fatal(err)
	}
	r := gin.New()
	r.Use(sessions.Load)
	r.POST("/login", sessions.Login)

	policy, err := rbac.NewPolicy(map[string]rbac.Role{
		"reader": {Permissions: []string{"posts:read"}},
		"writer": {Inherits: []string{"reader"}, Permissions: []string{"posts:write"}},
		"admin":  {Inherits: []string{"writer"}, Permissions: []string{"posts:*", "users:*"}},
	})
	if err != nil {
		log.Fatal(err) // every fault of it at once
	}
	r.GET("/desk", policy.RequireRole("writer"), ok)                            // writers and admins
	r.POST("/posts", policy.Require("posts:write"), ok)                         // whoever may write posts: these too
	r.PUT("/posts/:id", policy.RequireOwner("posts:edit", authorOf), ok)        // the author; or an admin, by posts:*
	r.DELETE("/users/:id", policy.RequireAll("users:read", "users:delete"), ok) // admins, by users:*

	for _, role := range []string{"reader", "writer", "admin"} {
		user, err := sessions.Accounts().Create(context.Background(), ginsession.NewUser{
			Username: role, Role: role, Password: "correct horse battery staple",
		})
		if err != nil {
			log.Fatal(err)
		}
		if role == "writer" {
			authors["7"] = user.UserID
		}
		browser := ginsessiontest.NewClient(r)
		browser.PostJSON("/login", gin.H{"username": role, "password": "correct horse battery staple"})
		fmt.Println(role,
			browser.Do("GET", "/desk", "", nil).StatusCode,
			browser.Do("POST", "/posts", "", nil).StatusCode,
			browser.Do("PUT", "/posts/7", "", nil).StatusCode,
			browser.Do("PUT", "/posts/8", "", nil).StatusCode,
			browser.Do("DELETE", "/users/1", "", nil).StatusCode)
	}

	// Without a request.
	fmt.Println(policy.Allows("writer", "posts:read"), policy.Allows("writer", "posts:delete"))
	fmt.Println(policy.Includes("admin", "reader"), policy.Includes("reader", "admin"))
	// Output:
	// reader 403 403 403 403 403
	// writer 200 200 200 403 403
	// admin 200 200 200 200 200
	// true false
	// true false
}

// database makes a database that goes with the example.
func database() (db *gorm.DB, done func()) {
	folder, err := os.MkdirTemp("", "rbac")
	if err != nil {
		log.Fatal(err)
	}
	db, err = modelstest.OpenSQLite(folder + "/example.db")
	if err != nil {
		log.Fatal(err)
	}
	if err := models.Migrate(db); err != nil {
		log.Fatal(err)
	}
	return db, func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
		_ = os.RemoveAll(folder)
	}
}
