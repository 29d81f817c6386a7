// Story: several nodes, which share nothing but the database and the keys.

package ginsession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

// nodesCluster is some nodes of one application.
type nodesCluster struct {
	db     *gorm.DB
	nodes  sync.WaitGroup
	stream chan string // what a stream tells
}

// node starts one, with upkeep of its own that ends with ctx.
func (cl *nodesCluster) node(ctx context.Context) (*ginsession.Manager, *gin.Engine) {
	sessions, err := ginsession.New(cl.db, ginsession.Config{
		Keys:      []ginsession.Key{"an example key, which nobody must use"}, // the same on all nodes
		SyncEvery: 10 * time.Millisecond,                                     // a second is mostly soon enough
	})
	must(err)
	cl.nodes.Go(func() { must(sessions.Run(ctx)) })

	r := gin.New()
	r.Use(sessions.Load)
	sessions.Routes(r)
	r.GET("/me", ginsession.Require, func(c *gin.Context) { c.Status(http.StatusOK) })
	r.GET("/stream", ginsession.Require, func(c *gin.Context) {
		watched, done := sessions.Watch(c)
		defer done()
		cl.stream <- "open"
		<-watched.Done()
		var over *ginsession.Error
		errors.As(context.Cause(watched), &over)
		cl.stream <- "closed: " + string(over.Reason)
	})
	return sessions, r
}

// Whoever signs out on one node is signed out on all.
func Example_nodes() {
	db, done := exampleDB()
	defer done()
	must(models.Migrate(db))
	cl := &nodesCluster{db: db, stream: make(chan string)}
	ctx, stop := context.WithCancel(context.Background())
	defer cl.nodes.Wait() // before the database is closed
	defer stop()
	sessions, one := cl.node(ctx)
	_, other := cl.node(ctx)
	exampleUser(sessions, "ada", "viewer")

	onOne, onOther := ginsessiontest.NewClient(one), ginsessiontest.NewClient(other)
	onOne.PostJSON("/login", gin.H{"username": "ada", "password": "correct horse battery"})
	onOther.Header.Set("Cookie", "__Host-session="+onOne.Cookie("__Host-session")) // kept, whatever the answers say
	fmt.Println(onOther.Get("/me").StatusCode)

	streaming := ginsessiontest.NewClient(other)
	streaming.Header = onOther.Header
	cl.nodes.Go(func() { streaming.Get("/stream") })
	fmt.Println(<-cl.stream)

	onOne.PostJSON("/logout", nil)
	fmt.Println(<-cl.stream) // the other node has heard of it
	fmt.Println(onOther.Get("/me").StatusCode)
	// Output:
	// 200
	// open
	// closed: logout
	// 401
}
