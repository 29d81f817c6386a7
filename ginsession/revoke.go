// Ending sessions from outside of their requests: by an admin, a job, another
// service.

package ginsession

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/ginsession/gin-session/models"
)

// RevokeSession ends the session with a public id, also one that has run out
// unseen. The reason is kept with it, text of at most 32 bytes; if it is empty, it
// is [ReasonRevoked], or [ReasonAdmin] where ctx is that of a request of another user.
// The error is [ErrNoSuchSession] if there is no such session or it was ended before,
// [ErrRequestInvalid] or [ErrStoreUnavailable].
func (m *Manager) RevokeSession(ctx context.Context, id string, reason Reason) error {
	now := m.now()
	if len(reason) > 32 || !utf8.ValidString(string(reason)) || strings.ContainsFunc(string(reason), unicode.IsControl) {
		return stamp(invalid("reason: must be text of at most 32 bytes without control characters"), now)
	}
	if !isID(id) {
		return stamp(ErrNoSuchSession, now)
	}
	rec, ok, err := m.store.find(context.WithoutCancel(ctx), id) // carried out like every write
	if err == nil && !ok {
		err = ErrNoSuchSession
	}
	if err != nil {
		return stamp(err, now)
	}
	event := m.revocation(ctx, rec.ID, rec.UserID, now)
	if reason != "" {
		event.Reason = string(reason)
	}
	ended, err := m.store.end(ctx, event, "")
	if err == nil && !ended {
		err = ErrNoSuchSession
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
	now := m.now()
	return m.concernsUser(ctx, m.revocation(ctx, "", models.Exact(userID), now), except)
}

// revocation is the event of sessions that are revoked: by their user, or by another.
func (m *Manager) revocation(ctx context.Context, session, user models.Exact, now time.Time) models.Event {
	event := m.eventIn(ctx, eventRevoked, session, user, ReasonRevoked, now)
	if event.Actor != "" {
		event.Reason = string(ReasonAdmin)
	}
	return event
}

// RevokeAll ends the sessions of all users, as after a backup was restored in which
// some live that had ended, and returns how many. Those that are opened meanwhile
// stay. It works in batches; the error is [ErrStoreUnavailable] if one of them fails,
// or ctx ends before the last: errors.Is finds the error of ctx too.
func (m *Manager) RevokeAll(ctx context.Context) (ended int, err error) {
	now := m.now()
	event := m.revocation(ctx, "", "", now)
	for more := true; more && err == nil; {
		var n int
		n, more, err = m.store.endAll(ctx, event, revokeBatch)
		ended += n
	}
	if ended > 0 {
		m.tell(ctx, event)
	}
	if err != nil {
		return ended, stamp(err, now)
	}
	return ended, nil
}

const revokeBatch = 500

// UserChanged tells that a user of an application with [Users] of its own is no
// longer who he was. If Users.Identity does not know him any more, or says that he may
// not be signed in, all his sessions end, with [ReasonDisabled]. Otherwise they stay, and
// their next requests, on whatever node, ask Users again. Call it when the change has
// been committed: before that they would be told the old. [Accounts] tells so by itself.
//
// After a new password call [Manager.RevokeUser] with all sessions but the one in use,
// and [Manager.Confirm] for that.
//
// The error is [ErrStoreUnavailable], also if Users does not answer. Call it again then:
// the sessions are asked about, but have not ended if they should.
func (m *Manager) UserChanged(ctx context.Context, userID string) error {
	event := m.eventIn(ctx, eventUserUpdated, "", models.Exact(userID), "", m.now())
	_, fault := m.userOf(ctx, userID)
	if errors.Is(fault, ErrUserNotFound) {
		event.Reason, fault = string(ReasonDisabled), nil
	}
	_, err := m.concernsUser(ctx, event, nil)
	if err == nil && fault != nil {
		err = stamp(fault, event.At.Time())
	}
	return err
}

// concernsUser writes an event that concerns all sessions of its user, and ends them
// if it has a reason.
func (m *Manager) concernsUser(ctx context.Context, event models.Event, except []string) (ended int, err error) {
	now := event.At.Time()
	if !isID(string(event.UserID)) {
		return 0, nil // nobody has such an id
	}
	err = m.store.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		if event.Reason != "" {
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
	if event.Reason == "" || ended > 0 {
		m.tell(ctx, event)
	}
	return ended, nil
}
