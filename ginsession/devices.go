// Devices: the sessions of a user, listed and ended.

package ginsession

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// Page says which of a user's sessions [Manager.Sessions] returns.
type Page struct {
	// Size is how many at the most. Defaults to 100. At most 1,000.
	Size int

	// After is the ID of the last session of the page before. What is used in between
	// moves to the front, and may be met again.
	After string

	// Ended adds the sessions that have ended, as long as they are kept.
	Ended bool
}

const (
	defaultPage = 100
	longestPage = 1000
)

// Sessions returns the sessions of a user, those that were used last first, without
// a page the first hundred of those that live. The error is [ErrNoSuchSession] if
// Page.After is none of his, [ErrRequestInvalid] or [ErrStoreUnavailable].
//
// The User in them has the UserID alone. To know that nobody sees what is not his is
// up to the caller.
func (m *Manager) Sessions(ctx context.Context, userID string, page ...Page) ([]Session, error) {
	now := m.now()
	list, err := m.sessions(ctx, userID, now, page...)
	if err != nil {
		return nil, stamp(err, now)
	}
	return list, nil
}

func (m *Manager) sessions(ctx context.Context, userID string, now time.Time, pages ...Page) ([]Session, error) {
	page := Page{}
	if len(pages) > 0 {
		page = pages[0]
	}
	if page.Size == 0 {
		page.Size = defaultPage
	}
	if page.Size < 0 || page.Size > longestPage {
		return nil, invalid("size: must be from 1 to 1000")
	}
	list := []Session{}
	if !isID(userID) {
		return list, nil
	}
	user := models.Exact(userID)
	var after models.Session
	if page.After != "" {
		rec, err := m.sessionOf(ctx, user, page.After)
		if err != nil {
			return nil, err
		}
		after = rec
	}
	rows, err := m.store.sessionsOf(ctx, user, page, after, models.At(now))
	if err != nil {
		return nil, err
	}
	origins, err := m.originsOf(ctx, rows)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		f := found{row: row, accessed: m.lastAccess(row), user: Identity{UserID: userID}}
		f.actor.UserID = string(row.Actor)
		b := m.brief(f)
		s := m.session(&b, f.accessed)
		s.EndedAt, s.EndReason, s.EndedBy = m.endOfRow(row, f.accessed, now)
		if row.Actor != "" && s.EndedAt.IsZero() { // which lasts no longer than the actor's own
			own := origins[row.OriginID].Session
			s.EndedAt, s.EndReason, s.EndedBy = m.endOfRow(own, max(own.LastAccessed, f.accessed), now)
		}
		if page.Ended || s.EndedAt.IsZero() {
			list = append(list, s)
		}
	}
	// The rows come in the order of the accesses that have been written. To continue
	// behind the last of the list leaves none out all the same: all that are not in it
	// come after each of these in that order.
	slices.SortStableFunc(list, func(s, t Session) int { return t.LastAccessed.Compare(s.LastAccessed) })
	return list, nil
}

// originsOf reads the own sessions of those who are signed in as another.
func (m *Manager) originsOf(ctx context.Context, rows []models.Session) (map[models.Exact]record, error) {
	var ids []models.Exact
	for _, row := range rows {
		if row.Actor != "" && row.EndedAt.IsZero() {
			ids = append(ids, row.OriginID)
		}
	}
	if ids == nil {
		return nil, nil
	}
	return m.store.findAll(ctx, ids)
}

// endOfRow tells how a session has ended, which may be unseen as yet: zero for one that
// lives. A zero row is one that is no longer there.
func (m *Manager) endOfRow(row models.Session, accessed models.Time, now time.Time) (at time.Time, why Reason, by string) {
	end, reason := m.ends(found{row: row, accessed: accessed})
	switch {
	case row.ID == "":
		return now, "", ""
	case !row.EndedAt.IsZero():
		return row.EndedAt.Time(), Reason(row.EndReason), string(row.EndedBy)
	case m.owed.ended(string(row.ID)):
		return now, ReasonLogout, ""
	case !now.Before(end):
		return end, reason, ""
	default:
		return time.Time{}, "", ""
	}
}

// sessionOf reads the session of a user that has an id, also one that has ended.
func (m *Manager) sessionOf(ctx context.Context, user models.Exact, id string) (models.Session, error) {
	if !isID(id) {
		return models.Session{}, ErrNoSuchSession
	}
	rec, ok, err := m.store.find(ctx, id)
	if err == nil && (!ok || rec.UserID != user) {
		err = ErrNoSuchSession
	}
	return rec.Session, err
}

// List is a gin.HandlerFunc that answers with the live sessions of the user, those
// that were used last first:
//
//	{"sessions":[{"id":"…","current":true,"createdAt":"…","lastAccessed":"…",…}]}
//
// There are a hundred at the most. The query parameter after, the id of the last one,
// asks for those behind it; it is answered 404 NO_SUCH_SESSION if it is none of the
// user's.
func (m *Manager) List(c *gin.Context) {
	v := m.signedIn(c, http.MethodGet)
	if v == nil {
		return
	}
	own := v.session()
	list, err := m.sessions(c.Request.Context(), own.User.UserID, v.now(), Page{After: c.Query("after")})
	if err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	type listed struct {
		Session
		Current      bool `json:"current"`
		Impersonated bool `json:"impersonated,omitempty"`
	}
	sessions := make([]listed, len(list))
	for i, s := range list {
		sessions[i] = listed{s, s.ID == own.ID, s.Actor.UserID != ""}
		if sessions[i].Impersonated { // where the support sits is not the user's to know
			sessions[i].IPAddress, sessions[i].UserAgent = "", ""
		}
	}
	writeJSON(c, http.StatusOK, gin.H{"sessions": sessions})
}

// Revoke is a gin.HandlerFunc that ends the session of the user that the path
// parameter "id" names, and answers {"ended":1}. It answers 404 NO_SUCH_SESSION if
// that is not his, or has ended. If it is the one of the request, the cookie is
// deleted too.
//
// It takes DELETE, and POST for pages without a script: a form is sent on (303) to its
// field "next", if that is a path on this site, or to "/".
//
// Whoever has got hold of a session can sign its user out elsewhere with this. Mount
// it behind [RequireFresh] to ask for the password first.
func (m *Manager) Revoke(c *gin.Context) {
	v := m.signedIn(c, http.MethodDelete, http.MethodPost)
	if v == nil {
		return
	}
	if err := m.revokeOwn(c, v.session(), c.Param("id")); err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	m.writeEnded(c, 1)
}

func (m *Manager) revokeOwn(c *gin.Context, own Session, id string) error {
	if id == own.ID {
		return m.End(c)
	}
	ctx := inRequest(c)
	if _, err := m.sessionOf(context.WithoutCancel(ctx), models.Exact(own.User.UserID), id); err != nil {
		return err
	}
	return m.RevokeSession(ctx, id, "")
}

// RevokeOthers is a gin.HandlerFunc that ends all sessions of the user but the one
// of the request, and answers with their number: {"ended":3}. What is said of
// [Manager.Revoke] holds here too.
func (m *Manager) RevokeOthers(c *gin.Context) {
	v := m.signedIn(c, http.MethodDelete, http.MethodPost)
	if v == nil {
		return
	}
	own := v.session()
	n, err := m.RevokeUser(inRequest(c), own.User.UserID, own.ID)
	if err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	m.writeEnded(c, n)
}

// writeEnded answers how many sessions were ended. A form is sent back (303) to its
// field "next", or to "/".
func (m *Manager) writeEnded(c *gin.Context, n int) {
	if mediaType(c.Request) == typeForm {
		m.redirect(c, formNext(c), "/")
		return
	}
	writeJSON(c, http.StatusOK, gin.H{"ended": n})
}

// signedIn is begin for handlers that need a session.
func (m *Manager) signedIn(c *gin.Context, methods ...string) *visit {
	v := m.begin(c, methods...)
	if v != nil && v.err != nil {
		m.refuse(c, stamp(v.err, v.now()))
		return nil
	}
	return v
}
