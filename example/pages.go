// The pages, rendered on the server.

package main

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

//go:embed templates static
var files embed.FS

// templates parses the pages; a mistake in one ends the program at its start.
func templates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"seconds": inWords,
		"stamp":   func(t time.Time) string { return t.Format(time.RFC3339) },
		"moment":  func(t time.Time) string { return t.Format("2 Jan 2006, 15:04:05 UTC") },
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

func static(r gin.IRoutes) {
	r.StaticFileFS("/static/style.css", "static/style.css", http.FS(files))
	r.StaticFileFS("/static/icon.svg", "static/icon.svg", http.FS(files))
}

// view is what a template shows. Every page has a title; the rest is filled by
// the pages that show it.
type view struct {
	Title   string
	Path    string               // marks the page in the navigation
	User    *ginsession.Identity // nil: nobody is signed in
	Message string               // what went wrong
	Next    string               // where to go after signing in

	Status   ginsession.Status
	Notes    []note
	Draft    string // a note that was not accepted
	Accounts []ginsession.Identity
}

// show renders a page for whoever is signed in.
func show(c *gin.Context, status int, page string, v view) {
	v.Path = c.Request.URL.Path
	if session, ok := ginsession.From(c); ok {
		v.User = &session.User
	}
	c.HTML(status, page, v)
}

func home(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/dashboard") }

// loginPage shows the form, which is sent to /auth/login. From there a failure
// comes back with its code.
func (s *site) loginPage(c *gin.Context) {
	code := ginsession.Code(c.Query("error"))
	if _, ok := ginsession.From(c); ok && code == "" {
		home(c)
		return
	}
	v := view{Title: "Sign in", Next: c.Query("next")}
	if code != "" { // which may be anything: it comes from the address bar
		v.Message = code.Message()
	}
	show(c, http.StatusOK, "login.html", v)
}

func (s *site) dashboardPage(c *gin.Context) { s.dashboard(c, http.StatusOK, "", "") }

// dashboard shows the session and the user's notes, with what is wrong about a
// note that was just sent.
func (s *site) dashboard(c *gin.Context, status int, message, draft string) {
	session, _ := ginsession.From(c)
	now, err := s.sessions.Check(c)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	notes, err := s.notesOf(c.Request.Context(), session.User.UserID)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	show(c, status, "dashboard.html", view{Title: "Your session", Status: now, Notes: notes, Message: message, Draft: draft})
}

// noteForm takes a note from the dashboard.
func (s *site) noteForm(c *gin.Context) {
	text, err := readNote(c)
	if errors.Is(err, ginsession.ErrRequestInvalid) {
		s.dashboard(c, http.StatusBadRequest, "The note "+noteRule+".", text)
		return
	}
	if err == nil {
		_, err = s.addNote(c.Request.Context(), text)
	}
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/dashboard#notes")
}

func (s *site) editorPage(c *gin.Context) {
	notes, err := s.notesOf(c.Request.Context(), everybody)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	show(c, http.StatusOK, "editor.html", view{Title: "Editor", Notes: notes})
}

func (s *site) adminPage(c *gin.Context) {
	accounts, err := s.accounts(c.Request.Context())
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	show(c, http.StatusOK, "admin.html", view{Title: "Admin", Accounts: accounts})
}

// notFound leaves everything but a browser to Gin's own plain answer.
func notFound(c *gin.Context) {
	if wantsPage(c) {
		show(c, http.StatusNotFound, "error.html", view{Title: "Not found", Message: "There is no such page."})
	}
}
