// Story: server-sent events that stop when the session ends.

package ginsession_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
)

// priceStream is a stream of prices to whoever is signed in.
func priceStream(sessions *ginsession.Manager, prices <-chan string) gin.HandlerFunc {
	return func(c *gin.Context) {
		watched, done := sessions.Watch(c)
		defer done()
		for {
			select {
			case price := <-prices:
				c.SSEvent("price", price)
				c.Writer.Flush()
			case <-watched.Done():
				var over *ginsession.Error // or else the browser has gone
				if errors.As(context.Cause(watched), &over) {
					c.SSEvent("over", over.Reason)
				}
				return
			}
		}
	}
}

// A stream is told when its session ends, here because an admin revokes it.
func ExampleManager_Watch() {
	sessions, done := exampleSessions()
	defer done()
	ada := exampleUser(sessions, "ada", "viewer")
	prices := make(chan string)
	r := gin.New()
	r.Use(sessions.Load)
	r.POST("/login", sessions.Login)
	r.GET("/prices", ginsession.Require, priceStream(sessions, prices))

	browser := ginsessiontest.NewClient(r)
	browser.PostJSON("/login", gin.H{"username": "ada", "password": "correct horse battery"})
	read := make(chan string)
	go func() { read <- browser.Get("/prices").Text }()
	prices <- "42"
	prices <- "43"

	ended, err := sessions.RevokeUser(context.Background(), ada.UserID)
	fmt.Println(ended, err)
	fmt.Print(<-read)
	// Output:
	// 1 <nil>
	// event:price
	// data:42
	//
	// event:price
	// data:43
	//
	// event:over
	// data:revoked
}
