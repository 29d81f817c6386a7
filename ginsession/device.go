// The device: how a browser is known again in which a user has signed in before.

package ginsession

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
)

// A browser in which somebody signs in gets a second cookie. It holds a random name
// of the device and, for each account that was signed in to there, a mark: a MAC of
// the device and the account. It opens nothing. It says that the user of an account
// has been here, which serves two ends: strangers who guess at his password make him
// wait nowhere but where he has never been, see throttle.go; and a sign-in where he
// has never been is an event of its own.
//
// It says so to us alone: the name is random, and a mark tells nothing of the account.
// It is sent with every request, since a cookie with the prefix __Host- is, but only
// a sign-in looks at it.

const (
	// maxMarks is how many accounts a device is known to, the latest first.
	maxMarks = 9

	// deviceAge is as long as browsers keep a cookie (RFC 6265bis section 5.5). Each
	// sign-in begins it anew.
	deviceAge = 400 * 24 * time.Hour
)

// A device is what the cookie of a browser says. The zero device is one that nobody
// knows.
type device struct {
	name  string
	marks []string
}

// deviceOf reads the cookie of a request. One that could not be ours is none.
func (m *Manager) deviceOf(h http.Header) device {
	value, count := m.deviceCookie.read(h)
	parts := strings.SplitN(value, ".", maxMarks+2)
	if count != 1 || len(parts) > maxMarks+1 {
		return device{}
	}
	for _, part := range parts {
		if len(part) != token.MarkLength || strings.ContainsFunc(part, notBase64URL) {
			return device{}
		}
	}
	return device{parts[0], parts[1:]}
}

// knows reports whether the user of an account has signed in on a device.
func (m *Manager) knows(d device, account string) bool {
	return slices.ContainsFunc(d.marks, func(mark string) bool {
		return m.keys.Marked(d.name+" "+account, mark)
	})
}

// setDevice writes the cookie of a device on which user has just signed in.
// login is the name that he gave, if any.
func (m *Manager) setDevice(h http.Header, d device, user Identity, login string, now time.Time) {
	if d.name == "" {
		d.name = newSecret()[:token.MarkLength]
	}
	parts, others := []string{d.name}, d.marks
	for _, account := range m.accountsOf(user, login) {
		text := d.name + " " + account
		parts = append(parts, m.keys.Mark(text))
		others = slices.DeleteFunc(others, func(mark string) bool { return m.keys.Marked(text, mark) })
	}
	parts = append(parts, others...)
	value := strings.Join(parts[:min(len(parts), maxMarks+1)], ".")
	m.deviceCookie.set(h, value, true, now, now.Add(deviceAge))
}

// accountsOf returns the accounts under which attempts of a user are counted: his
// own, or where the application has its Users the name under which he has just signed
// in. What else they call him counts for nothing: it may be another's name.
func (m *Manager) accountsOf(user Identity, login string) []string {
	accounts := []string{accountOfUser(models.Exact(user.UserID))}
	if m.cfg.Users != nil && login != "" {
		accounts = append(accounts, accountOfName(login))
	}
	return accounts
}

func notBase64URL(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
