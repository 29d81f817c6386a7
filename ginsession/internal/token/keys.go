// The key ring: the first key signs, all of them verify.

package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// MinKeyLength is the least length of a key in bytes: RFC 7518 section 3.2 asks
// for at least as many bits as the hash has.
const MinKeyLength = 32

// Type is the typ of our tokens (RFC 8725 section 3.11): a token that the same
// key signed for another purpose is not one of ours.
const Type = "ginsession+jwt"

// A Ring signs and verifies tokens. It never changes and is safe for
// concurrent use.
type Ring struct {
	issuer, audience string
	keys             []key
	prefix           string // of every payload: issuer, audience and the name of what follows
}

type key struct {
	secret []byte
	marks  []byte // the key of marks, derived from secret
	header string // the first segment of every token under this key
	prefix string // the header and the dot behind it
}

// NewRing returns a ring of the given keys. It returns every fault of theirs:
// none at all, one shorter than [MinKeyLength], one twice.
func NewRing(issuer, audience string, secrets ...[]byte) (*Ring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no key")
	}
	r := &Ring{issuer: issuer, audience: audience}
	var faults []error
	for i, secret := range secrets {
		marks, err := hkdf.Key(sha256.New, secret, nil, "gin-session mark", sha256.Size)
		if err != nil {
			return nil, err
		}
		k := key{secret: secret, marks: marks, header: header(secret)}
		k.prefix = k.header + "."
		if len(secret) < MinKeyLength {
			faults = append(faults, fmt.Errorf("key %d has %d bytes, at least %d are needed", i+1, len(secret), MinKeyLength))
		}
		if r.key(k.header) != nil {
			faults = append(faults, fmt.Errorf("key %d is there twice", i+1))
		}
		r.keys = append(r.keys, k)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	names, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Session  string `json:"sid"`
	}{issuer, audience, ""})
	if err != nil {
		return nil, err
	}
	r.prefix = string(names[:len(names)-len(`"}`)])
	return r, nil
}

// key returns the key whose tokens begin with header, or nil. A token under a
// key that is not in the ring fails here; no key but its own is ever tried.
func (r *Ring) key(header string) []byte {
	for i := range r.keys {
		if r.keys[i].header == header {
			return r.keys[i].secret
		}
	}
	return nil
}

// Fits reports whether Verify takes back whatever Sign makes. It does not where
// issuer and audience, written as JSON, make tokens too long.
func (r *Ring) Fits() bool {
	last := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	raw, err := r.Sign(Claims{strings.Repeat("A", sessionIDLength), strings.Repeat("A", secretLength), last, last, false})
	return err == nil && len(raw) <= maxLength
}

// Current reports whether raw bears the header of the key that signs, and returns
// what follows it. It verifies nothing: for a token that has been verified, the
// rest is as good a name as the whole.
func (r *Ring) Current(raw string) (rest string, ok bool) {
	return strings.CutPrefix(raw, r.keys[0].prefix)
}

// MarkLength is the length of a mark.
const MarkLength = 22

// Mark returns a MAC of text in base64url, for what is no token: its key is derived
// from the one that signs (RFC 5869), so that neither can stand for the other. It is
// cut to 128 bits.
func (r *Ring) Mark(text string) string { return mark(r.keys[0], text) }

// Marked reports whether a key of the ring has given text this mark.
func (r *Ring) Marked(text, given string) bool {
	for _, k := range r.keys {
		if hmac.Equal([]byte(mark(k, text)), []byte(given)) {
			return true
		}
	}
	return false
}

func mark(k key, text string) string {
	mac := hmac.New(sha256.New, k.marks)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// Ours reports whether raw bears the header of a key of the ring. It verifies
// nothing.
func (r *Ring) Ours(raw string) bool {
	header, _, ok := strings.Cut(raw, ".")
	return ok && r.key(header) != nil
}

// Whole returns the token of which [Ring.Current] returned the rest.
func (r *Ring) Whole(rest string) string { return r.keys[0].prefix + rest }

// header is the first segment of a token. The kid is the first 64 bits of the
// key's JWK thumbprint (RFC 7638), so that keys need no names of their own. It
// tells no more about the key than any MAC under it does.
func header(secret []byte) string {
	jwk := `{"k":"` + base64.RawURLEncoding.EncodeToString(secret) + `","kty":"oct"}`
	thumbprint := sha256.Sum256([]byte(jwk))
	kid := base64.RawURLEncoding.EncodeToString(thumbprint[:8])
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"` + kid + `","typ":"` + Type + `"}`))
}

// Format implements [fmt.Formatter], and keeps the keys out of print.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "token.Ring") }
