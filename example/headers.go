// The headers that every answer carries.

package main

import "github.com/gin-gonic/gin"

// contentSecurityPolicy lets a page load nothing but our own scripts, styles and
// images, and the import map that has this hash; send forms and requests nowhere but
// here; and stand in nobody's frame.
func contentSecurityPolicy(importMap string) string {
	return "default-src 'none'; script-src 'self' " + importMap + "; style-src 'self'; img-src 'self'; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// securityHeaders are for files and JSON too. The referrer policy is not
// "no-referrer", because browsers then send forms with "Origin: null", which the
// check for requests from other origins refuses.
func (s *site) securityHeaders(c *gin.Context) {
	c.Header("Content-Security-Policy", s.csp)
	c.Header("Referrer-Policy", "same-origin")
	c.Header("X-Content-Type-Options", "nosniff")
}

// noStore keeps what one user saw from the next one who presses "back".
func noStore(c *gin.Context) { c.Header("Cache-Control", "no-store") }
