// The one door out for requests that are turned away.

package ginsession

import (
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// RefuseFunc writes the answer to a request that is turned away.
type RefuseFunc func(c *gin.Context, err *Error)

// Refuse turns the request away: it ends the chain and answers with the status
// and the code of err, which is an *[Error] or a [Code]; any other error, and nil, is
// a mistake in the program, answered 500 and logged. A browser that asks for a
// page without being signed in is sent to Config.LoginURL, if that is set; every
// other answer is written by Config.Refuse, or else by [WriteError].
func Refuse(c *gin.Context, err error) {
	if v := visitOf(c); v != nil {
		v.m.refuse(c, stamp(err, v.now()))
		return
	}
	e := stamp(err, time.Now().UTC().Truncate(time.Millisecond))
	logRefusal(c, slog.Default(), e)
	c.Abort()
	WriteError(c, e)
}

func (m *Manager) refuse(c *gin.Context, e *Error) {
	if e.Time.IsZero() {
		e.Time = m.now()
	}
	m.tellRefusal(c, e)
	c.Abort()
	switch {
	case m.cfg.LoginURL != "" && e.asksForSession() && navigates(c.Request):
		c.Header("Cache-Control", "no-store")
		c.Redirect(http.StatusSeeOther, m.loginPage(c.Request.URL.RequestURI(), e))
	case m.cfg.Refuse != nil:
		m.cfg.Refuse(c, e)
	default:
		WriteError(c, e)
	}
}

// WriteError writes the standard answer to err: its status and a JSON body with
// code, message and timestamp.
func WriteError(c *gin.Context, err *Error) {
	type body struct {
		Code      Code      `json:"code"`
		Message   string    `json:"message"`
		Timestamp time.Time `json:"timestamp"`
		EndReason Reason    `json:"endReason,omitempty"`
	}
	status := err.Code.Status()
	if status == http.StatusUnauthorized {
		// RFC 9110 section 15.5.2 demands the field. No scheme is registered for
		// cookies, and Basic would open the browser's own dialog.
		c.Header("WWW-Authenticate", "Session")
	}
	if err.RetryAfter > 0 {
		c.Header("Retry-After", wholeSeconds(err.RetryAfter))
	}
	writeJSON(c, status, gin.H{"error": body{err.Code, err.Message(), err.Time, err.Reason}})
}

func wholeSeconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// writeJSON is how every body of this package is sent.
func writeJSON(c *gin.Context, status int, body any) {
	c.Header("Content-Type", "application/json; charset=utf-8") // also where a middleware has set another
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cross-Origin-Resource-Policy", "same-origin")
	c.Header("Cache-Control", "no-store")
	c.JSON(status, body)
}

// tellRefusal tells of a request that is turned away. That nobody is signed in, or
// that something is not written as it should be, is no event.
func (m *Manager) tellRefusal(c *gin.Context, e *Error) {
	event := func(kind string) models.Event {
		var who name
		if v := m.visitOf(c); v != nil {
			who = v.name()
		}
		told := m.clientOf(c).event(kind, who.session, who.user, Reason(e.Code), e.Time)
		told.Detail = printable(c.Request.Method+" "+c.FullPath(), 255)
		if e.Err != nil {
			told.Detail = printable(told.Detail+": "+e.Err.Error(), 255)
		}
		return told
	}
	ctx := c.Request.Context()
	switch {
	case e.Code == ErrCrossOrigin:
		m.tell(ctx, event(eventCrossOrigin))
	case e.Code == ErrRateLimited:
		m.tell(ctx, event(eventRateLimited))
	case e.Code.Status() == http.StatusForbidden:
		m.record(ctx, event(eventDenied))
	case e.Code == ErrStoreUnavailable && ctx.Err() == nil: // or else the client hung up
		m.tell(ctx, event(eventUnavailable))
	default:
		logRefusal(c, m.cfg.Logger, e)
	}
}

// logRefusal logs what the operator must see to. What a client did wrong is
// no error of the server, and neither is that he hung up.
func logRefusal(c *gin.Context, log *slog.Logger, e *Error) {
	if e.Code.Status() < http.StatusInternalServerError {
		return
	}
	level := slog.LevelError
	if c.Request.Context().Err() != nil {
		level = slog.LevelInfo
	}
	log.Log(c.Request.Context(), level, e.Error(), "method", c.Request.Method, "route", c.FullPath())
}

// asksForSession reports whether signing in may help.
func (e *Error) asksForSession() bool {
	return e.Code.Status() == http.StatusUnauthorized && e.Code != ErrCredentialsInvalid
}

// navigates reports whether a browser asks for a page to show.
func navigates(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// loginPage is the address of the sign-in page, with the page to go to after it
// and what went wrong: its code, and how many seconds to wait. Not being signed in is
// nothing wrong.
func (m *Manager) loginPage(next string, why *Error) string {
	page, err := url.Parse(m.cfg.LoginURL)
	if err != nil {
		return "/" // not reached: New has refused such a setting
	}
	query := page.Query()
	if why.Code != ErrSessionNotFound {
		query.Set("error", string(why.Code))
	}
	if why.RetryAfter > 0 {
		query.Set("retryAfter", wholeSeconds(why.RetryAfter))
	}
	if next = localPath(next); next != "" {
		query.Set("next", next)
	}
	page.RawQuery = query.Encode()
	return page.String()
}

// localPath returns path if it leads to a page of this site, whatever a browser
// makes of it, and otherwise nothing. Browsers take "//host", "/\host" and
// "/\t/host" for other sites.
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return ""
	}
	for _, form := range []string{path, u.Path} { // as it is sent, and decoded
		switch {
		case !strings.HasPrefix(form, "/"), strings.HasPrefix(form, "//"):
			return ""
		case strings.ContainsFunc(form, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }):
			return ""
		}
	}
	if strings.Contains(path, " ") {
		return ""
	}
	return path
}
