// Events: what is told of a session, in its table and in the log.

package ginsession

import (
	"context"
	"log/slog"
	"time"

	"github.com/ginsession/gin-session/models"
)

// The names of the events, after the OWASP Logging Vocabulary.
const (
	eventSessionCreated = "session_created"
	eventSessionRenewed = "session_renewed"
	eventSessionExpired = "session_expired"
	eventSessionLogout  = "session_logout"
	eventTokenReuse     = "authn_token_reuse" // critical
	eventRevoked        = "authn_token_revoked"
	eventLoginFailed    = "authn_login_fail"
	eventPassword       = "authn_password_change"
	eventRole           = "authz_change"
	eventUserCreated    = "user_created"
	eventUserUpdated    = "user_updated"
	eventUserDeleted    = "user_deleted"
)

// client is where a request comes from: the address of the peer and the first
// 256 characters of the user agent.
type client struct{ ip, agent string }

// event makes a row. session is empty for what concerns all sessions of a user.
func (by client) event(name string, session, user models.Exact, reason Reason, now time.Time) models.Event {
	return models.Event{
		At:        models.At(now),
		Name:      name,
		SessionID: session,
		UserID:    user,
		Reason:    string(reason),
		IPAddress: by.ip,
		UserAgent: by.agent,
	}
}

// log tells of an event in the log. The values are quoted by the handler, so
// that each event stays one line; none of them is a secret.
func (m *Manager) log(ctx context.Context, level slog.Level, e models.Event) {
	m.cfg.Logger.LogAttrs(ctx, level, "ginsession: "+e.Name,
		slog.Time("at", e.At.Time()),
		slog.String("session", string(e.SessionID)),
		slog.String("user", string(e.UserID)),
		slog.String("reason", e.Reason),
		slog.String("ip", e.IPAddress),
		slog.String("agent", e.UserAgent),
	)
}
