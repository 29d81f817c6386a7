// Impersonation: one user signed in as another, for support.

package ginsession

import (
	"context"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// An admin who is signed in as a user has a session of his own for that, whose row
// names him and his own session. That one stays as it is while the other lasts, and
// both hang together: the other stands only while his own does, and while he may be
// that user. So it is never answered from memory, which knows nothing of the two. What
// he does as the other is activity of his own session too.
//
// When he is done, he gets his own session back under a new secret, because nobody
// has the old one: only its hash is kept. Nobody should have used it in between either.
// Who has copied a cookie can begin an impersonation with it, and must not come back to
// what its owner has made of the session since.

// impersonationAge is how long somebody is signed in as another.
const impersonationAge = time.Hour

// Impersonate signs the user of the request in as another one, if
// Config.MayImpersonate allows it, for one hour at the most. The session has the
// actor beside the user, and so have the status and every event. It counts for no
// limit, and makes no sign-in on a new device. [Manager.StopImpersonating] returns to
// his own session; a logout ends both.
//
// The error is [ErrImpersonation] if it is not allowed, would be nested, or is the
// user himself; [ErrUserNotFound] for a user who is not there or disabled; the error
// that says why the request has no session; or [ErrStoreUnavailable].
func (m *Manager) Impersonate(c *gin.Context, userID string) (Session, error) {
	v, err := m.own(c)
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	if userID == v.found.user.UserID || m.cfg.MayImpersonate == nil {
		return Session{}, stamp(ErrImpersonation, v.now())
	}
	user, err := m.userOf(c.Request.Context(), userID)
	if errors.Is(err, ErrUserNotFound) {
		user = Identity{UserID: userID} // who may not anyway does not learn who is there
	}
	if (err == nil || errors.Is(err, ErrUserNotFound)) && !m.cfg.MayImpersonate(v.found.user, user) {
		err = ErrImpersonation
	}
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	in := signIn{user: user, knownDevice: true, actor: v.found.user, origin: v.found.row}
	in.origin.AuthenticatedAt = models.At(v.session().AuthenticatedAt)
	f, raw, err := m.open(c.Request.Context(), in, v.now(), m.clientOf(c))
	if errors.Is(err, ErrCredentialsInvalid) { // no longer as he was
		err = ErrUserNotFound
	}
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	return m.enter(c, v, f, raw), nil
}

// StopImpersonating ends a session as another user and returns to the own one. It
// also does so for one that has run out, or that he may not have any more, as long as
// the own session lives: so its route is not behind [Require]. One that was ended
// otherwise, such as by a revocation, opens nothing any more. The error is
// [ErrImpersonation] if the request is in nobody else's name, [ErrSessionInvalid] if
// the own session has ended, the error that says why the request has no session, or
// [ErrStoreUnavailable].
func (m *Manager) StopImpersonating(c *gin.Context) (Session, error) {
	v := *m.visit(c)
	err := v.err
	switch f := v.found; {
	case f == nil || f.row.Actor == "":
		if err == nil {
			err = ErrImpersonation
		}
	case v.fault() || f.place == unknown || !sound(f.row) || !ownerMarked(m.keys, f.row):
	case errors.Is(err, ErrSessionExpired), errors.Is(err, ErrSessionInvalid) && f.row.EndedAt.IsZero():
		err = nil
	}
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	own, raw, err := m.resume(c.Request.Context(), *v.found, v.now(), m.clientOf(c))
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	return m.enter(c, v, own, raw), nil
}

// DenyImpersonated is a gin.HandlerFunc for what a user must do himself: it lets no
// request pass that somebody else makes in his name (403 IMPERSONATION_FORBIDDEN), nor
// one without a session (401).
func DenyImpersonated(c *gin.Context) {
	Require(c)
	if c.IsAborted() {
		return
	}
	if v := visitOf(c); v.found != nil && v.found.row.Actor != "" { // what is known is nobody's in another's name
		Refuse(c, ErrImpersonation)
	}
}

// own returns the visit of a request whose user is signed in as himself, with what
// its row says.
func (m *Manager) own(c *gin.Context) (visit, error) {
	v := *m.visit(c)
	if v.err == nil && v.found == nil {
		m.read(c, &v, v.token())
	}
	switch {
	case v.err != nil:
		return v, v.err
	case v.found.row.Actor != "":
		return v, ErrImpersonation
	default:
		return v, nil
	}
}

// acts finds who is signed in as another in f, and his own session, if he still may be.
func (m *Manager) acts(ctx context.Context, f *found, now time.Time) error {
	origin, actor, err := m.originOf(ctx, *f, now)
	if err != nil {
		return err
	}
	if m.cfg.MayImpersonate == nil || !m.cfg.MayImpersonate(actor, f.user) {
		return &Error{Code: ErrSessionInvalid, Reason: ReasonRole}
	}
	f.origin, f.actor = &origin, actor
	return nil
}

// accessOrigin notes an access of the own session of who is signed in as another. It
// sets a later expiry when that is due, and leaves the secret, which nobody has.
func (m *Manager) accessOrigin(ctx context.Context, f found, now time.Time, by client) error {
	own := found{row: *f.origin, accessed: m.lastAccess(*f.origin)}
	expires := models.At(m.cfg.expiry(now, own.row.AbsoluteExpiresAt.Time(), own.row.Remember))
	if due := m.refreshAt(own.row); !due.IsZero() && !now.Before(due) && expires > own.row.ExpiresAt {
		event := by.event(eventSessionRenewed, own.row.ID, own.row.UserID, "", now)
		extended, err := m.store.extend(ctx, own.row, expires, event)
		if err != nil {
			return err
		}
		if extended {
			m.tell(ctx, event)
		}
	}
	return m.access(ctx, &own, now, by)
}

// originOf returns the own session of who is signed in as another, and who he is.
func (m *Manager) originOf(ctx context.Context, f found, now time.Time) (models.Session, Identity, error) {
	rec, ok, err := m.store.find(ctx, string(f.row.OriginID))
	if err != nil {
		return models.Session{}, Identity{}, err
	}
	if !ok || rec.UserID != f.row.Actor {
		return models.Session{}, Identity{}, ErrSessionInvalid
	}
	own := found{row: rec.Session, place: current, accessed: max(m.lastAccess(rec.Session), f.accessed)}
	over := m.over(own, now)
	if m.owed.ended(string(rec.ID)) {
		over = &Error{Reason: ReasonLogout}
	}
	if over != nil {
		return models.Session{}, Identity{}, &Error{Code: ErrSessionInvalid, Reason: stamp(over, now).Reason}
	}
	actor, err := m.identity(ctx, rec)
	return rec.Session, actor, err
}

// resume returns from a session as another user to the own one.
func (m *Manager) resume(ctx context.Context, f found, now time.Time, by client) (found, string, error) {
	row, actor, err := m.originOf(ctx, f, now)
	if err != nil {
		return found{}, "", err
	}
	if row.RenewedAt > f.row.CreatedAt+models.Time(renewalGrace.Milliseconds()) {
		return found{}, "", m.forked(ctx, row, now, by)
	}
	secret, next := newSecret(), row
	next.AuthenticatedAt = min(row.AuthenticatedAt, f.row.AuthenticatedAt)
	next.SecretHash, next.PreviousHash, next.Salt, next.SeenAt = hashSecret(secret), nil, nil, 0
	next.OwnerMark = ownerMark(m.keys, next)
	next.RenewedAt, next.LastAccessed = models.At(now), models.At(now)
	next.IPAddress, next.UserAgent = by.ip, by.agent
	left := by.event(eventSessionLogout, f.row.ID, f.row.UserID, ReasonLogout, now)
	renewed := by.event(eventSessionRenewed, row.ID, row.UserID, reasonResumed, now)
	if err := m.store.resume(ctx, row, next, renewed, left); err != nil {
		return found{}, "", err
	}
	m.tell(ctx, left)
	m.tell(ctx, renewed)
	return m.sign(found{row: next, user: actor, accessed: next.LastAccessed}, secret, now)
}

// forked ends the own session of an impersonation, because somebody has used it in
// between: one of the two has copied a cookie of the other.
func (m *Manager) forked(ctx context.Context, row models.Session, now time.Time, by client) error {
	event := by.event(eventTokenReuse, row.ID, row.UserID, ReasonReuse, now)
	ended, err := m.store.end(ctx, event, "")
	if err != nil {
		return err
	}
	if ended {
		m.tell(ctx, event)
	}
	return &Error{Code: ErrSessionInvalid, Reason: ReasonReuse}
}
