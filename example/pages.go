// The pages, rendered on the server.

package main

import (
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/browser"
)

// templates parses the pages; a mistake in one ends the program at its start.
func templates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"seconds": inWords,
		"stamp":   func(t time.Time) string { return t.Format(time.RFC3339) },
		"moment":  func(t time.Time) string { return t.Format("2 Jan 2006, 15:04:05 UTC") },
		"device":  deviceInWords,
		"ended":   endInWords,
	}).ParseFS(files, "templates/*.html"))
}

// inWords writes a time in seconds: 59m59s, or 29 days 23h59m59s.
func inWords(seconds int64) string {
	const day = 24 * time.Hour
	d := time.Duration(seconds) * time.Second
	if d < 2*day {
		return d.String()
	}
	return fmt.Sprintf("%d days %v", d/day, d%day)
}

// view is what a template shows. Every page has what show fills in, and a title;
// the rest is filled by the pages that show it.
type view struct {
	Title string

	Path      string               // marks the page in the navigation
	User      *ginsession.Identity // nil: nobody is signed in
	Actor     *ginsession.Identity // who is signed in as User, where that is another
	Editor    bool                 // the user may see the editor's page
	Admin     bool                 // and the admin's
	Lab       bool                 // the program runs for development
	State     template.HTML        // for the script: who is signed in
	ImportMap template.HTML
	Warn      int // seconds before its end that a session says so

	Message string // what went wrong
	Notice  string // what went well
	Next    string // where to go after signing in
	Wait    int    // seconds until it may be tried again

	Status   ginsession.Status
	Own      string // id of the session of the request
	Notes    []note
	Draft    string // a note that was not accepted
	Accounts []account
	Account  account
	Roles    []string
	Sessions []ginsession.Session
	Events   []event
	Kinds    []string
	Kind     string
}

// show renders a page for whoever is signed in.
func (s *site) show(c *gin.Context, status int, page string, v view) {
	v.Path = c.Request.URL.Path
	if session, ok := ginsession.From(c); ok {
		v.User, v.Own = &session.User, session.ID
		if session.Actor.UserID != "" {
			v.Actor = &session.Actor
		}
		v.Editor = s.policy.Includes(session.User.Role, "editor")
		v.Admin = s.policy.Includes(session.User.Role, "admin")
	}
	v.Lab = gin.Mode() != gin.ReleaseMode
	v.State = browser.State(c, s.sessions)
	v.ImportMap = template.HTML(`<script type="importmap">` + s.importMap + `</script>`) //nolint:gosec // our own
	v.Warn = int(s.warn / time.Second)
	c.HTML(status, page, v)
}

// homePage is for everybody.
func (s *site) homePage(c *gin.Context) {
	s.show(c, http.StatusOK, "home.html", view{Title: "Sessions you can watch"})
}

// loginPage shows the form, which is sent to /auth/login. From there a failure
// comes back with its code.
func (s *site) loginPage(c *gin.Context) {
	code := ginsession.Code(c.Query("error"))
	status, err := s.sessions.Check(c)
	v := view{Title: "Sign in", Next: localPath(c.Query("next"))}
	if err == nil && status.IsAuthenticated && code == "" {
		c.Redirect(http.StatusSeeOther, v.Next)
		return
	}
	if status.Reason != nil && (code == "" || code == *status.Reason) {
		v.Message = endInWords(status.EndReason) // the cookie of a session that has ended knows most
	}
	switch {
	case v.Message != "" || code == "":
	case code == ginsession.ErrRateLimited:
		v.Message = "Too many attempts. Each further failure makes the wait longer."
		v.Wait, _ = strconv.Atoi(c.Query("retryAfter")) // of anything else it is 0
		v.Wait = min(v.Wait, 3600)                      // the longest there is, whatever the address bar says
	default: // which may be anything: it comes from the address bar
		v.Message = code.Message()
	}
	s.show(c, http.StatusOK, "login.html", v)
}

// localPath returns next if it is a path on this site, and the dashboard otherwise.
func localPath(next string) string {
	outside := !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//")
	if odd := func(r rune) bool { return r == '\\' || unicode.IsControl(r) }; outside || strings.ContainsFunc(next, odd) {
		return "/dashboard"
	}
	return next
}

// endInWords tells a user why his session has ended.
func endInWords(reason ginsession.Reason) string {
	switch reason {
	case ginsession.ReasonLogout:
		return "You have signed out."
	case ginsession.ReasonExpired, ginsession.ReasonIdle:
		return "You were signed out because the session was not used for a while."
	case ginsession.ReasonAbsolute:
		return "The session has reached its greatest age. Please sign in again."
	case ginsession.ReasonPassword:
		return "You were signed out because the password was changed."
	case ginsession.ReasonDisabled:
		return "You were signed out because the account was disabled."
	case ginsession.ReasonRevoked:
		return "You were signed out from another device."
	case ginsession.ReasonAdmin:
		return "You were signed out by an admin."
	case ginsession.ReasonLimit:
		return "You were signed out because you have signed in on too many devices."
	case ginsession.ReasonReuse:
		return "You were signed out because an old copy of your cookie was used. If that was not you, change your password."
	default:
		return ""
	}
}

// dashboardPage shows the session three ways: here, as JSON and as the script knows it.
func (s *site) dashboardPage(c *gin.Context) {
	status, err := s.sessions.Check(c)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	s.show(c, http.StatusOK, "dashboard.html", view{Title: "Your session", Status: status})
}

func (s *site) editorPage(c *gin.Context) {
	notes, err := s.notesOf(c.Request.Context(), everybody)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	s.show(c, http.StatusOK, "editor.html", view{Title: "Editor", Notes: notes})
}

// reactPage is for everybody: what it shows to whom is up to its script.
func (s *site) reactPage(c *gin.Context) {
	s.show(c, http.StatusOK, "react.html", view{Title: "React"})
}

// notFound leaves everything but a browser to Gin's own plain answer.
func (s *site) notFound(c *gin.Context) {
	if wantsPage(c) {
		s.show(c, http.StatusNotFound, "error.html", view{Title: "Not found", Message: "There is no such page."})
	}
}
