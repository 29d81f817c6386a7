// The routes. This is the file to copy from.

package main

import (
	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/browser"
)

func routes(s *site) *gin.Engine {
	r := gin.New()
	r.HandleMethodNotAllowed = true
	// Gin believes every X-Forwarded-For unless told otherwise. Behind a proxy
	// its address goes here. Nil cannot fail.
	_ = r.SetTrustedProxies(nil)
	r.SetHTMLTemplate(templates())

	r.Use(gin.Logger(), gin.Recovery(), s.securityHeaders)
	// Before Load: fetching a stylesheet or a script is no use of the session.
	static(r)
	s.imports(browser.Mount(r.Group("/auth/js")))

	// Load finds the session and refreshes it when that is due. It turns nobody
	// away who is not signed in: the guards below do.
	r.Use(noStore, s.sessions.Load)
	r.NoRoute(s.notFound)

	// login, logout, session, session/refresh, session/reauthenticate, sessions
	s.sessions.Routes(r.Group("/auth"))

	r.GET("/", s.homePage)
	r.GET("/login", s.loginPage)
	r.GET("/react", s.reactPage)
	r.POST("/impersonation/stop", s.stopImpersonating)

	// Pages: whoever is not signed in is sent to /login and comes back.
	pages := r.Group("", ginsession.Require)
	pages.GET("/dashboard", s.dashboardPage)
	pages.GET("/notes", s.notesPage)
	pages.POST("/notes", s.policy.Require("notes:write"), s.noteForm)
	pages.GET("/devices", s.devicesPage)
	pages.GET("/editor", s.policy.RequireRole("editor"), s.editorPage)

	// What a user does himself, and only after he has proved who he is not long
	// ago: whoever has not is asked for his password at /reauthenticate. So are admins.
	own := pages.Group("", ginsession.DenyImpersonated)
	own.GET("/reauthenticate", s.reauthenticatePage)
	fresh := own.Group("", ginsession.RequireFresh(s.fresh, 3*s.fresh))
	fresh.POST("/devices/:id/end", s.sessions.Revoke)
	fresh.POST("/devices/end-others", s.sessions.RevokeOthers)
	fresh.GET("/settings", s.settingsPage)
	fresh.POST("/settings/password", s.passwordForm)

	admin := pages.Group("/admin", s.policy.RequireRole("admin"), ginsession.RequireFresh(s.fresh, 3*s.fresh))
	admin.GET("", toUsers)
	admin.GET("/users", s.usersPage)
	admin.GET("/users/:id", s.userPage)
	admin.POST("/users/:id/role", s.roleForm)
	admin.POST("/users/:id/:action", s.userForm) // disable, enable, end
	admin.POST("/users/:id/sessions/:session/end", s.endSessionForm)
	admin.POST("/users/:id/impersonate", s.policy.Require("users:impersonate"), s.impersonate)
	admin.GET("/events", s.policy.Require("events:read"), s.eventsPage)

	// JSON: 401 without a session, 403 without the role.
	api := r.Group("/api", ginsession.Require)
	api.GET("/me", me)
	api.GET("/clock", s.clock)
	api.POST("/activity", activity)
	api.POST("/sensitive", ginsession.DenyImpersonated, ginsession.RequireFresh(s.fresh), sensitive)
	api.POST("/note", s.policy.Require("notes:write"), s.postNote)
	api.GET("/editor", s.policy.RequireRole("editor"), s.allNotes)
	api.GET("/admin", s.policy.RequireRole("admin"), s.allAccounts)
	return r
}
