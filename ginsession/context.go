// Where the session of a request is kept, and how handlers get at it.

package ginsession

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/models"
)

// visit is what one request has to do with the session of one manager. It is
// also the context that carries it. It is never changed once it has been put:
// when the session changes, so when it is opened or ended, another visit is put
// before it.
type visit struct {
	context.Context // of the request before

	m       *Manager
	at      models.Time // the one instant of the request
	follows bool        // see Manager.follows
	cookie  bool        // one came
	loaded  bool        // Load has run
	raw     *string     // the token that came: see token. A dump follows no pointers
	bearer  bool        // it came in Authorization
	login   string      // the name that was given with the right password, if one was
	issued  *string     // a new one for the answer, if it goes into no cookie

	// If err is nil, at least one of the next two has the session. What is known
	// will do; what was found in the row has all that is needed to change it.
	known *known
	found *found
	err   error // why there is no session

	vary    [1]string    // these two are here to spare allocations: the header's,
	request http.Request // and that of the request with the visit as its context
}

func (v *visit) now() time.Time { return v.at.Time() }

// Value implements [context.Context].
func (v *visit) Value(key any) any {
	if key == (visitKey{}) {
		return v
	}
	return v.Context.Value(key)
}

// token returns the token that came. Of one that is known nothing was kept.
func (v *visit) token() string {
	switch {
	case v.raw != nil:
		return *v.raw
	case v.known != nil:
		return v.m.keys.Whole(v.known.token)
	default:
		return ""
	}
}

// session returns the session of a visit without err.
func (v *visit) session() Session {
	if v.known != nil {
		return v.m.session(&v.known.session, models.Time(v.known.accessed.Load()))
	}
	b := v.m.brief(*v.found)
	return v.m.session(&b, v.found.accessed)
}

// name names the session that the visit's token led to, if it was not ended.
func (v *visit) name() name {
	switch {
	case v.known != nil && v.err == nil:
		return name{models.Exact(v.known.session.id), models.Exact(v.known.session.user.UserID)}
	case v.found != nil && v.found.notEnded():
		return name{v.found.row.ID, v.found.row.UserID}
	default:
		return name{}
	}
}

// names are the sessions that end when the user signs out, or in as somebody: that of
// the visit and, if it is of somebody who is signed in as another, his own, also when
// his time as the other has run out.
func (v *visit) names() (all []name) {
	if n := v.name(); n != (name{}) {
		all = append(all, n)
	}
	if v.found == nil || v.found.row.OriginID == "" || v.found.place == unknown || !ownerMarked(v.m.keys, v.found.row) {
		return all
	}
	if row := v.found.row; row.EndedAt.IsZero() || Reason(row.EndReason).code() == ErrSessionExpired {
		all = append(all, name{row.OriginID, row.Actor})
	}
	return all
}

// Format implements [fmt.Formatter]: a dump of a context shows no secret.
func (v *visit) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "ginsession.visit") }

type (
	visitKey   struct{} // of a *visit
	sessionKey struct{} // of a Session, in a context that NewContext made
)

// From returns the session of the request, if it has one. It is there once
// [Manager.Load] has run; of several managers that of the last one to load
// counts. In another goroutine it is called on a copy of c.
func From(c *gin.Context) (Session, bool) {
	v := visitOf(c)
	if v == nil || v.err != nil {
		return Session{}, false
	}
	return v.session(), true
}

// FromContext returns the session that a context carries, if any. ctx may be
// the request's context, a *gin.Context, or one made from either. One made from
// a *gin.Context must not outlive the handler, because Gin uses that again.
func FromContext(ctx context.Context) (Session, bool) {
	if s, ok := ctx.Value(sessionKey{}).(Session); ok {
		return s, true
	}
	if c, ok := ctx.Value(gin.ContextKey).(*gin.Context); ok {
		return From(c)
	}
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok || v.err != nil {
		return Session{}, false
	}
	return v.session(), true
}

// NewContext returns a context that carries s, for code that is called without
// a request: jobs, tests.
func NewContext(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// visitOf returns the visit that was put last, or nil. It is in the request's
// context alone: a place in the gin.Context would cost an allocation, and Gin
// forgets it in Engine.HandleContext.
func visitOf(c *gin.Context) *visit {
	if c.Request == nil {
		return nil
	}
	ctx := c.Request.Context()
	if v, ok := ctx.(*visit); ok {
		return v
	}
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// visitOf returns the manager's own visit of the request, or nil.
func (m *Manager) visitOf(c *gin.Context) *visit {
	v := visitOf(c)
	for v != nil && v.m != m {
		v, _ = v.Context.Value(visitKey{}).(*visit)
	}
	return v
}

// put makes v the visit of the request.
func (v *visit) put(c *gin.Context) {
	v.Context = c.Request.Context()
	v.request = *c.Request.WithContext(v)
	if strings.HasPrefix(c.Request.Header.Get("Content-Type"), "multipart/") {
		// The server removes the files of a form through the request that it made, so
		// that one has to know the form.
		*c.Request = v.request
		return
	}
	c.Request = &v.request
}
