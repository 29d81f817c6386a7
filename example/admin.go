// The accounts, as an admin sees and changes them.

package main

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

// account is who may sign in, without what nobody is to see.
type account struct {
	ginsession.Identity
	Disabled bool `json:"disabled"`
}

// accounts returns the first hundred by name, or those with some ids.
func (s *site) accounts(ctx context.Context, ids ...models.Exact) ([]account, error) {
	query := s.db.WithContext(ctx).
		Select("id", "username", "email", "role", "last_login", "disabled_at").
		Order("username")
	if ids == nil {
		query = query.Limit(100)
	} else {
		query = query.Where("id IN ?", ids)
	}
	var users []models.User
	err := query.Find(&users).Error
	list := make([]account, len(users))
	for i, u := range users {
		list[i] = account{ginsession.Identity{
			UserID:    string(u.ID),
			Username:  u.Username,
			Email:     u.Email,
			Role:      u.Role,
			LastLogin: u.LastLogin.Time(),
		}, !u.DisabledAt.IsZero()}
	}
	return list, unavailable(err)
}

func toUsers(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/admin/users") }

func (s *site) usersPage(c *gin.Context) {
	list, err := s.accounts(c.Request.Context())
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	s.show(c, http.StatusOK, "users.html", view{Title: "Users", Accounts: list, Roles: roleNames()})
}

// userPage shows where a user is and was signed in.
func (s *site) userPage(c *gin.Context) {
	ctx, id := c.Request.Context(), c.Param("id")
	list, err := s.accounts(ctx, models.Exact(id))
	if err == nil && len(list) == 0 {
		err = ginsession.ErrUserNotFound
	}
	var sessions []ginsession.Session
	if err == nil {
		sessions, err = s.sessions.Sessions(ctx, id, ginsession.Page{Ended: true})
	}
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	s.show(c, http.StatusOK, "user.html", view{Title: "Devices of " + list[0].Username, Account: list[0], Sessions: sessions})
}

// roleForm gives a user another role, which counts for his very next request.
func (s *site) roleForm(c *gin.Context) {
	err := readForm(c)
	role := c.Request.PostForm.Get("role")
	if err == nil && !isRole(role) {
		err = invalid("role: must be one of the roles there are")
	}
	if err == nil {
		err = s.notOneself(c)
	}
	if err == nil {
		err = s.sessions.Accounts().SetRole(c.Request.Context(), c.Param("id"), role)
	}
	done(c, err, "/admin/users")
}

// userForm does what the address says to a user.
func (s *site) userForm(c *gin.Context) {
	ctx, id := c.Request.Context(), c.Param("id")
	err, next := s.notOneself(c), "/admin/users"
	switch action := c.Param("action"); {
	case err != nil:
	case action == "disable":
		err = s.sessions.Accounts().Disable(ctx, id)
	case action == "enable":
		err = s.sessions.Accounts().Enable(ctx, id)
	case action == "end":
		_, err = s.sessions.RevokeUser(ctx, id)
		next += "/" + id
	default:
		s.notFound(c)
		return
	}
	done(c, err, next)
}

// endSessionForm ends one session of a user.
func (s *site) endSessionForm(c *gin.Context) {
	done(c, s.sessions.RevokeSession(c.Request.Context(), c.Param("session"), ""), "/admin/users/"+c.Param("id"))
}

// impersonate signs the admin in as a user. Every page says so, until he stops.
func (s *site) impersonate(c *gin.Context) {
	_, err := s.sessions.Impersonate(c, c.Param("id"))
	done(c, err, "/dashboard")
}

func (s *site) stopImpersonating(c *gin.Context) {
	_, err := s.sessions.StopImpersonating(c)
	done(c, err, "/admin/users")
}

// notOneself keeps an admin from shutting himself out.
func (s *site) notOneself(c *gin.Context) error {
	if own, _ := ginsession.From(c); own.User.UserID == c.Param("id") {
		return invalid("You cannot do this to yourself.")
	}
	return nil
}

// done ends a form: with another page, or with what went wrong.
func done(c *gin.Context, err error, next string) {
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, next)
}
