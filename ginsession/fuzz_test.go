// What reads the input of strangers, fuzzed.

package ginsession

import (
	"strings"
	"testing"
)

func FuzzParseArgon(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, encoded string) {
		a, err := parseArgon(encoded)
		if err != nil && (a.salt != nil || a.hash != nil || a.memory != 0) {
			t.Errorf("an error and %v", a)
		}
		if err == nil && (a.memory > 1<<20 || a.time > 16 || a.threads == 0 || len(a.hash) < 16) {
			t.Errorf("parsed to %v", a)
		}
	})
}

// FuzzLocalPath: what passes leads, by the rules of browsers, to a page of this
// site.
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/a?b=c#d", "//evil.example", "/\\evil.example", "/%5cevil", "/%2fevil", "https://evil.example", "/\t/evil", "/a b", "\x00/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := localPath(path)
		if got == "" {
			return
		}
		if got != path || got[0] != '/' || len(got) > 1 && (got[1] == '/' || got[1] == '\\') {
			t.Errorf("%q became %q", path, got)
		}
		// Browsers drop tabs and line breaks and read a backslash as a slash.
		if strings.ContainsAny(got, "\t\r\n\\\x00") {
			t.Errorf("%q passed", got)
		}
	})
}

// FuzzCanonical: the form is stable, and holds nothing that is not seen.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"ada", " ADA ", "ａｄａ", "İ", "ß", "ſ", "a\u200b", "é", "e\u0301", "\xff", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, err := canonical(name)
		if err != nil {
			return
		}
		again, err := canonical(string(key))
		if err != nil || again != key {
			t.Errorf("%q became %q, and that %q (%v)", name, key, again, err)
		}
		if len(key) == 0 || len(key) > 255 || strings.TrimSpace(string(key)) != string(key) {
			t.Errorf("%q became %q", name, key)
		}
	})
}

// FuzzTakeCookie: what is taken is no longer there, and nothing else is lost.
func FuzzTakeCookie(f *testing.F) {
	f.Add("a=1; __Host-session=x; b=2")
	f.Add("__Host-session=x;__Host-session=y")
	f.Add(";;=;__Host-session;  __Host-session = x ")
	f.Fuzz(func(t *testing.T, line string) {
		h := map[string][]string{"Cookie": {line}}
		k := newCookie("session", false)
		_, count := k.take(h)
		if _, again := k.take(h); again != 0 {
			t.Errorf("of %q %q is left", line, h["Cookie"])
		}
		if count == 0 && (len(h["Cookie"]) != 1 || h["Cookie"][0] != line) {
			t.Errorf("%q had no cookie of ours and became %q", line, h["Cookie"])
		}
	})
}

func FuzzPrintable(f *testing.F) {
	f.Add("Mozilla/5.0", 256)
	f.Add("\x80\x1b[31m\u2028", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := printable(s, n)
		if len([]rune(got)) > max(0, n) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == '\u2028' }) {
			t.Errorf("%q became %q", s, got)
		}
	})
}
