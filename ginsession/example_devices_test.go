// Story: a user looks at his devices, and signs out the one that he has lost.

package ginsession_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
)

// deviceRoutes are the routes of it. To sign a device out, the password must have been
// given within the last ten minutes: whoever finds an open browser cannot do so.
func deviceRoutes(sessions *ginsession.Manager) *gin.Engine {
	r := gin.New()
	r.Use(sessions.Load)
	r.POST("/login", sessions.Login)
	r.POST("/reauthenticate", sessions.Reauthenticate)
	r.GET("/devices", sessions.List)
	fresh := r.Group("/", ginsession.RequireFresh(10*time.Minute))
	fresh.DELETE("/devices/:id", sessions.Revoke)
	fresh.DELETE("/devices", sessions.RevokeOthers)
	r.GET("/me", ginsession.Require, func(c *gin.Context) { c.Status(http.StatusOK) })
	return r
}

// List, RequireFresh, Reauthenticate and Revoke.
func Example_devices() {
	now := time.Now()
	sessions, done := exampleSessions(func(cfg *ginsession.Config) { cfg.Now = func() time.Time { return now } })
	defer done()
	exampleUser(sessions, "ada", "viewer")
	app := deviceRoutes(sessions)
	signIn := func(device string) *ginsessiontest.Client {
		browser := ginsessiontest.NewClient(app)
		browser.Header.Set("User-Agent", device)
		browser.PostJSON("/login", gin.H{"username": "ada", "password": "correct horse battery"})
		return browser
	}
	phone := signIn("phone")
	now = now.Add(time.Hour)
	laptop := signIn("laptop")

	now = now.Add(time.Hour)
	var list struct {
		Sessions []struct {
			ID        string
			UserAgent string
			Current   bool
		}
	}
	must(json.Unmarshal([]byte(laptop.Get("/devices").Text), &list))
	for _, s := range list.Sessions { // those used last come first
		fmt.Println(s.UserAgent, s.Current)
	}
	lost := "/devices/" + list.Sessions[1].ID

	fmt.Println(laptop.Do("DELETE", lost, "", nil).StatusCode) // signed in an hour ago
	fmt.Println(laptop.PostJSON("/reauthenticate", gin.H{"password": "correct horse battery"}).StatusCode)
	fmt.Println(laptop.Do("DELETE", lost, "", nil).Text)
	fmt.Println(phone.Get("/me").StatusCode, laptop.Get("/me").StatusCode)
	// Output:
	// laptop true
	// phone false
	// 403
	// 200
	// {"ended":1}
	// 401 200
}
