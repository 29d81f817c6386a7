// The ready handlers, and the verbs beneath them.

package ginsession

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// Routes mounts the handlers under g: POST login, POST logout, GET session, POST
// session/refresh, POST session/reauthenticate, GET sessions, DELETE sessions/:id and
// DELETE sessions.
func (m *Manager) Routes(g gin.IRoutes) {
	g.POST("/login", m.Login)
	g.POST("/logout", m.Logout)
	g.GET("/session", m.Status)
	g.POST("/session/refresh", m.Refresh)
	g.POST("/session/reauthenticate", m.Reauthenticate)
	g.GET("/sessions", m.List)
	g.DELETE("/sessions/:id", m.Revoke)
	g.DELETE("/sessions", m.RevokeOthers)
}

// Login is a gin.HandlerFunc that signs a user in. It reads username, password
// and remember from a JSON object or a form; the username may be the e-mail.
//
// JSON is answered with the [Status]. A form is sent on (303) to its field
// "next", if that is a path on this site, or to "/"; with the wrong password it
// goes back to Config.LoginURL with the parameter "error", if that is set. Otherwise
// the answer is 401 CREDENTIALS_INVALID; after too many attempts it is 429 RATE_LIMITED.
func (m *Manager) Login(c *gin.Context) {
	v := m.begin(c, http.MethodPost)
	if v == nil {
		return
	}
	fields := []string{"username", "password", "remember", "next"}
	if m.cfg.Bearer {
		fields = append(fields, "token")
	}
	in, err := readCredentials(c.Writer, c.Request, fields...)
	var s Session
	if err == nil {
		s, err = m.login(c, v, in)
	}
	if err != nil {
		m.loginFailed(c, v, in.next, err)
		return
	}
	m.welcome(c, s, in.next, v.now())
}

func (m *Manager) login(c *gin.Context, v *visit, in credentials) (Session, error) {
	if v.fault() {
		return Session{}, v.err // nobody could be signed in: see Open
	}
	user, err := m.authenticate(c, v.now(), in.username, in.password)
	if err != nil {
		return Session{}, err
	}
	next := *v
	next.bearer, next.login = in.token || v.bearer, in.username
	next.put(c)
	s, err := m.Open(c, user, in.remember)
	if err == nil && in.token && v.cookie && !v.bearer {
		m.cookie.remove(c.Writer.Header()) // its session has ended, and it would come before the token
	}
	return s, err
}

// welcome answers whoever has proved who he is: a form is sent on.
func (m *Manager) welcome(c *gin.Context, s Session, next string, now time.Time) {
	if mediaType(c.Request) == typeForm {
		m.redirect(c, next, "/")
		return
	}
	m.writeStatus(c, s, now)
}

// writeStatus answers with the status of a session.
func (m *Manager) writeStatus(c *gin.Context, s Session, now time.Time) {
	writeJSON(c, http.StatusOK, m.statusFor(c, s, now))
}

// statusFor is the status of a session, with its token if the client was given a new
// one that is in no cookie.
func (m *Manager) statusFor(c *gin.Context, s Session, now time.Time) Status {
	st := m.status(s, now)
	if v := m.visitOf(c); v != nil && v.issued != nil {
		st.Token = *v.issued
	}
	return st
}

func (m *Manager) loginFailed(c *gin.Context, v *visit, next string, err error) {
	e := stamp(err, v.now())
	again := e.Code == ErrCredentialsInvalid || e.Code == ErrRateLimited || e.Code == ErrRequestInvalid || e.Code == ErrSessionLimit
	if again && mediaType(c.Request) == typeForm && m.cfg.LoginURL != "" {
		m.tellRefusal(c, e)
		m.redirect(c, m.loginPage(next, e), "/")
		return
	}
	m.refuse(c, e)
}

// authenticate asks Users, unless it comes too early.
func (m *Manager) authenticate(c *gin.Context, now time.Time, login, password string) (Identity, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 3*m.cfg.StoreTimeout+hashWait)
	defer cancel()
	a := m.attempt(c, login, now)
	a.by.actor = "" // whoever it is, he signs in himself
	if m.cfg.Users == nil {
		user, err := m.accounts.authenticate(ctx, login, password, a)
		if err == nil {
			err = unavailable(ctx.Err())
		}
		return user, err
	}
	var user Identity
	err := m.counted(ctx, &a, func() (err error) {
		user, err = m.askUsers(ctx, login, password)
		a.user = models.Exact(user.UserID)
		return err
	})
	return user, err
}

// askUsers asks the application's Users. An error of theirs that is no answer is a
// fault of the store, and so is an answer without a user, or too late.
func (m *Manager) askUsers(ctx context.Context, login, password string) (Identity, error) {
	user, err := m.cfg.Users.Authenticate(ctx, login, password)
	switch {
	case errors.Is(err, ErrCredentialsInvalid):
		return Identity{}, ErrCredentialsInvalid
	case errors.Is(err, ErrRateLimited), errors.Is(err, ErrStoreUnavailable):
		return Identity{}, err
	case err == nil && user.UserID == "":
		err = errors.New("Users.Authenticate returned neither a user nor an error")
	case err == nil:
		err = ctx.Err()
	}
	if err != nil {
		return Identity{}, &Error{Code: ErrStoreUnavailable, Err: err}
	}
	return user, nil
}

// Logout is a gin.HandlerFunc that ends the session and deletes the cookie. It
// answers 200 also to a request without a session, and 503 if the database could
// not be told: see [Manager.End]. A form is sent on (303) to its field "next", or
// to Config.LoginURL, or to "/".
func (m *Manager) Logout(c *gin.Context) {
	v := m.begin(c, http.MethodPost)
	if v == nil {
		return
	}
	if err := m.End(c); err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	if mediaType(c.Request) == typeForm {
		m.redirect(c, formNext(c), m.cfg.LoginURL)
		return
	}
	writeJSON(c, http.StatusOK, nobody(stamp(ErrSessionNotFound, v.now()), false, v.now()))
}

// formNext returns the field "next" of a form, of which nothing else matters.
func formNext(c *gin.Context) string {
	body, _ := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	form, _ := url.ParseQuery(string(body))
	return localPath(form.Get("next"))
}

// Status is a gin.HandlerFunc that tells how the session stands. The answer is
// 200 whether anybody is signed in or not. It is no activity: it neither
// refreshes the session nor keeps it from falling idle, and writes nothing. For
// that Load must recognize it: mount it as it is, as the last handler of its
// route. To answer otherwise call [Manager.Check] on a route without Load.
func (m *Manager) Status(c *gin.Context) {
	v := m.begin(c, http.MethodGet, http.MethodHead)
	if v == nil {
		return
	}
	st, err := m.Check(c)
	if err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	writeJSON(c, http.StatusOK, st)
}

// Refresh is a gin.HandlerFunc that renews the session now and answers with the
// [Status].
func (m *Manager) Refresh(c *gin.Context) {
	v := m.begin(c, http.MethodPost)
	if v == nil {
		return
	}
	s, err := m.Renew(c)
	if err != nil {
		m.refuse(c, stamp(err, v.now()))
		return
	}
	m.writeStatus(c, s, v.now())
}

// begin is how each handler begins: with the right method, from the right
// origin, and with an eye on cookies that were replaced. It returns nil if the
// request was turned away.
func (m *Manager) begin(c *gin.Context, methods ...string) *visit {
	for _, method := range methods {
		if c.Request.Method != method {
			continue
		}
		if !m.sameOrigin(c) {
			return nil
		}
		v := m.visit(c)
		if method == http.MethodPost && errors.Is(v.err, ErrSessionInvalid) {
			if err := m.reuse(c.Request.Context(), *v.found, v.now(), m.clientOf(c)); err != nil {
				next := *v
				next.err = err
				next.put(c)
				v = &next
			}
		}
		return v
	}
	c.Header("Allow", strings.Join(methods, ", "))
	m.refuse(c, &Error{Code: ErrMethodNotAllowed})
	return nil
}

func (m *Manager) redirect(c *gin.Context, to, otherwise string) {
	for _, target := range []string{to, otherwise, "/"} {
		if target != "" {
			c.Header("Cache-Control", "no-store")
			c.Redirect(http.StatusSeeOther, target)
			return
		}
	}
}

// Open signs user in without a password, for applications that have found out
// by themselves who he is, and writes the cookie. With remember the cookie
// outlives the browser and the session lasts until its absolute end. A session
// that the request came with is ended, and if it is of somebody who is signed in as
// another, so is his own. The browser also gets a cookie by which it is known the next
// time: a sign-in of a user where he has not been before is the event
// authn_login_newdevice.
//
// With Users of the application's own, user is taken as it is: whether he is there and
// may sign in is for the caller to know. What later requests see of him comes from
// Users.Identity.
//
// With [Accounts] the user must be there and not disabled: the error is
// [ErrCredentialsInvalid] otherwise. It should be the Identity that
// [Accounts.Authenticate] returned, and not a copy that was put together again: it
// knows whether the password has been changed since. It is [ErrSessionLimit] if he has
// as many sessions as he may and Config.RefuseOverLimit is set, [ErrInternal] if the
// UserID is no text of 1 to 255 bytes, or [ErrStoreUnavailable] if the database does not
// answer.
func (m *Manager) Open(c *gin.Context, user Identity, remember bool) (Session, error) {
	return m.openOver(c, user, remember, false)
}

// openOver is Open. With onlyIfLive the session of the request must not have ended
// meanwhile: the error is ErrSessionNotFound then.
func (m *Manager) openOver(c *gin.Context, user Identity, remember, onlyIfLive bool) (Session, error) {
	v := m.visit(c)
	if v.fault() {
		return Session{}, stamp(v.err, v.now())
	}
	device := m.deviceOf(c.Request.Header)
	known := m.knows(device, accountOfUser(models.Exact(user.UserID)))
	in := signIn{user: user, remember: remember, knownDevice: known, old: v.names(), onlyIfLive: onlyIfLive}
	f, raw, err := m.open(c.Request.Context(), in, v.now(), m.clientOf(c))
	if err != nil {
		return Session{}, stamp(err, v.now())
	}
	s := m.enter(c, *v, f, raw)
	if !v.bearer {
		m.setDevice(c.Writer.Header(), device, user, v.login, v.now())
	}
	return s, nil
}

// enter makes f the session of the request, and gives the client its token.
func (m *Manager) enter(c *gin.Context, v visit, f found, raw string) Session {
	v.raw, v.known, v.found, v.err = &raw, nil, &f, nil
	m.give(c, raw, &v)
	v.put(c)
	return v.session()
}

// End ends the session of the request, if it has one, and deletes the cookie. If it
// is of somebody who is signed in as another, his own ends too.
// The error is [ErrStoreUnavailable] if the database does not answer. Then this
// process refuses the session from now on, others may not, and [Manager.Run] ends
// it as soon as the database is back.
func (m *Manager) End(c *gin.Context) error {
	v := m.visit(c)
	var err error
	if v.fault() {
		err = v.err
	} else if names := v.names(); len(names) > 0 {
		err = m.end(c.Request.Context(), names, v.now(), m.clientOf(c))
	}
	if err != nil {
		m.endOwed(v, m.clientOf(c))
	}
	next := *v
	next.raw, next.known, next.found, next.err = nil, nil, nil, ErrSessionNotFound
	next.put(c)
	if !v.bearer {
		m.cookie.remove(c.Writer.Header())
	}
	if err != nil {
		return stamp(err, v.now())
	}
	return nil
}

// Renew renews the session of the request now, as far as its absolute end
// allows, and writes the new cookie. The error says why there is no session, or
// is [ErrStoreUnavailable].
func (m *Manager) Renew(c *gin.Context) (Session, error) {
	v := *m.visit(c)
	m.active(c, &v, true)
	v.put(c)
	if v.err != nil {
		return Session{}, stamp(v.err, v.now())
	}
	return v.session(), nil
}

// Check tells how the session of the request stands and changes nothing. If the
// request has given a client that sends the token in Authorization another one, be it
// by [Manager.Open], it is in the answer. The error is [ErrStoreUnavailable] if that
// cannot be known.
func (m *Manager) Check(c *gin.Context) (Status, error) {
	v := m.visit(c)
	switch {
	case v.err == nil:
		return m.statusFor(c, v.session(), v.now()), nil
	case v.fault():
		return Status{}, stamp(v.err, v.now())
	default:
		return nobody(stamp(v.err, v.now()), v.cookie, v.now()), nil
	}
}
