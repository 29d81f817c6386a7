// The secret of a session: how it is born, kept as a hash, and rotated.

package ginsession

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"time"

	"github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
)

// A renewal gives a session a new secret, the successor. The old one, its
// predecessor, stays good until the successor has been seen, and a while longer,
// because requests that were sent with it may still be under way. If the answer
// with the successor is lost, the browser comes back with the predecessor, and
// is given the successor again.
//
// Again the same one: the successor is derived from the predecessor and a salt
// that is born at random with each rotation and kept in the row. With a second
// successor in the world, an answer that is merely late could replace the cookie
// in use by one that has been overtaken, and an honest user would look like a
// thief. The derivation gives nothing away: with the row alone nobody has the
// predecessor, with the predecessor alone nobody has the salt, and with both he
// still needs the key to sign.
//
// Whoever presents any other secret for a living session has a copy of a cookie
// that its browser replaced long ago: reuse. One of the two is a thief, nobody
// knows which, and the session ends.

// renewalGrace is how long the predecessor stays good after the successor has
// been seen, and how long a successor may be on its way before it is taken for
// lost.
const renewalGrace = 30 * time.Second

// maxRest is how long a secret rests before it is replaced, counted from when it
// was first seen or last put into a cookie. An answer with it may be late by so
// much: one that came after the next rotation would put an overtaken cookie back
// into the browser. Very short sessions rest for less.
const maxRest = 2 * time.Minute

// A place says which of a row's secrets a token has.
type place int

const (
	unknown     place = iota // none, or one that is good no longer
	current                  // the present one
	predecessor              // the one before, still good
)

// placeOf finds the place of a secret.
func placeOf(row models.Session, secret string, now time.Time) place {
	switch {
	case sameSecret(row.SecretHash, secret):
		return current
	case predecessorGood(row, now) && sameSecret(row.PreviousHash, secret):
		return predecessor
	default:
		return unknown
	}
}

// predecessorGood reports whether the secret before the present one is still
// good, if there was one.
func predecessorGood(row models.Session, now time.Time) bool {
	return len(row.PreviousHash) > 0 && (row.SeenAt.IsZero() || now.Before(row.SeenAt.Time().Add(renewalGrace)))
}

// rested returns when the present secret may be replaced: at once if there has
// been no other before it, and never until it has been seen.
func (m *Manager) rested(row models.Session) (at time.Time, ok bool) {
	if len(row.PreviousHash) == 0 {
		return time.Time{}, true
	}
	rest := min(maxRest, m.cfg.MaxAge/8)
	return max(row.SeenAt, row.RenewedAt).Time().Add(rest), !row.SeenAt.IsZero()
}

// rotate puts the successor of secret, which is the present one, into a row.
func rotate(row *models.Session, secret string) (successor string) {
	row.PreviousHash, row.Salt, row.SeenAt = row.SecretHash, newSalt(), 0
	successor = derive(secret, row.Salt)
	row.SecretHash = hashSecret(successor)
	return successor
}

// derive returns the successor of a secret.
func derive(secret string, salt []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(salt)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// newSecret returns 256 random bits in base64url.
func newSecret() string { return base64.RawURLEncoding.EncodeToString(newSalt()) }

// newSalt returns 256 random bits.
func newSalt() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: the process would end
	return b
}

// hashSecret is what a row holds of a secret. A plain hash is enough: nobody
// guesses 256 random bits.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func sameSecret(hash []byte, secret string) bool {
	return subtle.ConstantTimeCompare(hash, hashSecret(secret)) == 1
}

// ownerMark binds the row of a session to its user: the cookie knows nothing of him.
func ownerMark(keys *token.Ring, row models.Session) models.Exact {
	return models.Exact(keys.Mark(ownerText(row)))
}

func ownerMarked(keys *token.Ring, row models.Session) bool {
	return keys.Marked(ownerText(row), string(row.OwnerMark))
}

// ownerText holds ids, in which there is no NUL.
func ownerText(row models.Session) string {
	return "owner\x00" + string(row.ID) + "\x00" + string(row.UserID) + "\x00" + string(row.Actor) + "\x00" + string(row.OriginID)
}

// roleMark is what a row holds of a role, however long that is.
func roleMark(role string) models.Exact {
	sum := sha256.Sum256([]byte(role))
	return models.Exact(base64.RawURLEncoding.EncodeToString(sum[:16]))
}
