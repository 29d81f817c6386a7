// What a new password must be: long enough, and not one that everybody tries first.

package ginsession

import (
	"crypto/sha256"
	_ "embed" // the list
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxPasswordLength = 1024 // characters
	maxPasswordBytes  = 2048 // in a form each may take three bytes; see maxBody

	// leastPasswordLength is the least that Config.MinPassword may be, and the least
	// that must be left of a password without the user's name in it.
	leastPasswordLength = 8

	commonLength = 5 // bytes of SHA-256 in the list
)

// commonPasswords are the 3,500 most frequent of ten million leaked passwords of
// 15 and more characters, and the 8,500 most frequent of 8 to 14: of each the
// first bytes of the SHA-256 of its folded form, in order. Of a hundred million
// other passwords one is taken for one of these.
//
//go:embed common.bin
var commonPasswords string

// checkPassword is the policy for a new password. There are no rules about what
// characters it has, and it never runs out (NIST SP 800-63B section 3.1.1.2).
// names are what the user calls himself.
func (c Config) checkPassword(password string, names ...string) error {
	n := utf8.RuneCountInString(norm.NFKC.String(password))
	if n < c.MinPassword || n > maxPasswordLength || len(password) > maxPasswordBytes || !utf8.ValidString(password) {
		return invalid(fmt.Sprintf("password: must have %d to %d characters and at most %d bytes, has %d characters",
			c.MinPassword, maxPasswordLength, maxPasswordBytes, n))
	}
	folded := fold(password)
	if isCommon(folded) || isCommon(unit(folded)) || isCommon(strings.TrimFunc(folded, isTrimming)) {
		return invalid("password: is one of those that are tried first")
	}
	rest := folded
	for _, name := range names {
		name, _, _ = strings.Cut(fold(name), "@")
		if utf8.RuneCountInString(name) >= 3 {
			rest = strings.ReplaceAll(rest, name, "")
		}
	}
	if rest != folded && utf8.RuneCountInString(rest) < leastPasswordLength {
		return invalid("password: is little more than the name of the user")
	}
	return nil
}

// fold is the form in which passwords are compared with what is common.
func fold(s string) string { return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))) }

// isCommon looks a folded password up in the list.
func isCommon(folded string) bool {
	sum := sha256.Sum256([]byte(folded))
	want := string(sum[:commonLength])
	n := len(commonPasswords) / commonLength
	entry := func(i int) string { return commonPasswords[i*commonLength : (i+1)*commonLength] }
	i := sort.Search(n, func(i int) bool { return entry(i) >= want })
	return i < n && entry(i) == want
}

// unit returns the part that s is a repetition of, or s.
func unit(s string) string {
	if at := strings.Index((s + s)[min(1, len(s)):], s) + 1; at > 0 && at < len(s) {
		return s[:at]
	}
	return s
}

// isTrimming is what people put before and behind a word that is too common.
func isTrimming(r rune) bool { return !unicode.IsLetter(r) }
