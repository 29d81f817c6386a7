// Part 2.1 of the security bar: how the cookie travels.

package ginsession_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
)

func TestSecurityCookieTransport(t *testing.T) {
	onStage(t, func(s *stage) {
		s.row("A1", "no cookie, an empty one, one without a value", func(s *stage) {
			for _, header := range [][]string{nil, {bearing("")}, {"Cookie: " + cookieName}} {
				want := ginsession.ErrTokenInvalid
				if header == nil {
					want = ginsession.ErrSessionNotFound
				}
				s.refused(s.send("GET", "/me", "", header...), want)
				require.Equal(s.t, 200, s.send("GET", "/open", "", header...).StatusCode)
				require.Contains(s.t, s.send("GET", "/session", "", header...).Text, `"isAuthenticated":false`)
			}
			require.Empty(s.t, s.rows())
		})
	})
}
