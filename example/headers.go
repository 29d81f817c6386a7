// The headers that every answer carries.

package main

import "github.com/gin-gonic/gin"

// securityHeaders lets a page load nothing but our own stylesheet and images,
// run no script, and stand in nobody's frame. The referrer policy is not
// "no-referrer", because browsers then send forms with "Origin: null", which the
// check for requests from other origins refuses.
func securityHeaders(c *gin.Context) {
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	c.Header("Referrer-Policy", "same-origin")
	c.Header("X-Content-Type-Options", "nosniff")
}

// noStore keeps what one user saw from the next one who presses "back".
func noStore(c *gin.Context) { c.Header("Cache-Control", "no-store") }
