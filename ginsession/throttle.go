// Not too often: attempts to sign in are counted, on all nodes together, before a
// password is looked at.

package ginsession

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ginsession/gin-session/models"
)

// Each attempt is counted several times, in one transaction, and taken back when it
// turns out to be right. So guesses that are made at the same instant, on whatever
// nodes, or by clients that hang up, cannot pass together.
//
//   - On the account, by the name that was given, from this source: after
//     freeFailures each failure is followed by a wait, 30 seconds first, then twice
//     as long each time, up to an hour. A stranger's failures do not make the user
//     wait elsewhere.
//   - On the account from everywhere: at most maxFailures in a row (NIST SP 800-63B
//     section 3.2.2). Only a success or a new password begins anew. Strangers have
//     strangerFailures of them; the rest is for devices on which the user has signed
//     in before, see device.go. So nobody shuts him out there by guessing.
//   - From the source: at most sourceFailures in sourceWindow, on whatever
//     accounts. IPv6 is counted by /64, the least that anybody is given.
//
// A known device is a source of its own for its account, and for the first two alone.
//
// A name that nobody has is counted like an account, or its answers would differ.
const (
	freeFailures     = 5
	firstWait        = 30 * time.Second
	longestWait      = time.Hour
	maxFailures      = 100
	strangerFailures = 80
	sourceFailures   = 30
	sourceWindow     = 10 * time.Minute

	forgetPair   = 24 * time.Hour      // after the first failure of an account from a source
	forgetNobody = 90 * 24 * time.Hour // and of a name that is no account we know
)

// An attempt is a password that somebody gives for an account.
type attempt struct {
	login   string       // the name that was given
	account string       // whose it is
	user    models.Exact // empty if it is nobody's we know
	device  device       // that it is made on
	source  netip.Addr   // invalid if it is not known: then it is no source's
	by      client
	at      time.Time
	failed  string // the event of a failure
}

// The places of the counters of an attempt, and of their rows.
const (
	pairRow    = iota // the account from this source
	accountRow        // the account from everywhere
	sourceRow         // the source on any account; a known device has none
)

// counter is one of the rows under which an attempt is counted.
type counter struct {
	row   models.LoginAttempts // as it is when it begins
	limit int64
	waits bool
}

func (m *Manager) counters(a attempt) []counter {
	now := a.at
	forever := models.At(now.Add(forgetNobody))
	if a.user != "" {
		forever = 0
	}
	known := m.knows(a.device, a.account)
	source, limit := "", int64(strangerFailures)
	switch {
	case known:
		source, limit = "device "+a.device.name, maxFailures
	case a.source.IsValid():
		source = a.source.String()
		if a.source.Is6() {
			source = networkOf(a.source, 64)
		}
	}
	begin := func(expires models.Time, names ...string) models.LoginAttempts {
		return models.LoginAttempts{ID: m.attemptID(names...), Failures: 1, ExpiresAt: expires}
	}
	counters := []counter{
		{begin(models.At(now.Add(forgetPair)), "pair", accountOfName(a.login), source), maxFailures, true},
		{begin(forever, "account", a.account), limit, false},
	}
	if source != "" && !known {
		counters = append(counters, counter{begin(models.At(now.Add(sourceWindow)), "source", source), sourceFailures, false})
	}
	return counters
}

// accountOfUser and accountOfName are what attempts are counted under.
func accountOfUser(id models.Exact) string { return "user " + string(id) }

func accountOfName(login string) string {
	if key, err := canonical(login); err == nil {
		return "name " + string(key)
	}
	return "name " + login // nobody has it
}

// attemptID is a MAC: a dump of the table tells no names and no addresses, not even to
// who can guess them.
func (m *Manager) attemptID(names ...string) models.Exact {
	return models.Exact(m.keys.Mark("attempt\x00" + strings.Join(names, "\x00")))
}

// Unlock forgets the failed attempts to sign in on the account of a username or
// e-mail: after 80 of them in a row nobody signs in any more on a device on which the
// user has not signed in before, and after 100 nobody at all, until then or until the
// password is set anew. The waits of single sources stay. The error is
// [ErrStoreUnavailable].
func (m *Manager) Unlock(ctx context.Context, login string) error {
	account := accountOfName(login)
	if m.cfg.Users == nil {
		user, err := m.accounts.byLogin(ctx, login)
		if err != nil {
			return stamp(err, m.now())
		}
		if user.ID != "" {
			account = accountOfUser(user.ID)
		}
	}
	err := m.store.write(ctx, func(db *gorm.DB) error { return forgiveAccount(db, m.attemptID("account", account)) })
	if err != nil {
		return stamp(err, m.now())
	}
	return nil
}

// judge says of a row in which an attempt has just been counted what it is to be,
// and how long the attempt has to wait instead, if it does.
func (c counter) judge(row models.LoginAttempts, now time.Time) (models.LoginAttempts, time.Duration) {
	if !row.ExpiresAt.IsZero() && !now.Before(row.ExpiresAt.Time()) {
		row = c.row
	}
	until := row.Until.Time()
	switch wait := until.Sub(now); {
	case row.Failures > c.limit && c.waits, row.Failures > c.limit && row.ExpiresAt.IsZero():
		return row, longestWait
	case row.Failures > c.limit:
		return row, min(longestWait, row.ExpiresAt.Time().Sub(now))
	case row.Failures > 1 && wait > 0 && wait <= longestWait: // a longer one is a clock's that was set back
		return row, wait
	}
	if c.waits && row.Failures >= freeFailures {
		row.Until = models.At(now.Add(waitAfter(row.Failures)))
	}
	return row, 0
}

// waitAfter is how long the next attempt waits after so many failures.
func waitAfter(failures int64) time.Duration {
	wait := firstWait
	for range failures - freeFailures {
		if wait *= 2; wait >= longestWait {
			return longestWait
		}
	}
	return wait
}

// counted carries out an attempt if it does not come too early. examine looks at
// the password, and may set the attempt's user; only if it says ErrCredentialsInvalid
// does the attempt stay counted. The error is ErrRateLimited, with the time to wait,
// for one that comes too early: then nobody has looked at the password.
func (m *Manager) counted(ctx context.Context, a *attempt, examine func() error) error {
	rows, err := m.store.countAttempt(ctx, m.counters(*a), a.at)
	if err != nil {
		return err
	}
	err = examine()
	told := func(name string, reason Reason) models.Event { return a.by.event(name, "", a.user, reason, a.at) }
	switch {
	case err == nil:
		if err := m.store.forgive(ctx, rows); err != nil {
			return err
		}
		name := eventLoginSuccess
		if rows[accountRow].Failures > 1 {
			name = eventLoginAfterFail
		}
		if a.failed == eventLoginFailed {
			m.tell(ctx, told(name, ""))
		}
	case errors.Is(err, ErrCredentialsInvalid):
		m.record(ctx, told(a.failed, Reason(ErrCredentialsInvalid)))
		if rows[pairRow].Failures == freeFailures {
			m.record(ctx, told(eventLoginFailedMax, ""))
		}
		if n := rows[accountRow].Failures; n == strangerFailures || n == maxFailures {
			m.record(ctx, told(eventLoginLocked, ""))
		}
	default:
		if late := m.store.uncount(ctx, rows); late != nil {
			m.cfg.Logger.ErrorContext(ctx, "ginsession: an attempt to sign in stays counted although nobody looked at it", "error", late)
		}
	}
	return err
}
