// Ending sessions from outside of their requests: by an admin, a job, another
// service.

package ginsession

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/ginsession/gin-session/models"
)

// RevokeSession ends the session with a public id, also one that has run out
// unseen. The reason is kept with it, text of at most 32 bytes; if it is empty, it
// is [ReasonRevoked]. The error is [ErrSessionNotFound] if there is no such session
// or it was ended before, [ErrRequestInvalid] or [ErrStoreUnavailable].
func (m *Manager) RevokeSession(ctx context.Context, id string, reason Reason) error {
	now := m.now()
	if reason == "" {
		reason = ReasonRevoked
	}
	if len(reason) > 32 || !utf8.ValidString(string(reason)) || strings.ContainsFunc(string(reason), unicode.IsControl) {
		return stamp(invalid("reason: must be text of at most 32 bytes without control characters"), now)
	}
	if !isID(id) {
		return stamp(ErrSessionNotFound, now)
	}
	rec, ok, err := m.store.find(context.WithoutCancel(ctx), id) // carried out like every write
	if err == nil && !ok {
		err = ErrSessionNotFound
	}
	if err != nil {
		return stamp(err, now)
	}
	event := eventIn(ctx, eventRevoked, rec.ID, rec.UserID, reason, now)
	ended, err := m.store.end(ctx, event, "")
	if err == nil && !ended {
		err = ErrSessionNotFound
	}
	if err != nil {
		return stamp(err, now)
	}
	m.tell(ctx, event)
	return nil
}

// RevokeUser ends the sessions of a user, except those whose public ids are
// given, and returns how many it ended: also such as had run out unseen. The error
// is [ErrStoreUnavailable].
func (m *Manager) RevokeUser(ctx context.Context, userID string, except ...string) (int, error) {
	return m.concernsUser(ctx, userID, eventRevoked, ReasonRevoked, except)
}

// UserChanged tells that a user of an application with [Users] of its own is no
// longer who he was. His sessions stay, and their next requests, on whatever
// node, ask Users again. Call it when the change has been committed: before that
// they would be told the old. [Accounts] tells so by itself. The error is
// [ErrStoreUnavailable].
func (m *Manager) UserChanged(ctx context.Context, userID string) error {
	_, err := m.concernsUser(ctx, userID, eventUserUpdated, "", nil)
	return err
}

// concernsUser writes an event that concerns all sessions of a user, and ends
// them if there is a reason.
func (m *Manager) concernsUser(ctx context.Context, userID, name string, reason Reason, except []string) (ended int, err error) {
	now := m.now()
	if !isID(userID) {
		return 0, nil // nobody has such an id
	}
	event := eventIn(ctx, name, "", models.Exact(userID), reason, now)
	err = m.store.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		if reason != "" {
			var err error
			if ended, err = endUser(tx, event, except); err != nil || ended == 0 {
				return nil, err
			}
		}
		return []models.Event{event}, nil
	})
	if err != nil {
		return 0, stamp(err, now)
	}
	if reason == "" || ended > 0 {
		m.tell(ctx, event)
	}
	return ended, nil
}
