// The life of a session: open, find, keep, end. Nothing here knows Gin.

package ginsession

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
)

// Manager opens, loads, renews and ends sessions. Its methods are safe for
// concurrent use. [New] makes one.
type Manager struct {
	cfg          Config
	keys         *token.Ring
	cookie       cookie
	deviceCookie cookie
	store        *store
	accounts     *Accounts
	origins      *http.CrossOriginProtection
	handlers     []uintptr // see answers

	live     *live
	watchers *watchers
	activity *activity
	owed     *owed
	heard    chan struct{}             // the feed was read
	warned   atomic.Bool               // see clientOf
	running  atomic.Bool               // Run
	synced   atomic.Pointer[time.Time] // see follows
}

// New returns a Manager over db, whose tables [models.Migrate] has made. Its
// error tells every fault of cfg at once. It starts nothing and asks the
// database nothing.
func New(db *gorm.DB, cfg Config) (*Manager, error) {
	cfg = cfg.withDefaults()
	keys, keyErr := cfg.keyRing()
	origins, originErr := cfg.originCheck()
	if err := errors.Join(keyErr, cfg.validate(), originErr); err != nil {
		return nil, fmt.Errorf("ginsession: %w", err)
	}
	if db == nil {
		return nil, errors.New("ginsession: db is nil")
	}
	for i, key := range cfg.Keys {
		if key.monotonous() {
			cfg.Logger.Warn(fmt.Sprintf("ginsession: key %d repeats few characters and may be guessed; a key should be random", i+1))
		}
	}
	cfg.Keys = nil // the ring has them
	m := &Manager{
		cfg:          cfg,
		keys:         keys,
		cookie:       newCookie(cfg.CookieName, cfg.Insecure),
		deviceCookie: newCookie(cfg.CookieName+"-device", cfg.Insecure),
		origins:      origins,
		live:         newLive(cfg.LiveSessions),
		watchers:     newWatchers(),
		heard:        make(chan struct{}, 1),
		activity:     newActivity(cfg.LiveSessions),
		owed:         newOwed(),
	}
	var err error
	if m.store, err = newStore(db, cfg.StoreTimeout, cfg.Users == nil, m.changedHere); err != nil {
		return nil, fmt.Errorf("ginsession: %w", err)
	}
	m.accounts = newAccounts(m)
	m.handlers = m.handlerCodes()
	if cfg.Insecure {
		cfg.Logger.Warn("ginsession: Insecure is set: the session cookie travels over plain http; for development only")
	}
	return m, nil
}

// Accounts returns the users of models.User. A Manager with other Users has no use for
// them, and their table need not be there then: each method answers with
// [ErrStoreUnavailable] where it is not.
func (m *Manager) Accounts() *Accounts { return m.accounts }

// Format implements [fmt.Formatter]: nothing of a Manager is for print.
func (m *Manager) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "ginsession.Manager") }

// now is read once for a request. It is exact to what a row can hold.
func (m *Manager) now() time.Time { return models.At(m.cfg.Now()).Time() }

// found is where a token led to.
type found struct {
	claims token.Claims
	row    models.Session // zero if there is none
	place  place          // of the secret in the claims
	user   Identity
	actor  Identity        // who is signed in as user, where that is another
	origin *models.Session // and his own session

	// accessed is the last access as far as this process knows. That of the row may
	// be behind, see activity.
	accessed models.Time

	known *known // if memory answers for the row from now on
}

// find follows a token to its session. It only looks. If the feed is followed,
// what it finds is remembered.
func (m *Manager) find(ctx context.Context, raw string, now time.Time, follows bool) (found, error) {
	claims, err := m.keys.Verify(raw, now)
	if err != nil && !errors.Is(err, token.ErrExpired) {
		return found{}, &Error{Code: ErrTokenInvalid, Err: err}
	}
	for attempt := 1; ; attempt++ {
		since := m.live.tick()
		f, err := m.lookUp(ctx, claims, now)
		if m.live.overtaken(since, claims.SessionID, string(f.row.UserID)) && attempt < maxReadings {
			continue // what was read may be what has just been changed
		}
		if err == nil && follows {
			f.known = m.remember(raw, f, since, now)
		}
		return f, err
	}
}

// remember keeps what a token led to, if it is of use.
func (m *Manager) remember(raw string, f found, since uint64, now time.Time) *known {
	until := m.restsUntil(f)
	if reread := now.Add(m.cfg.CacheFor); reread.Before(until) {
		until = reread
	}
	rest, ok := m.keys.Current(raw)
	if !ok || !now.Before(until) {
		return nil
	}
	return m.live.put(rest, m.brief(f), f.accessed, f.row.LastAccessed, since, models.At(now), models.At(until))
}

// maxReadings is how often a row is read that changes while it is read. The last
// answer is taken as it is: it is as old as the reading, but is not remembered.
const maxReadings = 3

// restsUntil returns until when there is nothing to do for a request with the
// token of f but to note the access, if the row stays as it is: zero for a token
// with which something is due.
func (m *Manager) restsUntil(f found) time.Time {
	behind := f.claims.ExpiresAt.Before(f.row.ExpiresAt.Time())
	if f.place != current || f.unseen() || f.claims.Retired || behind || f.row.RoleMark != roleMark(f.user.Role) {
		return time.Time{}
	}
	if f.row.Actor != "" {
		return time.Time{} // hangs on another session and another user too
	}
	until, _ := m.ends(f)
	if due := m.refreshAt(f.row); !due.IsZero() && due.Before(until) {
		until = due
	}
	return until
}

// lookUp reads the row of genuine claims and judges them by it. On error the
// session does not stand; what was found of it is returned all the same.
func (m *Manager) lookUp(ctx context.Context, claims token.Claims, now time.Time) (found, error) {
	if m.owed.ended(claims.SessionID) {
		return found{}, ErrSessionNotFound // its row may not say so yet
	}
	rec, ok, err := m.store.find(ctx, claims.SessionID)
	if err != nil {
		return found{}, err
	}
	if !ok {
		return found{}, ErrSessionNotFound
	}
	if err := claims.Fit(rec.CreatedAt.Time(), rec.AbsoluteExpiresAt.Time()); err != nil {
		return found{}, &Error{Code: ErrTokenInvalid, Err: err}
	}
	f := found{
		claims:   claims,
		row:      rec.Session,
		place:    placeOf(rec.Session, claims.Secret, now),
		accessed: m.lastAccess(rec.Session),
	}
	if err := m.over(f, now); err != nil {
		return f, err
	}
	// The token expires before the row if it is older than the last renewal. It
	// passes while the answer with the newer one may still be on its way.
	if !now.Before(claims.ExpiresAt) && !now.Before(rec.RenewedAt.Time().Add(renewalGrace)) {
		return f, ErrSessionExpired
	}
	if f.place == unknown {
		return f, ErrSessionInvalid
	}
	if f.user, err = m.identity(ctx, rec); err == nil && rec.Actor != "" {
		err = m.acts(ctx, &f, now)
	}
	return f, err
}

// over says why the session of a row is over, if it is. Only who has its secret is
// told the reason.
func (m *Manager) over(f found, now time.Time) error {
	over := &Error{}
	switch end, reason := m.ends(f); {
	case !f.row.EndedAt.IsZero():
		over.Reason = Reason(f.row.EndReason)
		over.Code = over.Reason.code()
	case !sound(f.row), !ownerMarked(m.keys, f.row):
		over.Code = ErrSessionInvalid
	case !now.Before(end):
		over.Code, over.Reason = ErrSessionExpired, reason
	default:
		return nil
	}
	if f.place == unknown {
		over.Reason = ""
	}
	return over
}

// sound reports whether a row of a session that has not ended can be one that we
// wrote. Another signs nobody in, whatever else is right about it.
func sound(row models.Session) bool {
	first := min(row.CreatedAt, row.AuthenticatedAt, row.LastAccessed, row.RenewedAt, row.ExpiresAt)
	return row.UserID != "" && first > 0 && row.SeenAt >= 0 && row.ExpiresAt <= row.AbsoluteExpiresAt
}

// identity says whose a session is, as it stands now.
func (m *Manager) identity(ctx context.Context, rec record) (Identity, error) {
	if m.cfg.Users == nil {
		if rec.Account.ID == "" || rec.Account.ID != rec.UserID || !rec.Account.DisabledAt.IsZero() {
			return Identity{}, &Error{Code: ErrSessionInvalid, Reason: ReasonDisabled}
		}
		return rec.Account.identity(), nil
	}
	user, err := m.userOf(ctx, string(rec.UserID))
	if errors.Is(err, ErrUserNotFound) {
		err = &Error{Code: ErrSessionInvalid, Reason: ReasonDisabled}
	}
	return user, err
}

// userOf asks who a user is. The error is ErrUserNotFound, or a fault of the store.
func (m *Manager) userOf(ctx context.Context, id string) (Identity, error) {
	if !isID(id) {
		return Identity{}, ErrUserNotFound
	}
	if m.cfg.Users == nil {
		return m.accounts.Identity(ctx, id)
	}
	ctx, cancel := m.store.deadline(ctx)
	defer cancel()
	user, err := m.cfg.Users.Identity(ctx, id)
	switch {
	case errors.Is(err, ErrUserNotFound):
		return Identity{}, ErrUserNotFound
	case err == nil && user.UserID != id:
		err = errors.New("Users.Identity returned another user than it was asked for")
	case err == nil:
		err = ctx.Err()
	}
	if err != nil {
		return Identity{}, &Error{Code: ErrStoreUnavailable, Err: err}
	}
	return user, nil
}

// keep does what activity does to a session that was found alive: it is
// renewed if that is due, or if force is set and a renewal would lengthen it;
// otherwise the access is noted. It returns the session as it is now, and the
// token of a new cookie if there is to be one.
func (m *Manager) keep(ctx context.Context, f found, force bool, now time.Time, by client) (found, string, error) {
	if m.due(f, force, now) {
		renewed, raw, err := m.renew(ctx, f, now, by)
		if err != nil || raw != "" {
			return renewed, raw, err
		}
		f = renewed
	}
	if err := m.access(ctx, &f, now, by); err != nil {
		return found{}, "", err
	}
	if f.lost(now) {
		return m.sign(f, f.present(), now) // the answer with the successor was lost
	}
	return f, "", nil
}

// access notes an access. It is written at once if it is the first of a new
// secret, or comes long after the last; otherwise it is gathered while Run runs.
func (m *Manager) access(ctx context.Context, f *found, now time.Time, by client) error {
	one := access{f.row.ID, models.At(now), by}
	seen := f.place == current && f.unseen()
	switch {
	case seen || m.longSince(one.id, f.accessed, one.at):
		touched, err := m.store.touch(ctx, f.row, seen, one.at, by)
		if err != nil {
			return err
		}
		if touched {
			m.activity.wrote(one, one.at)
		} else { // another was quicker
			m.activity.note(one, one.at)
		}
		f.row.LastAccessed, f.row.IPAddress, f.row.UserAgent = one.at, by.ip, by.agent
		if seen {
			f.row.SeenAt = one.at
		}
	case !m.activity.note(one, f.row.LastAccessed):
		return nil
	}
	f.accessed = max(f.accessed, one.at)
	if f.known != nil {
		f.known.accessed.Store(int64(f.accessed))
	}
	return nil
}

// longSince reports whether an access of a session comes so long after the last
// one that it is to be written at once: see activity. Where nobody would write it
// later, that is so once a minute.
func (m *Manager) longSince(id models.Exact, last, at models.Time) bool {
	gathered, written := m.activity.state(id)
	if gathered && m.cfg.IdleTimeout > 0 && m.cfg.IdleTimeout < 3*activityInterval {
		return !within(at, last, activityInterval-activitySlack)
	}
	return !within(at, last, activityInterval) && !(gathered && within(at, written, activityInterval))
}

// unseen reports whether a secret was rotated, and the new one has not come yet.
func (f found) unseen() bool { return f.row.SeenAt.IsZero() && len(f.row.PreviousHash) > 0 }

// due reports whether a session is to be renewed: because the cookie does not
// serve any more, near the session's end, because the user's role is another one
// than when the secret was made, or by the user's wish. While a secret that was
// seen rests, the last three wait, unless the session would not outlast the rest.
func (m *Manager) due(f found, force bool, now time.Time) bool {
	if f.outdated(now) || f.doubtful() && f.lost(now) {
		return true
	}
	rotatable := m.rotatable(f, now)
	if rotatable && f.row.RoleMark != roleMark(f.user.Role) {
		return true
	}
	due := m.refreshAt(f.row)
	switch {
	case due.IsZero():
		return false
	case rotatable:
		return force || !now.Before(due)
	case f.row.SeenAt.IsZero(): // the only request, perhaps, for a long time
		return !now.Before(due)
	default:
		return !now.Before(due) && f.row.ExpiresAt.Time().Sub(now) < maxRest
	}
}

// outdated reports whether the cookie has the present secret, but under a key
// that signs no more, or with an expiry before the row's, because the answer
// with a later one was lost. It is replaced by a renewal, which leaves a mark in
// the row: the secret rests from then on.
func (f found) outdated(now time.Time) bool {
	behind := f.claims.ExpiresAt.Before(f.row.ExpiresAt.Time())
	return f.place == current && (f.claims.Retired || behind) && f.late(now)
}

// late reports whether an answer with the cookie of the last renewal should have
// arrived: requests that ran beside it have had theirs by now. A cookie that has
// little time left waits only half of that.
func (f found) late(now time.Time) bool {
	renewed := f.row.RenewedAt.Time()
	left := f.claims.ExpiresAt.Sub(renewed)
	return !now.Before(renewed.Add(min(renewalGrace, left/2)))
}

// lost reports whether the answer with the present secret seems to be lost: the
// predecessor still comes.
func (f found) lost(now time.Time) bool {
	return f.place == predecessor && f.row.SeenAt.IsZero() && f.late(now)
}

// doubtful reports whether the token has the predecessor, and the secret was replaced
// because the user proved who he is. Whoever comes with the old one has proved
// nothing: if he is given the successor, nobody has.
func (f found) doubtful() bool {
	return f.place == predecessor && f.row.AuthenticatedAt >= f.row.RenewedAt
}

// rotatable reports whether the secret can be replaced now.
func (m *Manager) rotatable(f found, now time.Time) bool {
	at, ok := m.rested(f.row)
	return ok && f.place == current && !now.Before(at)
}

// present returns the present secret of the session, which a token with the
// predecessor does not have.
func (f found) present() string {
	if f.place == predecessor {
		return derive(f.claims.Secret, f.row.Salt)
	}
	return f.claims.Secret
}

// renew sets a new expiry and a new secret. Of many requests at once one does so
// and gets the token of the new cookie; for the others the row decides, as it is
// then. A secret that rests stays, and only the expiry is set.
func (m *Manager) renew(ctx context.Context, f found, now time.Time, by client) (found, string, error) {
	next, secret := f.row, f.present()
	next.ExpiresAt = max(next.ExpiresAt, models.At(m.cfg.expiry(now, f.row.AbsoluteExpiresAt.Time(), f.row.Remember)))
	mark := roleMark(f.user.Role)
	later := next.ExpiresAt > f.row.ExpiresAt
	switch {
	case m.rotatable(f, now) && (later || next.RoleMark != mark || f.outdated(now) || f.row.Remember):
		secret = rotate(&next, secret)
		next.RoleMark = mark
	case !later && !f.outdated(now) && !f.doubtful():
		return f, "", nil
	case f.place == current && next.SeenAt.IsZero():
		next.SeenAt = models.At(now)
	}
	if f.doubtful() {
		next.AuthenticatedAt = next.CreatedAt
	}
	next.RenewedAt, next.LastAccessed = models.At(now), models.At(now)
	next.IPAddress, next.UserAgent = by.ip, by.agent
	return m.replace(ctx, f, next, secret, "", now, by)
}

// replace writes a renewal. If another request was quicker, the row decides, and
// there is no token.
func (m *Manager) replace(ctx context.Context, f found, next models.Session, secret string, reason Reason, now time.Time, by client) (found, string, error) {
	next.OwnerMark = ownerMark(m.keys, next) // under the present key
	event := by.event(eventSessionRenewed, f.row.ID, f.row.UserID, reason, now)
	won, err := m.store.renew(ctx, f.row, next, event)
	if err != nil {
		return found{}, "", err
	}
	if !won { // another request renewed it meanwhile, or ended it
		f, err = m.lookUp(ctx, f.claims, now)
		return f, "", err
	}
	m.tell(ctx, event)
	if f.claims.Retired {
		m.tell(ctx, by.event(eventKeyRotated, f.row.ID, f.row.UserID, "", now))
	}
	f.row, f.accessed, f.known = next, next.LastAccessed, nil
	return m.sign(f, secret, now)
}

// confirm gives the session a new secret, and all the time of a new one, because
// its user has just proved who he is. It does nothing, and there is no token, if the
// secret cannot be replaced now.
func (m *Manager) confirm(ctx context.Context, f found, now time.Time, by client) (found, string, error) {
	if !m.rotatable(f, now) {
		return f, "", nil
	}
	next := f.row
	secret := rotate(&next, f.present())
	absolute := m.cfg.absoluteEnd(now)
	next.RoleMark = roleMark(f.user.Role)
	next.AuthenticatedAt, next.AbsoluteExpiresAt = models.At(now), models.At(absolute)
	next.ExpiresAt = models.At(m.cfg.expiry(now, absolute, next.Remember))
	next.RenewedAt, next.LastAccessed = models.At(now), models.At(now)
	next.IPAddress, next.UserAgent = by.ip, by.agent
	return m.replace(ctx, f, next, secret, reasonConfirmed, now, by)
}

// notEnded reports whether the token has led to a session that was not ended.
func (f found) notEnded() bool {
	return f.row.ID != "" && f.row.EndedAt.IsZero() && f.place != unknown
}

// expire ends a session that was found to have run out, so that no step of a
// clock brings it back. The row of one that was renewed meanwhile stays.
func (m *Manager) expire(ctx context.Context, f found, now time.Time, by client) error {
	end, reason := m.ends(f)
	if !f.row.EndedAt.IsZero() || now.Before(end) {
		return nil
	}
	event := by.event(eventSessionExpired, f.row.ID, f.row.UserID, reason, now)
	ended, err := m.store.expire(ctx, f.row, event)
	if ended {
		m.tell(ctx, event)
	}
	return err
}

// reuse ends a session of which a secret came that is good no longer.
func (m *Manager) reuse(ctx context.Context, f found, now time.Time, by client) error {
	if f.row.ID == "" || !f.row.EndedAt.IsZero() || f.place != unknown {
		return nil
	}
	event := by.event(eventTokenReuse, f.row.ID, f.row.UserID, ReasonReuse, now)
	ended, err := m.store.reuse(ctx, f.row, event)
	if ended {
		m.tell(ctx, event)
	}
	return err
}

// A name is how a session is called in rows and events. The zero name is none.
type name struct{ session, user models.Exact }

// A signIn is a session to be opened.
type signIn struct {
	user        Identity
	remember    bool
	knownDevice bool   // he has signed in there before
	old         []name // the sessions that this one takes the place of
	onlyIfLive  bool   // one of these must not have ended yet

	actor  Identity       // who signs in as user, where that is another
	origin models.Session // and his own session
}

// open makes a session and ends the one it takes the place of. It returns the
// session and the token of its cookie.
func (m *Manager) open(ctx context.Context, in signIn, now time.Time, by client) (found, string, error) {
	user := in.user
	if !isID(user.UserID) {
		return found{}, "", errors.New("the UserID of the identity must be text of 1 to 255 bytes")
	}
	secret := newSecret()
	absolute := m.cfg.absoluteEnd(now)
	row := models.Session{
		ID:                newID(),
		UserID:            models.Exact(user.UserID),
		SecretHash:        hashSecret(secret),
		RoleMark:          roleMark(user.Role),
		Remember:          in.remember,
		CreatedAt:         models.At(now),
		AuthenticatedAt:   models.At(now),
		LastAccessed:      models.At(now),
		RenewedAt:         models.At(now),
		ExpiresAt:         models.At(m.cfg.expiry(now, absolute, in.remember)),
		AbsoluteExpiresAt: models.At(absolute),
		IPAddress:         by.ip,
		UserAgent:         by.agent,
	}
	if in.actor.UserID != "" {
		row.Actor, row.OriginID = models.Exact(in.actor.UserID), in.origin.ID
		row.ExpiresAt = min(row.ExpiresAt, in.origin.ExpiresAt, models.At(now.Add(impersonationAge).Truncate(time.Second)))
		row.AbsoluteExpiresAt = row.ExpiresAt
		row.AuthenticatedAt = in.origin.AuthenticatedAt // nobody has proved anything since
	}
	row.OwnerMark = ownerMark(m.keys, row)
	f, raw, err := m.sign(found{row: row, user: user, actor: in.actor, accessed: row.LastAccessed}, secret, now)
	if err != nil {
		return found{}, "", err
	}
	former := by // who has the sessions that end
	by.actor = row.Actor
	o := opening{
		row:     row,
		account: m.cfg.Users == nil,
		epoch:   user.epoch,
		live:    in.onlyIfLive,
		created: []models.Event{by.event(eventSessionCreated, row.ID, row.UserID, "", now)},
	}
	if !in.knownDevice {
		o.created = append(o.created, by.event(eventNewDevice, row.ID, row.UserID, "", now))
	}
	for _, old := range in.old {
		o.ended = append(o.ended, former.event(eventSessionLogout, old.session, old.user, ReasonLogout, now))
	}
	if row.Actor == "" {
		o.limit = m.limitOf(user, by, now)
	}
	ended, err := m.store.open(ctx, o)
	if err != nil {
		if errors.Is(err, ErrSessionLimit) {
			m.record(ctx, by.event(eventSessionLimit, "", row.UserID, Reason(ErrSessionLimit), now))
		}
		return found{}, "", err
	}
	for _, event := range append(o.created, ended...) {
		m.tell(ctx, event)
	}
	if o.account && row.Actor == "" {
		f.user.LastLogin = now
	}
	return f, raw, nil
}

// limitOf is how many sessions a user may have, and what happens to one too many.
func (m *Manager) limitOf(user Identity, by client, now time.Time) limit {
	l := limit{most: m.cfg.MaxSessions, refuse: m.cfg.RefuseOverLimit}
	if m.cfg.MaxSessionsOf != nil {
		l.most = m.cfg.MaxSessionsOf(user)
	}
	if m.cfg.IdleTimeout > 0 { // a row may be behind by a little more than two minutes: see activity
		l.usedSince = models.At(now.Add(-m.cfg.IdleTimeout - 3*activityInterval))
	}
	l.lock = m.attemptID("sign-in", user.UserID)
	l.ended = by.event(eventSessionLimit, "", models.Exact(user.UserID), ReasonLimit, now)
	return l
}

// end ends sessions, all or none, because their user signs out.
func (m *Manager) end(ctx context.Context, names []name, now time.Time, by client) error {
	events := make([]models.Event, len(names))
	for i, n := range names {
		events[i] = by.event(eventSessionLogout, n.session, n.user, ReasonLogout, now)
	}
	ended, err := m.store.endThese(ctx, events)
	if err != nil {
		return err
	}
	for _, event := range ended {
		m.tell(ctx, event)
	}
	return nil
}

// endOwed ends the session of a visit here and now although the database does not
// answer, and keeps its end until it does. With that of somebody who is signed in as
// another his own ends, here at once if it is known.
func (m *Manager) endOwed(v *visit, by client) {
	now := v.now()
	claims, err := m.keys.Verify(v.token(), now)
	if err != nil {
		return // nothing that could be used
	}
	ids := []models.Exact{models.Exact(claims.SessionID)}
	for _, n := range v.names() {
		if !slices.Contains(ids, n.session) {
			ids = append(ids, n.session)
		}
	}
	until := m.cfg.absoluteEnd(claims.IssuedAt.Add(m.cfg.AbsoluteTimeout)) // a Confirm since then may have begun a whole one
	for _, id := range ids {
		if !m.owed.logout(id, logout{now, by, until}, now) {
			m.cfg.Logger.Error("ginsession: a logout is lost: the database does not answer, and too many wait for it", "session", string(id))
		}
		m.changedHere(models.Event{Name: eventSessionLogout, SessionID: id})
	}
}

// sign makes the token of a new cookie for f, which expires with its row.
func (m *Manager) sign(f found, secret string, now time.Time) (found, string, error) {
	f.place = current
	f.claims = token.Claims{
		SessionID: string(f.row.ID),
		Secret:    secret,
		IssuedAt:  now.Truncate(time.Second),
		ExpiresAt: f.row.ExpiresAt.Time(),
	}
	raw, err := m.keys.Sign(f.claims)
	return f, raw, err
}

// isID reports whether every database can hold an id of a session or a user.
func isID(id string) bool {
	return id != "" && len(id) <= 255 && utf8.ValidString(id) && !strings.ContainsRune(id, 0)
}

// newID returns a public id of 130 random bits.
func newID() models.Exact { return models.Exact(rand.Text()) }
