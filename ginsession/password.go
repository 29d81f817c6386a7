// Passwords: argon2id, in the PHC string format.

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
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
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

	minPasswordLength = 8 // characters
	maxPasswordLength = 1024
	maxPasswordBytes  = 2048 // in a form each may take three bytes; see maxBody

	hashWait = 2 * time.Second
)

// A hasher hashes passwords, at most as many at a time as there are
// processors: each takes all of one and 19 MiB. The others wait their turn, and
// are turned away after hashWait.
type hasher struct{ slots chan struct{} }

func newHasher() *hasher { return &hasher{slots: make(chan struct{}, runtime.GOMAXPROCS(0))} }

// hash returns the encoded hash of a password under a new salt.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	sum, err := h.sum(ctx, password, argon{argonMemory, argonTime, argonThreads, salt, make([]byte, hashLength)})
	if err != nil {
		return "", err
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, argonMemory, argonTime, argonThreads, encode(salt), encode(sum)), nil
}

// verify reports whether password is the one that was encoded. One hash is
// computed in any case: if encoded is empty, because there is no such user or
// he has no password, the result is thrown away.
func (h *hasher) verify(ctx context.Context, encoded, password string) (bool, error) {
	if encoded == "" {
		_, err := h.hash(ctx, password)
		return false, err
	}
	a, err := parseArgon(encoded)
	if err != nil {
		return false, err
	}
	sum, err := h.sum(ctx, password, a)
	return err == nil && subtle.ConstantTimeCompare(sum, a.hash) == 1, err
}

func (h *hasher) sum(ctx context.Context, password string, a argon) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, &Error{Code: ErrRateLimited, RetryAfter: time.Second, Err: errors.New("all password hashing is busy")}
	}
	defer func() { <-h.slots }()
	// NFKC, so that a password typed on another keyboard is the same one (NIST SP
	// 800-63B section 3.1.1.2).
	return argon2.IDKey([]byte(norm.NFKC.String(password)), a.salt, a.time, a.memory, a.threads, uint32(len(a.hash))), nil
}

// argon is what an encoded hash says.
type argon struct {
	memory, time uint32
	threads      uint8
	salt, hash   []byte
}

func parseArgon(encoded string) (argon, error) {
	malformed := errors.New("the stored password hash is malformed")
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return argon{}, malformed
	}
	var a argon
	var version int
	const form = "v=%d$m=%d,t=%d,p=%d"
	said := parts[2] + "$" + parts[3]
	if _, err := fmt.Sscanf(said, form, &version, &a.memory, &a.time, &a.threads); err != nil {
		return argon{}, malformed
	}
	if said != fmt.Sprintf(form, version, a.memory, a.time, a.threads) {
		return argon{}, malformed // there was more behind it
	}
	var saltErr, hashErr error
	a.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	a.hash, hashErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case saltErr != nil || hashErr != nil || len(a.salt) < 8 || len(a.hash) < 16 || len(a.hash) > 128:
		return argon{}, malformed
	case version != argon2.Version, a.memory < 8, a.memory > 1<<20, a.time < 1, a.time > 16, a.threads < 1:
		// A row must not make us spend more than a gibibyte.
		return argon{}, malformed
	}
	return a, nil
}

// checkPassword is the policy for a new password: a length, and no rules about
// what is in it.
func checkPassword(password string) error {
	n := utf8.RuneCountInString(norm.NFKC.String(password))
	if n < minPasswordLength || n > maxPasswordLength || len(password) > maxPasswordBytes || !utf8.ValidString(password) {
		return invalid(fmt.Sprintf("password: must have %d to %d characters and at most %d bytes, has %d characters",
			minPasswordLength, maxPasswordLength, maxPasswordBytes, n))
	}
	return nil
}
