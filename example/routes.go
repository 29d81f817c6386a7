// The routes. This is the file to copy from.

package main

import (
	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/rbac"
)

// site is what the handlers work with.
type site struct {
	sessions *ginsession.Manager
	db       *gorm.DB
}

func routes(s *site) *gin.Engine {
	r := gin.New()
	r.HandleMethodNotAllowed = true
	// Gin believes every X-Forwarded-For unless told otherwise. Behind a proxy
	// its address goes here. Nil cannot fail.
	_ = r.SetTrustedProxies(nil)
	r.SetHTMLTemplate(templates())

	r.Use(gin.Logger(), gin.Recovery(), securityHeaders)
	static(r) // before Load: fetching a stylesheet is no use of the session

	// Load finds the session and refreshes it when that is due. It turns nobody
	// away who is not signed in: the guards below do.
	r.Use(noStore, s.sessions.Load)
	r.NoRoute(notFound)

	// login, logout, session, session/refresh
	s.sessions.Routes(r.Group("/auth"))

	// Pages: whoever is not signed in is sent to /login and comes back.
	r.GET("/", home)
	r.GET("/login", s.loginPage)
	r.GET("/dashboard", ginsession.Require, s.dashboardPage)
	r.POST("/dashboard", ginsession.Require, s.noteForm)
	r.GET("/editor", rbac.RequireRole("editor", "admin"), s.editorPage)
	r.GET("/admin", rbac.RequireRole("admin"), s.adminPage)

	// JSON: 401 without a session, 403 without the role.
	api := r.Group("/api", ginsession.Require)
	api.GET("/me", me)
	api.POST("/note", s.postNote)
	api.GET("/editor", rbac.RequireRole("editor", "admin"), s.allNotes)
	api.GET("/admin", rbac.RequireRole("admin"), s.allAccounts)

	return r
}
