// What is answered to those who are turned away, in words for people.

package main

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

// refuse is the Config.Refuse of the example: a browser gets a page, everybody
// else the standard JSON. Whoever asks for a page without being signed in does
// not come here: Config.LoginURL has sent him to the form.
func (s *site) refuse(c *gin.Context, err *ginsession.Error) {
	if !wantsPage(c) {
		ginsession.WriteError(c, err)
		return
	}
	if err.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(err.RetryAfter.Seconds()))))
	}
	status := err.Code.Status()
	_, signedIn := ginsession.From(c)
	switch {
	case err.Code == ginsession.ErrReauthRequired:
		c.Redirect(http.StatusSeeOther, "/reauthenticate?"+url.Values{"next": {comesFrom(c)}}.Encode())
	case signedIn && c.FullPath() == "/auth/session/reauthenticate" && status != http.StatusForbidden && status < 500:
		s.askPassword(c, status, err.Message())
	case status == http.StatusUnauthorized: // he sent a form, after his session had ended
		c.Redirect(http.StatusSeeOther, "/login?error="+string(err.Code))
	default:
		s.show(c, status, "error.html", view{Title: http.StatusText(status), Message: err.Message()})
	}
}

// wantsPage reports whether a browser asks for something to show.
func wantsPage(c *gin.Context) bool {
	return strings.Contains(c.GetHeader("Accept"), "text/html")
}

// comesFrom is the page that was asked for, or the one with the form that was sent.
func comesFrom(c *gin.Context) string {
	if c.Request.Method == http.MethodGet {
		return c.Request.URL.RequestURI()
	}
	from, err := url.Parse(c.Request.Referer())
	if err != nil || from.Host != c.Request.Host {
		return "/dashboard"
	}
	return from.RequestURI()
}
