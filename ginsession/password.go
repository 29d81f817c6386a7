// Passwords and their hashes: argon2id in the PHC string format, and bcrypt from
// other days.

package ginsession

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

// The parameters are those of the OWASP Password Storage Cheat Sheet for
// argon2id: 19 MiB, two passes, one lane.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	saltLength   = 16
	hashLength   = 32

	// bcrypt looks at no more bytes than these. A longer password was not set with it.
	bcryptBytes   = 72
	maxBcryptCost = 16 // a second or more of a processor; a row must not make us spend an hour

	hashWait = 2 * time.Second
)

// A hasher hashes passwords, at most as many at a time as there are
// processors: each takes all of one and 19 MiB. The others wait their turn, and
// are turned away after hashWait.
type hasher struct {
	slots        chan struct{}
	memory, time uint32
	turns        atomic.Int64 // taken so far, for tests
}

func newHasher() *hasher {
	return &hasher{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), memory: argonMemory, time: argonTime}
}

// hash returns the encoded hash of a password under a new salt.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	a := argon{memory: h.memory, time: h.time, threads: argonThreads, salt: make([]byte, saltLength), hash: make([]byte, hashLength)}
	_, _ = rand.Read(a.salt) // never fails
	err := h.turn(ctx, func() { a.hash = a.sum(password) })
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// verify reports whether password is the one that was encoded, and whether a hash
// of today would be a better one. One hash is computed in any case: if encoded is
// empty, because there is no such user or he has no password, the result is
// thrown away.
func (h *hasher) verify(ctx context.Context, encoded, password string) (ok, outdated bool, err error) {
	switch {
	case encoded == "":
		_, err := h.hash(ctx, password)
		return false, false, err
	case strings.HasPrefix(encoded, "$2"):
		ok, err = h.verifyBcrypt(ctx, encoded, password)
		return ok, true, err
	}
	a, err := parseArgon(encoded)
	if err != nil {
		return false, false, err
	}
	err = h.turn(ctx, func() { ok = subtle.ConstantTimeCompare(a.sum(password), a.hash) == 1 })
	outdated = a.memory < h.memory || a.time < h.time || len(a.salt) < saltLength || len(a.hash) < hashLength
	return ok, outdated, err
}

// verifyBcrypt takes the password as it came, because the software that made the
// hash did so.
func (h *hasher) verifyBcrypt(ctx context.Context, encoded, password string) (ok bool, err error) {
	cost, err := bcrypt.Cost([]byte(encoded))
	if err != nil || cost > maxBcryptCost {
		return false, malformedHash{}
	}
	var fault error
	err = h.turn(ctx, func() { fault = bcrypt.CompareHashAndPassword([]byte(encoded), []byte(password)) })
	switch {
	case err != nil:
		return false, err
	case fault != nil && !errors.Is(fault, bcrypt.ErrMismatchedHashAndPassword):
		return false, malformedHash{}
	}
	return fault == nil && len(password) <= bcryptBytes, nil
}

// turn runs what takes a processor when it is its turn.
func (h *hasher) turn(ctx context.Context, work func()) error {
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return &Error{Code: ErrRateLimited, RetryAfter: time.Second, Err: errors.New("all password hashing is busy")}
	}
	defer func() { <-h.slots }()
	h.turns.Add(1)
	work()
	return nil
}

// A malformedHash is no hash that could be verified.
type malformedHash struct{}

// Error implements error.
func (malformedHash) Error() string { return "the stored password hash is malformed" }

// argon is what an encoded hash says.
type argon struct {
	memory, time uint32
	threads      uint8
	salt, hash   []byte
}

// sum hashes a password as a says. It takes the form NFKC, so that a password
// typed on another keyboard is the same one (NIST SP 800-63B section 3.1.1.2).
func (a argon) sum(password string) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), a.salt, a.time, a.memory, a.threads, uint32(len(a.hash)))
}

// String encodes a.
func (a argon) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, a.memory, a.time, a.threads, encode(a.salt), encode(a.hash))
}

func parseArgon(encoded string) (argon, error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return argon{}, malformedHash{}
	}
	var a argon
	var version int
	const form = "v=%d$m=%d,t=%d,p=%d"
	said := parts[2] + "$" + parts[3]
	if _, err := fmt.Sscanf(said, form, &version, &a.memory, &a.time, &a.threads); err != nil {
		return argon{}, malformedHash{}
	}
	if said != fmt.Sprintf(form, version, a.memory, a.time, a.threads) {
		return argon{}, malformedHash{} // there was more behind it
	}
	var saltErr, hashErr error
	a.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	a.hash, hashErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case saltErr != nil || hashErr != nil || len(a.salt) < 8 || len(a.hash) < 16 || len(a.hash) > 128:
		return argon{}, malformedHash{}
	case version != argon2.Version, a.memory < 8, a.memory > 1<<20, a.time < 1, a.time > 16, a.threads < 1:
		// A row must not make us spend more than a gibibyte.
		return argon{}, malformedHash{}
	}
	return a, nil
}
