// What a user changes about himself, and how he is asked first who he is.

package main

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

func (s *site) settingsPage(c *gin.Context) {
	v := view{Title: "Settings"}
	if c.Query("changed") != "" {
		v.Notice = "Your password is changed. You were signed out on all other devices."
	}
	s.show(c, http.StatusOK, "settings.html", v)
}

// passwordForm changes the password, which ends all sessions but this one.
func (s *site) passwordForm(c *gin.Context) {
	own, _ := ginsession.From(c)
	err := readForm(c)
	if err == nil {
		form := c.Request.PostForm
		err = s.sessions.Accounts().ChangePassword(c.Request.Context(), own.User.UserID, form.Get("current"), form.Get("new"), own.ID)
	}
	var e *ginsession.Error
	switch {
	case err == nil:
		c.Redirect(http.StatusSeeOther, "/settings?changed=1")
	case errors.Is(err, ginsession.ErrCredentialsInvalid):
		s.show(c, http.StatusForbidden, "settings.html", view{Title: "Settings", Message: "The current password is wrong."})
	case errors.As(err, &e) && (e.Code == ginsession.ErrRequestInvalid || e.Code == ginsession.ErrRateLimited):
		s.show(c, e.Code.Status(), "settings.html", view{Title: "Settings", Message: "Not changed. " + e.Message()})
	default:
		ginsession.Refuse(c, err)
	}
}

func (s *site) reauthenticatePage(c *gin.Context) { s.askPassword(c, http.StatusOK, "") }

// askPassword shows the form that goes to /auth/session/reauthenticate, and from
// there to the page that is asked for. A failure keeps that in the address.
func (s *site) askPassword(c *gin.Context, status int, message string) {
	next := c.Query("next")
	if next == "" {
		next = "/dashboard"
	}
	s.show(c, status, "reauthenticate.html", view{Title: "Is it you?", Message: message, Next: next})
}

// readForm reads a form of little size.
func readForm(c *gin.Context) error {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 8<<10)
	err := c.Request.ParseForm()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return ginsession.ErrRequestTooLarge
	}
	if err != nil {
		return ginsession.ErrRequestInvalid
	}
	return nil
}
