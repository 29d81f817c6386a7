// The middleware that loads the session, and the guard that asks for it.

package ginsession

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
)

// Load is a gin.HandlerFunc that finds the request's session, refreshes it when
// that is due, and puts it where [From] finds it. A request without a session
// goes on without one; [Require] is what turns it away. Load itself turns away
// an unsafe request from another origin (403), and any request whose session
// cannot be read because the database does not answer (503).
//
// It may be mounted on the engine or on groups, before or after any other
// middleware, also twice. A middleware that gives the request another context
// must derive it from the one that it had, because the session is in that. All is
// decided before the chain goes on, so handlers may stream or take over the
// connection. A response with a new cookie has "Cache-Control: no-store"; a
// handler that sets that field itself must not allow shared caches to keep it.
func (m *Manager) Load(c *gin.Context) {
	v := m.visitOf(c)
	if v != nil {
		again := *v // From is to find this manager's session again
		v = &again
	}
	if v != nil && v.loaded {
		v.put(c)
		return
	}
	if !m.sameOrigin(c) {
		return
	}
	if v == nil {
		v = m.meet(c)
	}
	v.loaded = true
	if m.answers(c) {
		// The handler does with the session what it is for, and answers also when
		// it cannot be read.
		v.put(c)
		return
	}
	if !passive(c.Request.Method) && (v.known == nil || !m.noteKnown(c, v)) {
		m.active(c, v, false)
	}
	v.put(c)
	if v.fault() {
		Refuse(c, v.err)
	}
}

// sameOrigin turns a request away that the page of another origin makes, and
// reports whether it did not. A GET that opens a WebSocket is as unsafe as a POST:
// what comes over it is not checked again, and browsers let any page open one.
func (m *Manager) sameOrigin(c *gin.Context) bool {
	r := c.Request
	if v := m.visitOf(c); v != nil && v.bearer || v == nil && m.bearerOf(r) != "" {
		return true // no page of another origin can send that
	}
	if r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		post := *r
		post.Method = http.MethodPost
		r = &post
	}
	if err := m.origins.Check(r); err != nil {
		m.refuse(c, &Error{Code: ErrCrossOrigin, Err: err})
		return false
	}
	return true
}

// Require is a gin.HandlerFunc that lets only requests with a session pass. It
// comes after [Manager.Load].
func Require(c *gin.Context) {
	switch v := visitOf(c); {
	case v == nil:
		Refuse(c, errors.New("a guard runs without sessions.Load before it"))
	case v.err != nil:
		Refuse(c, v.err)
	}
}

// visit returns the visit of the request, which begins with it if Load has not
// run.
func (m *Manager) visit(c *gin.Context) *visit {
	v := m.visitOf(c)
	if v == nil {
		v = m.meet(c)
		v.put(c)
	}
	return v
}

// meet reads the cookie, and finds the session that it leads to: in memory, or
// else by its row. It changes nothing but the headers.
func (m *Manager) meet(c *gin.Context) *visit {
	t := m.cfg.Now()
	v := &visit{m: m, at: models.At(t), follows: m.follows(t)}
	v.addVary(c.Writer.Header())
	raw, count := m.cookie.take(c.Request.Header)
	v.cookie = count > 0
	switch count {
	case 0:
		if raw = m.bearerOf(c.Request); raw == "" {
			v.err = ErrSessionNotFound
			break
		}
		delete(c.Request.Header, "Authorization")
		v.bearer, v.cookie = true, true
		fallthrough
	case 1:
		if rest, ok := m.keys.Current(raw); ok && v.follows {
			v.known = m.live.get(rest, v.at)
		}
		if v.known == nil {
			m.read(c, v, raw)
		}
	default:
		// Somebody planted a second one. Which is the user's cannot be known.
		v.err = ErrTokenInvalid
		m.tell(c.Request.Context(), m.clientOf(c).event(eventCookieConflict, "", "", "", v.now()))
	}
	return v
}

// bearerOf returns the token of a request that has it in Authorization, if that is
// how tokens may be sent, and there is no cookie. A token of others is left alone.
func (m *Manager) bearerOf(r *http.Request) string {
	if !m.cfg.Bearer || len(r.Header["Authorization"]) != 1 {
		return ""
	}
	scheme, raw, _ := strings.Cut(r.Header["Authorization"][0], " ")
	if _, count := m.cookie.read(r.Header); count > 0 || !strings.EqualFold(scheme, "Bearer") || !m.keys.Ours(raw) {
		return ""
	}
	return raw
}

// read finds the session of a visit, which has not been put yet, by the row that
// its token leads to.
func (m *Manager) read(c *gin.Context, v *visit, raw string) {
	f, err := m.find(c.Request.Context(), raw, v.now(), v.follows)
	v.raw, v.known, v.found, v.err = &raw, f.known, &f, err
	if errors.Is(err, ErrTokenInvalid) {
		m.tell(c.Request.Context(), m.clientOf(c).event(eventTokenInvalid, "", "", Reason(token.Why(err)), v.now()))
	}
}

// noteKnown does what activity does to a session that is known, and reports false
// if more is to be done than can be done from memory.
func (m *Manager) noteKnown(c *gin.Context, v *visit) bool {
	k, id := v.known, models.Exact(v.known.session.id)
	last := models.Time(k.accessed.Load())
	if v.at < last+accessGrain {
		return true
	}
	if m.longSince(id, last, v.at) {
		return false
	}
	if m.activity.note(access{id, v.at, m.clientOf(c)}, k.written) {
		k.accessed.Store(int64(v.at))
	}
	return true
}

// active does what activity does to the session of a visit, which has not been
// put yet: see keep and expire. With force the session is renewed now.
func (m *Manager) active(c *gin.Context, v *visit, force bool) {
	if v.err == nil && v.found == nil {
		m.read(c, v, v.token())
	}
	if v.found == nil {
		return
	}
	ctx, by := c.Request.Context(), m.clientOf(c)
	by.actor = v.found.row.Actor
	if v.err == nil && v.found.origin != nil {
		v.err = m.accessOrigin(ctx, *v.found, v.now(), by)
	}
	switch {
	case v.err == nil && v.bearer && !force:
		f := *v.found // its client asks for a refresh by itself
		v.err = m.access(ctx, &f, v.now(), by)
		v.found = &f
	case !v.found.row.EndedAt.IsZero():
		m.tell(ctx, by.event(eventUseAfterEnd, v.found.row.ID, v.found.row.UserID, Reason(v.found.row.EndReason), v.now()))
	case v.err == nil:
		f, raw, err := m.keep(ctx, *v.found, force, v.now(), by)
		v.known, v.found, v.err = f.known, &f, err
		if raw != "" && err == nil {
			m.give(c, raw, v)
		}
	case errors.Is(v.err, ErrSessionExpired):
		if err := m.expire(ctx, *v.found, v.now(), by); err != nil {
			v.err = err
		}
	case errors.Is(v.err, ErrSessionInvalid):
		if err := m.reuse(ctx, *v.found, v.now(), by); err != nil {
			v.err = err
		}
	}
}

// give gives the client a token of the session that v has found, which has not been
// put yet: in the cookie, or else for the answer.
func (m *Manager) give(c *gin.Context, raw string, v *visit) {
	if v.bearer {
		v.issued = &raw
		return
	}
	row := v.found.row
	m.cookie.set(c.Writer.Header(), raw, row.Remember, v.now(), row.ExpiresAt.Time())
}

// fault reports whether the session could not be looked up: then nobody knows
// whether there is one.
func (v *visit) fault() bool {
	if v.err == nil {
		return false
	}
	switch stamp(v.err, v.now()).Code {
	case ErrSessionNotFound, ErrSessionExpired, ErrSessionInvalid, ErrTokenInvalid:
		return false
	default:
		return true
	}
}

// answers reports whether the request goes to one of the ready handlers, mounted
// as it is. A function value cannot be compared, its code can. If it is wrapped
// in another function, or not the last handler of its route, it is not
// recognized: then Load takes the request for activity like any other.
func (m *Manager) answers(c *gin.Context) bool {
	return slices.Contains(m.handlers, codeOf(c.Handler()))
}

func (m *Manager) handlerCodes() []uintptr {
	return []uintptr{codeOf(m.Login), codeOf(m.Logout), codeOf(m.Status), codeOf(m.Refresh), codeOf(m.Reauthenticate)}
}

func codeOf(h gin.HandlerFunc) uintptr { return reflect.ValueOf(h).Pointer() }

// passive methods are no activity of the user.
func passive(method string) bool {
	return method == http.MethodHead || method == http.MethodOptions
}

// addVary tells caches that the answer depends on the cookie.
func (v *visit) addVary(h http.Header) {
	switch fields := h["Vary"]; {
	case len(fields) == 0:
		v.vary[0] = "Cookie"
		h["Vary"] = v.vary[:]
	case !slices.Contains(fields, "Cookie"):
		h.Add("Vary", "Cookie")
	}
}

func releaseMode() bool { return gin.Mode() == gin.ReleaseMode }
