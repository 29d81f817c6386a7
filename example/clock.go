// A stream, which ends with the session.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

// clock sends an event "tick" a second, and an event "ended" with the reason when
// the session ends. Nobody asks again who has a stream open: Watch tells.
func (s *site) clock(c *gin.Context) {
	ctx, stop := s.sessions.Watch(c)
	defer stop()
	c.Header("Content-Type", "text/event-stream")
	// The server's timeouts are for answers that end. Here each event has its own.
	out := http.NewResponseController(c.Writer)
	_ = out.SetReadDeadline(time.Time{})
	send := func(event string, data any) error {
		_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		text, err := json.Marshal(data)
		if err == nil {
			_, err = fmt.Fprintf(c.Writer, "event: %s\ndata: %s\n\n", event, text)
		}
		return errors.Join(err, out.Flush())
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := time.Now(); ; {
		if err := send("tick", now.UTC()); err != nil {
			return
		}
		select {
		case now = <-tick.C:
		case <-s.stopping: // the browser comes back to the next process
			return
		case <-ctx.Done():
			var why *ginsession.Error
			if errors.As(context.Cause(ctx), &why) {
				_ = send("ended", gin.H{"code": why.Code, "reason": why.Reason})
			}
			return
		}
	}
}
