// The accounts, as an admin sees them.

package main

import (
	"context"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

// accounts returns who may sign in, without what nobody is to see.
func (s *site) accounts(ctx context.Context) ([]ginsession.Identity, error) {
	var users []models.User
	err := s.db.WithContext(ctx).
		Select("id", "username", "email", "role", "last_login").
		Order("username").Limit(100).Find(&users).Error
	accounts := make([]ginsession.Identity, len(users))
	for i, u := range users {
		accounts[i] = ginsession.Identity{
			UserID:    string(u.ID),
			Username:  u.Username,
			Email:     u.Email,
			Role:      u.Role,
			LastLogin: u.LastLogin.Time(),
		}
	}
	return accounts, unavailable(err)
}
