// What is answered to those who are turned away, in words for people.

package main

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

// refuse is the Config.Refuse of the example: a browser gets a page, everybody
// else the standard JSON. Whoever asks for a page without being signed in does
// not come here: Config.LoginURL has sent him to the form.
func refuse(c *gin.Context, err *ginsession.Error) {
	if !wantsPage(c) {
		ginsession.WriteError(c, err)
		return
	}
	status := err.Code.Status()
	if status == http.StatusUnauthorized { // he sent a form, after his session had ended
		c.Redirect(http.StatusSeeOther, "/login?error="+string(err.Code))
		return
	}
	if err.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(err.RetryAfter.Seconds()))))
	}
	show(c, status, "error.html", view{Title: http.StatusText(status), Message: err.Message()})
}

// wantsPage reports whether a browser asks for something to show.
func wantsPage(c *gin.Context) bool {
	return strings.Contains(c.GetHeader("Accept"), "text/html")
}
