// The cookie: one function reads it, one writes it.

package ginsession

import (
	"net/http"
	"strings"
	"time"
)

// cookie is the name and the attributes under which every cookie of a manager
// is read, written and deleted.
type cookie struct {
	name   string
	secure bool
}

// newCookie gives a secure cookie the prefix __Host- (RFC 6265bis section
// 4.1.3.2): a browser then takes it only over https and only from this very
// host, so that no sibling domain can plant or shadow it.
func newCookie(name string, insecure bool) cookie {
	if insecure {
		return cookie{name: name}
	}
	return cookie{name: "__Host-" + name, secure: true}
}

// take removes the cookie from the request's header and returns its value and
// how often it was there. Nothing that runs later, be it a handler, a proxy or
// a dump of the request after a panic, sees it.
//
// The name is compared exactly and the value is taken as it stands. net/http
// would drop quotes and Gin would undo percent signs: two spellings for one
// token.
func (k cookie) take(h http.Header) (value string, count int) {
	lines := h["Cookie"]
	if len(lines) == 1 && k.alone(lines[0]) {
		delete(h, "Cookie")
		return lines[0][len(k.name)+1:], 1
	}
	kept := lines[:0]
	for _, line := range lines {
		others, v, n := k.cut(line)
		if n > 0 {
			value, line = v, others
			count += n
		}
		if n == 0 || line != "" {
			kept = append(kept, line)
		}
	}
	switch {
	case count == 0:
		return "", 0
	case len(kept) == 0:
		delete(h, "Cookie")
	default:
		h["Cookie"] = kept
	}
	return value, count
}

// read returns the value of the cookie and how often it is there, and leaves it.
func (k cookie) read(h http.Header) (value string, count int) {
	for _, line := range h["Cookie"] {
		if _, v, n := k.cut(line); n > 0 {
			value, count = v, count+n
		}
	}
	return value, count
}

// alone reports whether the cookie is the only one in a line, as it mostly is.
func (k cookie) alone(line string) bool {
	return len(line) > len(k.name) && line[len(k.name)] == '=' && line[:len(k.name)] == k.name &&
		strings.IndexByte(line, ';') < 0 && !strings.HasSuffix(line, " ") && !strings.HasSuffix(line, "\t")
}

// cut takes the cookie out of one line, in one pass. Mostly it is there once, at one
// of the ends.
func (k cookie) cut(line string) (others, value string, count int) {
	kept := make([]string, 0, 2) // the stretches between
	begin := 0                   // of the present one
	keep := func(end int) {
		if stretch := strings.Trim(line[begin:max(begin, end)], "; \t"); stretch != "" {
			kept = append(kept, stretch)
		}
	}
	for start := 0; start <= len(line); {
		end := len(line)
		if at := strings.IndexByte(line[start:], ';'); at >= 0 {
			end = start + at
		}
		if name, v, _ := strings.Cut(strings.Trim(line[start:end], " \t"), "="); name == k.name {
			keep(start)
			value, count, begin = v, count+1, min(end+1, len(line))
		}
		start = end + 1
	}
	if count == 0 {
		return line, "", 0
	}
	keep(len(line))
	return strings.Join(kept, "; "), value, count
}

// set writes the cookie. Without remember it lasts as long as the browser,
// otherwise until expires, which is after now.
func (k cookie) set(h http.Header, value string, remember bool, now, expires time.Time) {
	c := http.Cookie{Value: value}
	if remember {
		c.MaxAge = max(1, int(expires.Sub(now)/time.Second))
	}
	k.write(h, c)
}

// remove writes the line that makes the browser forget the cookie.
func (k cookie) remove(h http.Header) {
	k.write(h, http.Cookie{MaxAge: -1})
}

// write is the only place that sets the cookie. A line of the same name that is
// there already is taken back, so that a response never has two (RFC 6265bis
// section 4.1.1), and caches are told not to keep it.
func (k cookie) write(h http.Header, c http.Cookie) {
	c.Name = k.name
	c.Path = "/"
	c.Secure = k.secure
	c.HttpOnly = true
	c.SameSite = http.SameSiteLaxMode

	kept := h["Set-Cookie"][:0:0]
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, k.name+"=") {
			kept = append(kept, line)
		}
	}
	h["Set-Cookie"] = append(kept, c.String())
	h.Set("Cache-Control", "no-store")
	// A handler may still set the other one to its liking; this one is for shared
	// caches alone, and stands above it there (RFC 9213).
	h.Set("CDN-Cache-Control", "no-store")
}
