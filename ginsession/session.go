// What a handler receives: the session, who it belongs to, how it stands.

package ginsession

import (
	"context"
	"time"

	"github.com/ginsession/gin-session/models"
)

// Session is one sign-in of one user. It is a value: a copy, which changes
// nothing when it is changed and stays as it is when the request has ended. It
// holds no secret. Its JSON is the "session" of the status answer.
type Session struct {
	// ID is public. It names the session in lists and logs, and opens nothing.
	ID string `json:"id"`

	// User is whose session it is, as the database, or Users, said within
	// Config.CacheFor.
	User Identity `json:"-"`

	CreatedAt    time.Time `json:"createdAt"`
	LastAccessed time.Time `json:"lastAccessed"` // exact to two minutes; to a second on the node that was used last, if Run runs there

	// AuthenticatedAt is when the user, or the Actor, last proved who he is.
	AuthenticatedAt time.Time `json:"authenticatedAt"`

	// ExpiresAt is when the session ends if it is not used again.
	ExpiresAt time.Time `json:"expiresAt"`

	// AbsoluteExpiresAt is when it ends however much it is used.
	AbsoluteExpiresAt time.Time `json:"absoluteExpiresAt"`

	// Remember says that the cookie outlives the browser.
	Remember bool `json:"-"`

	UserAgent string `json:"userAgent"`
	IPAddress string `json:"ipAddress"`

	// Actor is who is signed in as User, where that is another: see
	// [Manager.Impersonate].
	Actor Identity `json:"-"`

	// EndedAt is zero while the session lives. EndReason says why it ended, and EndedBy
	// who ended it, if that was another user.
	// Only [Manager.Sessions] returns sessions that have ended.
	EndedAt   time.Time `json:"endedAt,omitzero"`
	EndReason Reason    `json:"endReason,omitempty"`
	EndedBy   string    `json:"endedBy,omitempty"`

	// refreshAt is when activity renews the session; zero if nothing will.
	refreshAt time.Time
}

// Identity is who a user is. Only the UserID must be there.
type Identity struct {
	UserID    string    `json:"userId"` // text of 1 to 255 bytes, which no other user ever has
	Username  string    `json:"username"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`               // empty: no role
	LastLogin time.Time `json:"lastLogin,omitzero"` // exact to Config.CacheFor, if Run runs

	// epoch is the user's when the identity was read from models.User. A session
	// is opened only while it is still the same: a password changed in between must
	// not let the old one in. Zero for an identity of other making.
	epoch int64
}

// Users is where identities come from. [Accounts] is the default; an
// application with a users table of its own implements it over that. Its
// methods are called from many goroutines, with a context that has a deadline.
//
// An error that is not one of the codes named below counts as a fault of the
// store: the request is answered 503, and nobody is signed in or out.
type Users interface {
	// Authenticate returns the user of this login name if the password is his and
	// he may sign in. Otherwise its error matches [ErrCredentialsInvalid], and
	// nothing about it tells an unknown name from a wrong password. An error with
	// [ErrRateLimited] and a RetryAfter turns the attempt away unexamined.
	//
	// An unknown name must cost as much as a wrong password, such as the verification
	// of a fixed hash in its place, and no more passwords should be hashed at a time
	// than there are processors: [Accounts] sees to both, here nobody else does. How
	// often it is called is limited as with Accounts. ctx ends after three times
	// Config.StoreTimeout and a few seconds.
	Authenticate(ctx context.Context, login, password string) (Identity, error)

	// Identity returns the user of this id. Its error matches [ErrUserNotFound] if
	// there is none, or none who may be signed in; his sessions are refused then. It is
	// called for each request that memory does not answer, with Config.StoreTimeout, so
	// it should cost one query.
	//
	// When one of its answers changes, call [Manager.UserChanged]. Otherwise memory
	// gives the old one for as long as Config.CacheFor.
	Identity(ctx context.Context, userID string) (Identity, error)
}

// A Reason says why a session was ended.
type Reason string

// The reasons.
const (
	ReasonLogout   Reason = "logout"   // the user signed out, or in again
	ReasonExpired  Reason = "expired"  // unused for MaxAge
	ReasonIdle     Reason = "idle"     // unused for IdleTimeout
	ReasonAbsolute Reason = "absolute" // at its absolute end
	ReasonPassword Reason = "password" // the password was changed
	ReasonDisabled Reason = "disabled" // the user was disabled or deleted
	ReasonRevoked  Reason = "revoked"  // its user revoked it, or the application
	ReasonAdmin    Reason = "admin"    // another user revoked it
	ReasonLimit    Reason = "limit"    // its user has signed in elsewhere too often
	ReasonReuse    Reason = "reuse"    // a cookie came that had been replaced long ago
	ReasonRole     Reason = "role"     // of a stream: the role is another one, see Watch
)

// Reasons of renewals, for the events.
const (
	reasonConfirmed Reason = "reauthenticated"
	reasonResumed   Reason = "impersonation ended"
)

// code is what a client is told whose token is genuine.
func (r Reason) code() Code {
	switch r {
	case ReasonExpired, ReasonIdle, ReasonAbsolute:
		return ErrSessionExpired
	case ReasonDisabled, ReasonReuse:
		return ErrSessionInvalid
	default:
		return ErrSessionNotFound
	}
}

// Status is how a session stands, as the browser wants to know it. Its JSON is
// the answer of the handlers Status, Login, Logout, Refresh and Reauthenticate.
type Status struct {
	IsAuthenticated bool `json:"isAuthenticated"`

	// IsExpired is true for a genuine session that has run out.
	IsExpired bool `json:"isExpired"`

	// RemainingTime is the time to Session.ExpiresAt in whole seconds.
	RemainingTime int64 `json:"remainingTime"`

	// RefreshIn is the time in whole seconds until activity refreshes the session.
	// Nil when nothing will: nobody is signed in, or the end is the absolute one.
	RefreshIn *int64 `json:"refreshIn,omitempty"`

	ServerTime time.Time `json:"serverTime"`

	// Reason is why nobody is signed in although a cookie came.
	Reason *Code `json:"reason"`

	// EndReason is why the session was ended that the cookie is of.
	EndReason Reason `json:"endReason,omitempty"`

	User    *Identity `json:"user"`
	Session *Session  `json:"session"`

	// Actor is who is signed in as User, where that is another.
	Actor *Identity `json:"actor,omitempty"`

	// Token is a new token for a client that sends it in Authorization.
	Token string `json:"token,omitempty"`
}

// brief is a session in little room: all that a Session shows, but for when it
// was last accessed.
type brief struct {
	id        string
	user      Identity
	actor     *Identity
	agent, ip string

	created, authenticated, expires, absolute, refresh models.Time

	remember bool
}

// brief returns what was found in brief.
func (m *Manager) brief(f found) brief {
	b := brief{
		id:            string(f.row.ID),
		user:          f.user,
		agent:         f.row.UserAgent,
		ip:            f.row.IPAddress,
		created:       f.row.CreatedAt,
		authenticated: f.row.AuthenticatedAt,
		expires:       f.row.ExpiresAt,
		absolute:      f.row.AbsoluteExpiresAt,
		refresh:       models.At(m.refreshAt(f.row)),
		remember:      f.row.Remember,
	}
	if f.row.Actor != "" {
		actor := f.actor // a copy: all others cost no memory
		b.actor = &actor
	}
	if f.doubtful() {
		b.authenticated = f.row.CreatedAt
	}
	return b
}

// session returns the session that was last accessed at an instant.
func (m *Manager) session(b *brief, accessed models.Time) Session {
	s := Session{
		ID:                b.id,
		User:              b.user,
		CreatedAt:         b.created.Time(),
		LastAccessed:      accessed.Time(),
		AuthenticatedAt:   b.authenticated.Time(),
		ExpiresAt:         m.cfg.end(b.expires.Time(), accessed.Time()),
		AbsoluteExpiresAt: b.absolute.Time(),
		Remember:          b.remember,
		UserAgent:         b.agent,
		IPAddress:         b.ip,
		refreshAt:         b.refresh.Time(),
	}
	if b.actor != nil {
		s.Actor = *b.actor
	}
	return s
}

// refreshAt returns when activity renews the session of a row: never, where a
// renewal could not set its expiry any later. One that is remembered has all its time
// from the beginning, and is renewed as often as others are for the sake of its secret.
func (m *Manager) refreshAt(row models.Session) time.Time {
	expires := row.ExpiresAt.Time()
	if at := row.RenewedAt.Time().Add(m.cfg.MaxAge - m.cfg.RefreshThreshold); row.Remember && at.Before(expires) {
		return at
	}
	if !expires.Before(row.AbsoluteExpiresAt.Time()) {
		return time.Time{}
	}
	return expires.Add(-m.cfg.RefreshThreshold)
}

// ends returns when a session ends if it is not used again, and why.
func (m *Manager) ends(f found) (time.Time, Reason) {
	expires := f.row.ExpiresAt.Time()
	switch end := m.cfg.end(expires, f.accessed.Time()); {
	case end.Before(expires):
		return end, ReasonIdle
	case f.row.ExpiresAt == f.row.AbsoluteExpiresAt:
		return end, ReasonAbsolute
	default:
		return end, ReasonExpired
	}
}

// status describes a live session.
func (m *Manager) status(s Session, now time.Time) Status {
	st := Status{
		IsAuthenticated: true,
		RemainingTime:   int64(s.ExpiresAt.Sub(now) / time.Second),
		ServerTime:      now,
		User:            &s.User,
		Session:         &s,
	}
	if s.Actor.UserID != "" {
		st.Actor = &s.Actor
	}
	if !s.refreshAt.IsZero() {
		in := max(0, int64(s.refreshAt.Sub(now)/time.Second))
		st.RefreshIn = &in
	}
	return st
}

// nobody describes the absence of a session; why is the error that told of it.
func nobody(why *Error, cookie bool, now time.Time) Status {
	st := Status{IsExpired: why.Code == ErrSessionExpired, ServerTime: now}
	if cookie {
		st.Reason, st.EndReason = &why.Code, why.Reason
	}
	return st
}
