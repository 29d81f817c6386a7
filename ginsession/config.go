// The settings: what they mean, what they default to, what New refuses.

package ginsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
)

// The defaults of [Config].
const (
	DefaultCookieName       = "session"
	DefaultMaxAge           = 24 * time.Hour
	DefaultRefreshThreshold = 30 * time.Minute
	DefaultAbsoluteTimeout  = 30 * 24 * time.Hour
	DefaultStoreTimeout     = 3 * time.Second
	DefaultSyncEvery        = time.Second
	DefaultCacheFor         = 30 * time.Second
	DefaultLiveSessions     = 100_000
	DefaultKeepSessions     = 30 * 24 * time.Hour
	DefaultKeepEvents       = 90 * 24 * time.Hour
	DefaultAudience         = "ginsession"
	DefaultMinPassword      = 15
	DefaultMaxSessions      = 20
)

const (
	issuer = "ginsession"

	// Browsers keep no cookie longer than 400 days (RFC 6265bis section 5.5).
	maxAbsoluteTimeout = 400 * 24 * time.Hour
)

// Config holds the settings of a [Manager]. The zero value of every field is
// its default and the safe side.
type Config struct {
	// Keys sign the cookies: the first signs, all of them verify. To change the
	// key put the new one first; cookies under the old one are reissued as they
	// come. Remove the old one when the longest session has ended. Each has at
	// least 32 bytes, which should be random: New warns of a key that repeats few.
	// Defaults to the comma-separated list in the environment variable JWT_SECRET.
	Keys []Key

	// Audience names this application in the token, so that two applications with
	// the same key do not accept each other's sessions.
	// Defaults to DefaultAudience.
	Audience string

	// MaxAge is how long a session lives after it was opened or last refreshed.
	// Defaults to 24 hours. At least one second.
	MaxAge time.Duration

	// RefreshThreshold is how long before its expiry a session in use is
	// refreshed. With the default, whoever is active in the last half hour stays
	// signed in for another MaxAge; half of MaxAge makes that "active once in the
	// second half".
	// Defaults to 30 minutes, or to half of MaxAge where that is less.
	RefreshThreshold time.Duration

	// IdleTimeout ends a session that was not used for so long. Where Run does not
	// run, a session's last access is known to a minute, and the doubt counts against
	// the session.
	// Defaults to 0: MaxAge alone rules. If set, at least two minutes, at most
	// AbsoluteTimeout.
	IdleTimeout time.Duration

	// AbsoluteTimeout is the age at which a session ends however much it is used.
	// A session opened with "remember" lasts until then.
	// Defaults to 30 days. At least MaxAge, at most 400 days.
	AbsoluteTimeout time.Duration

	// MaxSessions is how many sessions a user may have at a time. One more, and the
	// one that was not used for longest ends; which that is, is known to two minutes.
	// Sign-ins at the same instant, on whatever nodes, do not pass it together.
	// Defaults to 20. No limit if it is negative.
	MaxSessions int

	// MaxSessionsOf returns the limit of one user, in the place of MaxSessions; 0 or
	// less is no limit. It must be safe for concurrent use.
	// Defaults to none: MaxSessions holds for all.
	MaxSessionsOf func(user Identity) int

	// RefuseOverLimit refuses a sign-in that would pass the limit, with
	// [ErrSessionLimit], and lets the user's sessions be.
	// Defaults to false.
	RefuseOverLimit bool

	// MayImpersonate says whether a user may be signed in as another one. It should
	// not let anybody have a higher role than his own:
	//
	//	func(actor, user ginsession.Identity) bool {
	//		return actor.Role == "admin" && policy.Includes(actor.Role, user.Role)
	//	}
	//
	// It is asked when that begins, also about a UserID that nobody has, and at each
	// request while it lasts, because roles change. See [Manager.Impersonate]. It must
	// be safe for concurrent use.
	// Defaults to none: nobody may.
	MayImpersonate func(actor, user Identity) bool

	// Bearer lets clients that are no browsers send the token as "Authorization:
	// Bearer" (RFC 6750) where no cookie came. They get it in the answer to a sign-in
	// with "token":true, without a cookie, and another one in the answer to each
	// refresh, for which they must ask themselves.
	// Defaults to false: only the cookie counts.
	Bearer bool

	// CookieName is the name of the cookie, to which the prefix __Host- is added,
	// unless Insecure is set. That of the device on which a user signs in has "-device"
	// behind it.
	// Defaults to DefaultCookieName.
	CookieName string

	// Insecure is for development over plain http: the cookie goes without Secure
	// and without the prefix. New refuses it in Gin's release mode.
	// Defaults to false: the cookie needs https.
	Insecure bool

	// Users says who the users are. Defaults to [Accounts], over models.User.
	Users Users

	// LoginURL is the path of the sign-in page. If it is set, a guard sends a
	// browser that asks for a page there, with the page in the parameter "next",
	// and a form that fails to sign in goes back there with the parameter "error", a
	// [Code], and "retryAfter", the seconds to wait, if any. A guard adds "error" too,
	// unless the browser is simply not signed in (SESSION_NOT_FOUND).
	// Defaults to none: everybody is answered with JSON, or by Refuse.
	LoginURL string

	// MinPassword is how many characters a new password of [Accounts] must have. NIST
	// SP 800-63B asks for 15 where a password is all that is asked for, and for 8
	// where there is a second factor. Whatever the length, a password is refused that
	// is among the most common, or little more than the user's name.
	// Defaults to 15. At least 8, at most 64.
	MinPassword int

	// CheckPassword may refuse a new password of [Accounts], such as one that is known
	// to have leaked. Its error should match [ErrRequestInvalid]; the cause in it is
	// shown to the client. Any other error counts as a fault of the store.
	// Defaults to none.
	CheckPassword func(ctx context.Context, user Identity, password string) error

	// TrustedOrigins may send unsafe requests from other origins, each written
	// "https://app.example.com".
	// Defaults to none.
	TrustedOrigins []string

	// Refuse writes the answer to a request that is turned away and not sent to
	// LoginURL, such as an error page. The chain has been aborted when it is called.
	// Defaults to WriteError.
	Refuse RefuseFunc

	// StoreTimeout is how long one call of the database, or one transaction, may
	// take. It must be the same on all nodes: see [Manager.Run].
	// Defaults to 3 seconds.
	StoreTimeout time.Duration

	// SyncEvery is how often Run asks what other processes have changed. What they
	// end stays good here for so long at most, and the time of the query.
	// Defaults to 1 second. At least 10 milliseconds.
	SyncEvery time.Duration

	// CacheFor is how long a session is answered from memory, while Run runs,
	// before its row is read again. It bounds what a change can do that no event
	// tells of, such as one that was made with SQL, or in the users table of the
	// application.
	// Defaults to 30 seconds. More than three times SyncEvery.
	CacheFor time.Duration

	// LiveSessions is how many sessions are kept in memory while Run runs. Each
	// takes less than a kilobyte. When there are more, those that are used least
	// go: their rows are read again.
	// Defaults to 100,000. At least 1.
	LiveSessions int

	// KeepSessions is how long the row of a session is kept after it has ended.
	// Defaults to 30 days. At least an hour.
	KeepSessions time.Duration

	// KeepEvents is how long events are kept.
	// Defaults to 90 days. At least an hour, and twice CacheFor.
	KeepEvents time.Duration

	// Addresses says how much of a client's address is kept, in rows, events and
	// the log. The address is that of the peer; or what Gin's ClientIP says, once
	// the engine was told with SetTrustedProxies which proxies to believe, be it
	// none.
	// Defaults to AddressFull.
	Addresses Addresses

	// OnEvent hears of every event, such as a sign-in on a new device, to tell the
	// user: it is called in the goroutine of the request when the event has come
	// true, so it should be quick. It must be safe for concurrent use. If it
	// panics, that is logged and changes nothing. See Events in the documentation
	// of the package.
	// Defaults to none.
	OnEvent func(ctx context.Context, e models.Event)

	// Logger receives what happens to sessions and what goes wrong.
	// Defaults to slog.Default().
	Logger *slog.Logger

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Key is a secret key. However it is printed, its text is not shown.
type Key string

const redacted = "[redacted]"

// Format implements [fmt.Formatter].
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements [encoding.TextMarshaler], for JSON and slog.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format implements [fmt.Formatter]: all is printed but the keys, whose own Format
// is not asked where fmt meets a verb that it does not like.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config
	c.Keys = slices.Repeat([]Key{redacted}, len(c.Keys))
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c))
}

// monotonous reports whether a key has so few different bytes that it is hardly
// random: 32 random digits have ten of them.
func (k Key) monotonous() bool {
	var seen [256]bool
	different := 0
	for i := range len(k) {
		if !seen[k[i]] {
			seen[k[i]] = true
			different++
		}
	}
	return different < 8
}

// keysFromEnvironment reads JWT_SECRET.
func keysFromEnvironment() []Key {
	list := os.Getenv("JWT_SECRET")
	if list == "" {
		return nil
	}
	var keys []Key
	for key := range strings.SplitSeq(list, ",") {
		keys = append(keys, Key(strings.TrimSpace(key)))
	}
	return keys
}

// withDefaults fills what was left zero.
func (c Config) withDefaults() Config {
	if len(c.Keys) == 0 {
		c.Keys = keysFromEnvironment()
	}
	if c.Audience == "" {
		c.Audience = DefaultAudience
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.RefreshThreshold == 0 {
		c.RefreshThreshold = min(DefaultRefreshThreshold, c.MaxAge/2)
	}
	if c.AbsoluteTimeout == 0 {
		c.AbsoluteTimeout = DefaultAbsoluteTimeout
	}
	if c.CookieName == "" {
		c.CookieName = DefaultCookieName
	}
	if c.MinPassword == 0 {
		c.MinPassword = DefaultMinPassword
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = DefaultMaxSessions
	}
	if c.StoreTimeout == 0 {
		c.StoreTimeout = DefaultStoreTimeout
	}
	if c.SyncEvery == 0 {
		c.SyncEvery = DefaultSyncEvery
	}
	if c.CacheFor == 0 {
		c.CacheFor = DefaultCacheFor
	}
	if c.LiveSessions == 0 {
		c.LiveSessions = DefaultLiveSessions
	}
	if c.KeepSessions == 0 {
		c.KeepSessions = DefaultKeepSessions
	}
	if c.KeepEvents == 0 {
		c.KeepEvents = DefaultKeepEvents
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// validate returns every fault at once; each begins with the field's name.
func (c Config) validate() error {
	var faults []error
	fault := func(broken bool, format string, args ...any) {
		if broken {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(!utf8.ValidString(c.Audience) || len(c.Audience) > 255,
		"Audience: must be text of at most 255 bytes")
	fault(c.MaxAge < time.Second,
		"MaxAge: must be at least 1s, is %v", c.MaxAge)
	fault(c.RefreshThreshold < 0 || c.RefreshThreshold >= c.MaxAge,
		"RefreshThreshold: must be less than MaxAge (%v), is %v", c.MaxAge, c.RefreshThreshold)
	fault(c.IdleTimeout != 0 && c.IdleTimeout < 2*activityInterval,
		"IdleTimeout: must be 0 or at least %v, is %v", 2*activityInterval, c.IdleTimeout)
	fault(c.IdleTimeout > c.AbsoluteTimeout,
		"IdleTimeout: must be at most AbsoluteTimeout (%v), is %v", c.AbsoluteTimeout, c.IdleTimeout)
	fault(c.AbsoluteTimeout < c.MaxAge || c.AbsoluteTimeout > maxAbsoluteTimeout,
		"AbsoluteTimeout: must be from MaxAge (%v) to %v, is %v", c.MaxAge, maxAbsoluteTimeout, c.AbsoluteTimeout)
	fault(!isCookieName(c.CookieName),
		"CookieName: must be 1 to 64 letters, digits, '-' or '_', is %q", c.CookieName)
	fault(c.Insecure && releaseMode(),
		"Insecure: must not be set in Gin's release mode")
	fault(c.LoginURL != "" && localPath(c.LoginURL) != c.LoginURL,
		"LoginURL: must be a path on this site, such as /login, is %q", c.LoginURL)
	fault(c.MinPassword < leastPasswordLength || c.MinPassword > 64,
		"MinPassword: must be from %d to 64, is %d", leastPasswordLength, c.MinPassword)
	fault(c.Addresses < AddressFull || c.Addresses > AddressNone,
		"Addresses: must be AddressFull, AddressTruncated or AddressNone")
	fault(c.StoreTimeout < 0,
		"StoreTimeout: must be positive, is %v", c.StoreTimeout)
	fault(c.SyncEvery < 10*time.Millisecond,
		"SyncEvery: must be at least 10ms, is %v", c.SyncEvery)
	fault(c.CacheFor <= maxMissed*c.SyncEvery,
		"CacheFor: must be more than %d times SyncEvery (%v), is %v", maxMissed, c.SyncEvery, c.CacheFor)
	fault(c.LiveSessions < 1,
		"LiveSessions: must be positive, is %d", c.LiveSessions)
	fault(c.KeepSessions < time.Hour,
		"KeepSessions: must be at least 1h, is %v", c.KeepSessions)
	fault(c.KeepEvents < max(time.Hour, 2*c.CacheFor),
		"KeepEvents: must be at least %v, is %v", max(time.Hour, 2*c.CacheFor), c.KeepEvents)
	return errors.Join(faults...)
}

func isCookieName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}

// keyRing makes the keys ready; its errors name them by their place.
func (c Config) keyRing() (*token.Ring, error) {
	if len(c.Keys) == 0 {
		return nil, errors.New("Keys: none given, and the environment variable JWT_SECRET is not set")
	}
	secrets := make([][]byte, len(c.Keys))
	for i, key := range c.Keys {
		secrets[i] = []byte(key)
	}
	ring, err := token.NewRing(issuer, c.Audience, secrets...)
	if err != nil {
		return nil, fmt.Errorf("Keys: %w", err)
	}
	if !ring.Fits() {
		return nil, errors.New("Audience: makes tokens too long, because so many of its characters need escapes in JSON")
	}
	return ring, nil
}

// originCheck makes the check for requests from other origins ready.
func (c Config) originCheck() (*http.CrossOriginProtection, error) {
	check := http.NewCrossOriginProtection()
	var faults []error
	for _, origin := range c.TrustedOrigins {
		if err := check.AddTrustedOrigin(origin); err != nil {
			faults = append(faults, fmt.Errorf("TrustedOrigins: must be like https://app.example.com, is %q", origin))
		}
	}
	return check, errors.Join(faults...)
}

// absoluteEnd is the instant beyond which no renewal goes.
func (c Config) absoluteEnd(opened time.Time) time.Time {
	return opened.Add(c.AbsoluteTimeout).Truncate(time.Second)
}

// expiry is when a session ends that is opened or renewed now: the one
// computation behind the row, the token and the cookie. It is a whole second,
// because the token's and the cookie's are.
func (c Config) expiry(now, absoluteEnd time.Time, remember bool) time.Time {
	end := now.Add(c.MaxAge).Truncate(time.Second)
	if remember || end.After(absoluteEnd) {
		return absoluteEnd
	}
	return end
}

// end is when a session ends whose row expires at an instant and that was last
// accessed at another.
func (c Config) end(expires, accessed time.Time) time.Time {
	if c.IdleTimeout == 0 {
		return expires
	}
	if idle := accessed.Add(c.IdleTimeout); idle.Before(expires) {
		return idle
	}
	return expires
}
