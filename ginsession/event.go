// Events: what is told of sessions and users, in the table, in the log and to the
// application.

package ginsession

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// The names of the events, after the OWASP Logging Vocabulary. Those of the first
// group change something: they are written in the transaction that does so, and
// are what other nodes hear.
const (
	eventSessionCreated = "session_created"
	eventSessionRenewed = "session_renewed"
	eventSessionExpired = "session_expired"
	eventSessionLogout  = "session_logout"
	eventTokenReuse     = "authn_token_reuse"
	eventRevoked        = "authn_token_revoked"
	eventPassword       = "authn_password_change"
	eventRole           = "authz_change"
	eventUserCreated    = "user_created"
	eventUserUpdated    = "user_updated"
	eventUserDeleted    = "user_deleted"
	eventSessionLimit   = "excess_sessions_exceeded"
	eventNewDevice      = "authn_login_newdevice" // changes nothing, but is written with session_created

	// These change nothing. They are in the table within a second: see owed.
	eventLoginFailed    = "authn_login_fail"
	eventLoginFailedMax = "authn_login_fail_max" // from now on attempts have to wait
	eventLoginLocked    = "authn_login_lock"     // from now on there are none
	eventPasswordFailed = "authn_password_change_fail"
	eventDenied         = "authz_fail"

	// These cost who causes them nothing, or say what another event says in the
	// table. They are in the log, and the application hears them.
	eventLoginSuccess   = "authn_login_success"
	eventLoginAfterFail = "authn_login_successafterfail"
	eventKeyRotated     = "key_rotated" // of one session: its cookie is under the present key now
	eventUseAfterEnd    = "session_use_after_expire"
	eventTokenInvalid   = "token_invalid"
	eventCookieConflict = "cookie_conflict"
	eventCrossOrigin    = "csrf_rejected"
	eventRateLimited    = "excess_rate_limit_exceeded"
	eventUnavailable    = "store_unavailable"
)

const (
	outcomeSuccess = "success"
	outcomeFailure = "failure"
)

// weight says how an event is logged, and how what it tells of came out.
func weight(name string) (slog.Level, string) {
	switch name {
	case eventTokenReuse, eventPasswordFailed, eventLoginLocked, eventUnavailable:
		return slog.LevelError, outcomeFailure
	case eventLoginFailed, eventLoginFailedMax, eventDenied, eventSessionLimit,
		eventTokenInvalid, eventCookieConflict, eventCrossOrigin, eventRateLimited:
		return slog.LevelWarn, outcomeFailure
	case eventUseAfterEnd: // every page that was left open does this
		return slog.LevelInfo, outcomeFailure
	default:
		return slog.LevelInfo, outcomeSuccess
	}
}

// changesNothing reports whether the events of a name leave what other nodes
// remember as it is. Of a name that it does not know, a later version's, it
// believes the opposite.
func changesNothing(name string) bool {
	switch name {
	case eventSessionCreated, eventNewDevice, eventLoginFailed, eventLoginFailedMax,
		eventLoginLocked, eventPasswordFailed, eventDenied:
		return true
	}
	return false
}

// client is where a request comes from: the address of the client, if it is kept,
// and the first 256 characters of the user agent.
type client struct {
	ip, agent string
	actor     models.Exact // who is signed in as the user, where that is another
}

// event makes a row. session is empty for what concerns all sessions of a user.
func (by client) event(name string, session, user models.Exact, reason Reason, now time.Time) models.Event {
	_, outcome := weight(name)
	e := models.Event{
		At:        models.At(now),
		Name:      name,
		SessionID: session,
		UserID:    user,
		Outcome:   outcome,
		Reason:    string(reason),
		IPAddress: by.ip,
		UserAgent: by.agent,
	}
	if by.actor != user {
		e.Actor = by.actor
	}
	return e
}

// eventIn makes the row of something that is done by whoever is signed in where
// ctx comes from, if anybody is. The address and the agent are those of the request if
// ctx is the *gin.Context or was made from it, and else those that the session was last
// used from.
func (m *Manager) eventIn(ctx context.Context, name string, session, user models.Exact, reason Reason, now time.Time) models.Event {
	s, _ := FromContext(ctx)
	by := client{ip: s.IPAddress, agent: s.UserAgent}
	if c, ok := ctx.Value(gin.ContextKey).(*gin.Context); ok && c.Request != nil {
		by = m.clientOf(c)
	}
	by.actor = models.Exact(cmp.Or(s.Actor.UserID, s.User.UserID))
	return by.event(name, session, user, reason, now)
}

// inRequest returns the context of a request in which events find the request.
func inRequest(c *gin.Context) context.Context {
	return context.WithValue(c.Request.Context(), gin.ContextKey, c)
}

// tell tells of an event that has come true in the log, where it is one line
// whatever its values are, and to the application.
func (m *Manager) tell(ctx context.Context, e models.Event) {
	level, _ := weight(e.Name)
	m.cfg.Logger.LogAttrs(ctx, level, "ginsession: "+e.Name,
		slog.Time("at", e.At.Time()),
		slog.String("session", string(e.SessionID)),
		slog.String("user", string(e.UserID)),
		slog.String("actor", string(e.Actor)),
		slog.String("outcome", e.Outcome),
		slog.String("reason", e.Reason),
		slog.String("detail", e.Detail),
		slog.String("ip", e.IPAddress),
		slog.String("agent", e.UserAgent),
	)
	if m.cfg.OnEvent == nil {
		return
	}
	defer func() {
		if fault := recover(); fault != nil { // what has come true stays so
			m.cfg.Logger.ErrorContext(ctx, "ginsession: OnEvent panics", "event", e.Name, "panic", fmt.Sprint(fault))
		}
	}()
	m.cfg.OnEvent(ctx, e)
}

// record is tell for an event that changes nothing and belongs into the table.
func (m *Manager) record(ctx context.Context, e models.Event) {
	m.tell(ctx, e)
	if m.owed.event(e) {
		return
	}
	if err := m.store.insert(ctx, []models.Event{e}); err != nil {
		m.cfg.Logger.ErrorContext(ctx, "ginsession: an event could not be written", "event", e.Name, "error", err)
	}
}
