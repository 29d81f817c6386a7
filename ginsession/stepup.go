// Step-up: asking again who it is, before something that matters.

package ginsession

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// RequireFresh returns a gin.HandlerFunc that lets only users pass who have proved
// who they are less than max ago, by signing in or by [Manager.Reauthenticate]. It
// answers 401 without a session, and 403 REAUTH_REQUIRED if that is longer ago. Nothing
// else moves Session.AuthenticatedAt, be it a refresh or any other activity.
//
// A form that was opened in time should not be refused when it is sent: for unsafe
// methods the limit is send, if that is given.
//
// It panics if max is not positive, or send is less than max.
func RequireFresh(max time.Duration, send ...time.Duration) gin.HandlerFunc {
	if max <= 0 {
		panic("ginsession: RequireFresh needs a positive duration")
	}
	unsafe := max
	if len(send) > 0 {
		unsafe = send[0]
	}
	if len(send) > 1 || unsafe < max {
		panic("ginsession: RequireFresh takes one limit for unsafe methods, which is not less than the other")
	}
	return func(c *gin.Context) {
		Require(c)
		if c.IsAborted() {
			return
		}
		limit := unsafe
		switch c.Request.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			limit = max
		}
		v := visitOf(c)
		if s := v.session(); !v.now().Before(s.AuthenticatedAt.Add(limit)) {
			Refuse(c, ErrReauthRequired)
		}
	}
}

// Reauthenticate is a gin.HandlerFunc that asks the user of the session for his
// password again: a JSON object or a form with the field password. It answers with
// the [Status], or sends a form on (303) to its field "next", if that is a path on
// this site, or to "/". Attempts are counted as those to sign in are, and what
// [Manager.Confirm] says of the session holds here too. Users of the application's own
// are asked to authenticate the Username of their Identity, or else its Email.
func (m *Manager) Reauthenticate(c *gin.Context) {
	v := m.begin(c, http.MethodPost)
	if v == nil {
		return
	}
	s, next, err := m.reauthenticate(c)
	if err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	m.welcome(c, s, next, v.now())
}

func (m *Manager) reauthenticate(c *gin.Context) (s Session, next string, err error) {
	own, err := m.own(c)
	if err != nil {
		return Session{}, "", err
	}
	in, err := readCredentials(c.Writer, c.Request, "password", "next")
	if err != nil {
		return Session{}, "", err
	}
	if err := m.proves(c, own, in.password); err != nil {
		return Session{}, "", err
	}
	s, err = m.Confirm(c)
	return s, in.next, err
}

// proves asks whether a password is that of the user of a visit.
func (m *Manager) proves(c *gin.Context, v visit, password string) error {
	user := v.found.user
	ctx, cancel := context.WithTimeout(c.Request.Context(), 3*m.cfg.StoreTimeout+hashWait)
	defer cancel()
	if m.cfg.Users != nil {
		login := cmp.Or(user.Username, user.Email)
		if login == "" {
			return errors.New("Users.Identity returned neither a username nor an e-mail to authenticate by")
		}
		a := m.attempt(c, login, v.now())
		a.user = v.found.row.UserID
		return m.counted(ctx, &a, func() error {
			same, err := m.askUsers(ctx, login, password)
			if err == nil && same.UserID != user.UserID {
				err = ErrCredentialsInvalid
			}
			return err
		})
	}
	row, err := m.accounts.byID(ctx, user.UserID)
	if err == nil {
		_, err = m.accounts.check(ctx, row, row.Username, password, m.attempt(c, "", v.now()))
	}
	if err == nil {
		err = unavailable(ctx.Err())
	}
	return err
}

// Confirm notes that the user of the session has just proved who he is, for
// applications that have asked him by themselves, such as for a passkey. The session
// gets a new secret and all the time of a new one; if its secret was replaced only
// just now, a new session takes its place. Of two requests at the same instant only
// the answer to one has the new secret, and only that makes the session fresh. The
// error says why there is no session, is [ErrImpersonation] if somebody else acts in
// his name, or [ErrStoreUnavailable].
func (m *Manager) Confirm(c *gin.Context) (Session, error) {
	v, err := m.own(c)
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	f, raw, err := m.confirm(c.Request.Context(), *v.found, v.now(), m.clientOf(c))
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	switch {
	case raw != "":
		return m.enter(c, v, f, raw), nil
	case f.row.AuthenticatedAt > v.found.row.AuthenticatedAt: // another request of his was quicker
		v.known, v.found = nil, &f
		v.put(c)
		return v.session(), nil
	default:
		return m.openOver(c, v.found.user, v.found.row.Remember, true)
	}
}

// attempt is an attempt of the request's client to prove who he is.
func (m *Manager) attempt(c *gin.Context, login string, now time.Time) attempt {
	return attempt{
		login: login, account: accountOfName(login), device: m.deviceOf(c.Request.Header), source: addressOf(c),
		by: m.clientOf(c), at: now, failed: eventLoginFailed,
	}
}

// attemptIn is attempt for code that has a context, which may be a *gin.Context or
// made from one. In that of its request only the device is known, in any other nothing.
func (m *Manager) attemptIn(ctx context.Context, failed string) attempt {
	a := attempt{at: m.now()}
	if c, ok := ctx.Value(gin.ContextKey).(*gin.Context); ok && c.Request != nil {
		a = m.attempt(c, "", a.at)
	} else if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		a.device = m.deviceOf(v.request.Header)
	}
	a.failed = failed
	return a
}
