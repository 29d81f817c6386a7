// Package token is the only room that knows JSON Web Tokens. It makes one exact
// shape of token and accepts that shape alone.
//
// A token is a JWS in compact serialization (RFC 7515) with HMAC SHA-256. Its
// claims are a public session id, a secret, two times, the issuer and the
// audience; nothing about the user is in it.
package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The errors of Verify.
var (
	// ErrInvalid means that the text is not a token of ours. [Why] says in what.
	ErrInvalid = errors.New("token: not a token of ours")
	// ErrExpired means that the token is ours, and its time has passed. The
	// claims are returned with it.
	ErrExpired = errors.New("token: expired")
)

// A flaw is in what a text is not a token of ours.
type flaw string

const (
	flawShape     flaw = "shape"     // its length, dots or letters
	flawHeader    flaw = "header"    // another algorithm, key or type
	flawSignature flaw = "signature" // the MAC
	flawClaims    flaw = "claims"    // what it says
)

// Error implements error.
func (f flaw) Error() string { return ErrInvalid.Error() + ": " + string(f) }

// Is makes every flaw an ErrInvalid.
func (f flaw) Is(target error) bool { return target == ErrInvalid }

// Why returns one word for what is wrong with the text that an [ErrInvalid] is
// about: "shape", "header", "signature" or "claims".
func Why(err error) string {
	var f flaw
	_ = errors.As(err, &f)
	return string(f)
}

const (
	maxLength = 2048

	// clockSkew is how far in the future a token may have been issued, by the
	// clock of another node, or before its session was opened. There is none for
	// the expiry: on that side it would only lengthen sessions.
	clockSkew = 30 * time.Second

	sessionIDLength = 26 // crypto/rand.Text
	secretLength    = 43 // 32 bytes in base64url
)

// Claims are what a token says. Times are whole seconds.
type Claims struct {
	SessionID string // public, 26 characters of A-Z and 2-7
	Secret    string // 256 random bits in base64url
	IssuedAt  time.Time
	ExpiresAt time.Time

	// Retired says that the token is not under the key that signs now. Sign does
	// not look at it.
	Retired bool
}

// Sign returns the token that says c.
func (r *Ring) Sign(c Claims) (string, error) {
	if !wellFormed(c) {
		return "", errors.New("token: session id or secret of the wrong form")
	}
	k := r.keys[0]
	signed := k.prefix + base64.RawURLEncoding.EncodeToString(r.payload(c))
	mac, err := jwt.SigningMethodHS256.Sign(signed, k.secret)
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac), nil
}

// Verify returns what the token raw says, if this ring signed it and now is
// before its expiry. Its errors are [ErrInvalid] and [ErrExpired]; only with
// the second are the claims anything but zero.
func (r *Ring) Verify(raw string, now time.Time) (Claims, error) {
	payload, err := open(raw, r.key)
	if err != nil {
		return Claims{}, err
	}
	var said struct {
		jwt.RegisteredClaims
		SessionID string `json:"sid"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return Claims{}, flawClaims
	}
	err = jwt.NewValidator(
		jwt.WithIssuer(r.issuer),
		jwt.WithAudience(r.audience),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }),
	).Validate(said)
	expired := errors.Is(err, jwt.ErrTokenExpired)
	if (err != nil && !expired) || said.IssuedAt == nil {
		return Claims{}, flawClaims
	}
	c := Claims{
		SessionID: said.SessionID,
		Secret:    said.ID,
		IssuedAt:  said.IssuedAt.UTC(),
		ExpiresAt: said.ExpiresAt.UTC(),
		Retired:   !strings.HasPrefix(raw, r.keys[0].prefix),
	}
	// The payload must be, byte for byte, what Sign writes for these claims. That
	// ends all talk of repeated names, other spellings, further claims, fractions
	// and numbers too large, and it settles issuer and audience for an expired
	// token too, whose error may hide others.
	if !wellFormed(c) || !bytes.Equal(payload, r.payload(c)) {
		return Claims{}, flawClaims
	}
	if c.IssuedAt.After(now.Add(clockSkew)) {
		return Claims{}, flawClaims
	}
	if expired {
		return c, ErrExpired
	}
	return c, nil
}

// Fit returns an [ErrInvalid] if no token of a session that was opened at an
// instant, and ends at another at the latest, says c. What has our MAC and does
// not fit was made by somebody else who has the key.
func (c Claims) Fit(opened, end time.Time) error {
	if c.IssuedAt.Before(opened.Add(-clockSkew).Truncate(time.Second)) || !c.ExpiresAt.After(opened) || c.ExpiresAt.After(end) {
		return flawClaims
	}
	return nil
}

// open verifies the MAC of a compact JWS and returns its payload. The header is
// not parsed: key knows each header that it accepts as a whole, and returns nil
// for every other. So no header can choose an algorithm or a key.
func open(raw string, key func(header string) []byte) ([]byte, error) {
	header, payload, signature, ok := split(raw)
	if !ok {
		return nil, flawShape
	}
	secret := key(header)
	if secret == nil {
		return nil, flawHeader
	}
	mac, err := decode(signature)
	if err != nil {
		return nil, flawSignature
	}
	signed := raw[:len(header)+1+len(payload)]
	if jwt.SigningMethodHS256.Verify(signed, mac, secret) != nil {
		return nil, flawSignature
	}
	body, err := decode(payload)
	if err != nil {
		return nil, flawClaims
	}
	return body, nil
}

// split is the gate: it looks at the length, the dots and the alphabet, and
// allocates nothing, whatever it is given.
func split(raw string) (header, payload, signature string, ok bool) {
	if len(raw) > maxLength {
		return "", "", "", false
	}
	for i := range len(raw) {
		if c := raw[i]; !isBase64URL(c) && c != '.' {
			return "", "", "", false
		}
	}
	header, rest, ok := strings.Cut(raw, ".")
	if !ok {
		return "", "", "", false
	}
	payload, signature, ok = strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return "", "", "", false
	}
	return header, payload, signature, true
}

// decode refuses padding and set bits behind the last byte, so that no bytes
// have two spellings.
func decode(segment string) ([]byte, error) {
	return base64.RawURLEncoding.Strict().DecodeString(segment)
}

// payload writes the claims in the one form that Verify accepts. Session id and
// secret need no escapes: wellFormed has seen to that.
func (r *Ring) payload(c Claims) []byte {
	b := make([]byte, 0, len(r.prefix)+160)
	b = append(b, r.prefix...)
	b = append(b, c.SessionID...)
	b = append(b, `","jti":"`...)
	b = append(b, c.Secret...)
	b = append(b, `","iat":`...)
	b = strconv.AppendInt(b, c.IssuedAt.Unix(), 10)
	b = append(b, `,"exp":`...)
	b = strconv.AppendInt(b, c.ExpiresAt.Unix(), 10)
	return append(b, '}')
}

func wellFormed(c Claims) bool {
	return len(c.SessionID) == sessionIDLength && all(c.SessionID, isBase32) &&
		len(c.Secret) == secretLength && all(c.Secret, isBase64URL)
}

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func isBase32(c byte) bool { return 'A' <= c && c <= 'Z' || '2' <= c && c <= '7' }

func isBase64URL(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
