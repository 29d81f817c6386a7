// The audit trail.

package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

// event is one, with names for the ids of users.
type event struct {
	models.Event
	User, ActorName string
}

// eventKinds are those that the table may have.
func eventKinds() []string {
	return []string{
		"authn_login_newdevice", "authn_login_fail", "authn_login_fail_max", "authn_login_lock",
		"authn_password_change", "authn_password_change_fail", "authn_token_reuse", "authn_token_revoked",
		"authz_change", "authz_fail", "excess_sessions_exceeded",
		"session_created", "session_renewed", "session_expired", "session_logout",
		"user_created", "user_updated", "user_deleted",
	}
}

// eventsPage shows the last hundred, of one kind if the address names one.
func (s *site) eventsPage(c *gin.Context) {
	ctx := c.Request.Context()
	query := s.db.WithContext(ctx).Order("id DESC").Limit(100)
	kind := c.Query("kind")
	if kind != "" {
		query = query.Where("name = ?", kind)
	}
	var rows []models.Event
	err := unavailable(query.Find(&rows).Error)
	ids := []models.Exact{}
	for _, row := range rows {
		ids = append(ids, row.UserID, row.Actor)
	}
	var users []account
	if err == nil {
		users, err = s.accounts(ctx, ids...)
	}
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	names := map[models.Exact]string{}
	for _, u := range users {
		names[models.Exact(u.UserID)] = u.Username
	}
	name := func(id models.Exact) string {
		if n, ok := names[id]; ok {
			return n
		}
		return string(id) // of a user who is gone
	}
	list := make([]event, len(rows))
	for i, row := range rows {
		list[i] = event{row, name(row.UserID), name(row.Actor)}
	}
	s.show(c, http.StatusOK, "events.html", view{Title: "Events", Events: list, Kinds: eventKinds(), Kind: kind})
}
