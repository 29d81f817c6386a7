// Part 2.1 of the security bar: how the cookie travels. And the rows of part 1
// about the cookie.

package ginsession_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
)

func TestSecurityCookieTransport(t *testing.T) {
	clock := newTokenClock()
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
		ada, bob := s.token("ada"), s.token("bob")
		// besides puts cookies of others around those of a header, so that its line is
		// taken apart.
		besides := func(header string) string {
			return strings.Replace(header, "Cookie: ", "Cookie: "+cookieName+"-device=x; ", 1) + "; b=2"
		}

		s.row("C5 C137", "each sign-in gives another token, of letters that a cookie may have", func(s *stage) {
			again := s.token("ada")
			require.NotEqual(s.t, ada, again)
			require.NotEqual(s.t, tokenClaims(s.t, ada).SID, tokenClaims(s.t, again).SID)
			require.NotEqual(s.t, tokenClaims(s.t, ada).JTI, tokenClaims(s.t, again).JTI)
			clock.pass(time.Second)
			renewed := cookieValue(s.t, s.send("POST", "/session/refresh", "", bearing(again)))
			for _, token := range []string{ada, bob, again, renewed} {
				require.Regexp(s.t, `^[A-Za-z0-9_.-]+$`, token)
			}
		})
		s.row("A2 A3", "two of the name, in a line or in two, are a conflict", func(s *stage) {
			for name, lines := range map[string][]string{
				"two users":      {bearing(ada) + "; " + cookieName + "=" + bob},
				"the same twice": {bearing(ada) + "; " + cookieName + "=" + ada},
				"junk first":     {bearing("junk") + "; " + cookieName + "=" + ada},
				"junk last":      {bearing(ada) + "; " + cookieName + "=junk"},
				"empty":          {bearing(ada) + "; " + cookieName + "="},
				"no value":       {bearing(ada) + "; " + cookieName},
				"no space":       {bearing(ada) + ";" + cookieName + "=" + ada},
				"two lines":      {bearing(ada), bearing(bob)},
				"the same lines": {bearing(ada), bearing(ada)},
				"others between": {bearing(ada) + "; a=1", "Cookie: b=2", "Cookie: c=3; " + cookieName + "=" + ada},
			} {
				lines := lines
				before := strings.Count(s.logs.text(), `"msg":"ginsession: cookie_conflict"`)
				s.wire.reset()
				answer := s.send("GET", "/me", "", lines...)
				s.refused(answer, ginsession.ErrTokenInvalid)
				require.Empty(s.t, answer.Header["Set-Cookie"], name)
				require.Empty(s.t, s.wire.statements(), name)
				require.Equal(s.t, before+1, strings.Count(s.logs.text(), `"msg":"ginsession: cookie_conflict"`), name)
				require.Equal(s.t, "false ", s.send("GET", "/open", "", lines...).Text, name)
			}
			for _, token := range []string{ada, bob} {
				require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(token)).StatusCode)
			}
		})
		s.row("C138", "several lines, of which one has it", func(s *stage) {
			for name, lines := range map[string][]string{
				"behind another":   {"Cookie: a=1", bearing(ada)},
				"before another":   {bearing(ada), "Cookie: a=1; b=2"},
				"among others":     {"Cookie: a=1; " + cookieName + "=" + ada + "; b=2"},
				"without a space":  {"Cookie: a=1;" + cookieName + "=" + ada + ";b=2"},
				"names that begin": {"Cookie: " + cookieName + "-device=x; x" + cookieName + "=y; " + cookieName + "=" + ada},
			} {
				require.Equal(s.t, "ada", s.send("GET", "/me", "", lines...).Text, name)
			}
		})
		s.row("A4 A5 A6 A11 C66", "no second spelling of a token", func(s *stage) {
			dots := strings.ReplaceAll(ada, ".", "%2E")
			spellings := map[string]string{
				"quotes":                 `"` + ada + `"`,
				"quote before":           `"` + ada,
				"dots in percent":        dots,
				"dots in lower percent":  strings.ReplaceAll(ada, ".", "%2e"),
				"first letter":           "%65" + ada[1:],
				"twice":                  strings.ReplaceAll(dots, "%", "%25"),
				"plus behind":            ada + "+",
				"plus inside":            ada[:9] + "+" + ada[9:],
				"%20 behind":             ada + "%20",
				"%20 before":             "%20" + ada,
				"space inside":           ada[:9] + " " + ada[9:],
				"tab inside":             ada[:9] + "\t" + ada[9:],
				"comma":                  ada + ",",
				"comma and another":      ada + "," + ada,
				"backslash":              ada + `\`,
				"backslash before a dot": strings.Replace(ada, ".", `\.`, 1),
				"byte 0x80":              ada + "\x80",
				"byte 0xff":              "\xff" + ada,
				"all high bytes":         tokenHighBytes(),
				"letters of full width":  strings.Replace(ada, "e", "ｅ", 1),
				"equals sign":            ada + "=",
				"name within":            cookieName + "=" + ada,
			}
			tokenRefuses(s, ada, spellings)
			for name, value := range spellings {
				answer := s.send("GET", "/me", "", besides(bearing(value)))
				require.Equal(s.t, ginsession.ErrTokenInvalid, code(s.t, answer), name)
			}
		})
		s.row("A7 C139", "the name has one spelling", func(s *stage) {
			for name, header := range map[string]string{
				"lower case":      "Cookie: __host-session=" + ada,
				"upper case":      "Cookie: " + strings.ToUpper(cookieName) + "=" + ada,
				"one letter":      "Cookie: __Host-Session=" + ada,
				"without prefix":  "Cookie: session=" + ada,
				"other prefix":    "Cookie: __Secure-session=" + ada,
				"prefix twice":    "Cookie: __Host-" + cookieName + "=" + ada,
				"space behind":    "Cookie: " + cookieName + " =" + ada,
				"tab behind":      "Cookie: " + cookieName + "\t=" + ada,
				"nameless":        "Cookie: =" + cookieName + "=" + ada,
				"quoted":          `Cookie: "` + cookieName + `"=` + ada,
				"percent":         "Cookie: %5F_Host-session=" + ada,
				"in another":      "Cookie: a=" + cookieName + "=" + ada,
				"comma before":    "Cookie: a=1," + cookieName + "=" + ada,
				"name and nobody": "Cookie: " + cookieName + "x=" + ada,
			} {
				for _, header := range []string{header, besides(header)} {
					s.wire.reset()
					answer := s.send("GET", "/me", "", header)
					require.Equal(s.t, ginsession.ErrSessionNotFound, code(s.t, answer), name)
					require.Empty(s.t, s.wire.statements(), name)
				}
			}
		})
		// net/http would stop at 3,000 cookies and see none. Here the header is read
		// as it is, so that nobody can sign a user out by planting many.
		s.row("A8", "3,001 cookies of others before ours", func(s *stage) {
			many := strings.TrimSuffix(strings.Repeat("a=1; ", 3001), "; ")
			require.Equal(s.t, "ada", s.send("GET", "/me", "", "Cookie: "+many+"; "+cookieName+"="+ada).Text)
			s.refused(s.send("GET", "/me", "", "Cookie: "+many), ginsession.ErrSessionNotFound)
			ours := strings.TrimSuffix(strings.Repeat(cookieName+"=a; ", 3001), "; ")
			s.refused(s.send("GET", "/me", "", "Cookie: "+ours+"; "+cookieName+"="+ada), ginsession.ErrTokenInvalid)
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(ada)).StatusCode)
		})
		s.row("A9 A10", "long values", func(s *stage) {
			before := len(s.logs.text())
			tokenRefuses(s, ada, map[string]string{
				"2,049 bytes":          ada + strings.Repeat("A", 2049-len(ada)),
				"4,097 bytes":          strings.Repeat("A", 4097),
				"16 KiB":               strings.Repeat("A", 16<<10),
				"900,000 bytes":        strings.Repeat("A", 900_000),
				"900,000 dots":         strings.Repeat(".", 900_000),
				"900,000 dots, behind": ada + strings.Repeat(".", 900_000),
				"900,000 percents":     strings.Repeat("%41", 300_000),
			})
			logged := s.logs.text()[before:]
			require.NotContains(s.t, logged, "AAAA")
			require.NotContains(s.t, logged, "....")
			require.Less(s.t, len(logged), 16<<10)
			// Beyond a mebibyte net/http itself answers, or hangs up.
			require.Contains(s.t, []int{0, http.StatusRequestHeaderFieldsTooLarge}, tokenRaw(s, bearing(strings.Repeat("A", 2<<20))))
		})
		s.row("A12 A46", "what no cookie can carry", func(s *stage) {
			require.Equal(s.t, 200, tokenRaw(s, bearing(ada)), "or this test shows nothing")
			for name, lines := range map[string][]string{
				"NUL behind":        {bearing(ada) + "\x00"},
				"NUL inside":        {bearing(ada[:9] + "\x00" + ada[9:])},
				"NUL before":        {"Cookie: \x00" + cookieName + "=" + ada},
				"CR inside":         {bearing(ada[:9] + "\r" + ada[9:])},
				"LF inside":         {bearing(ada[:9] + "\n" + ada[9:])},
				"CRLF inside":       {bearing(ada[:9]), ada[9:]},
				"folded":            {bearing(ada[:9]), " " + ada[9:]},
				"folded at a dot":   {bearing(ada[:strings.LastIndex(ada, ".")+1]), "\t" + ada[strings.LastIndex(ada, ".")+1:]},
				"space in the name": {"Cookie : " + cookieName + "=" + ada},
			} {
				require.Contains(s.t, []int{0, http.StatusBadRequest, http.StatusUnauthorized}, tokenRaw(s, lines...), name)
			}
			require.Equal(s.t, http.StatusBadRequest, tokenRaw(s, bearing(ada)+"\x00"))
		})
		s.row("A13 C4 C97", "no carrier but the cookie", func(s *stage) {
			for name, header := range map[string]string{
				"bearer":          "Authorization: Bearer " + ada,
				"bare":            "Authorization: " + ada,
				"scheme":          "Authorization: Session " + ada,
				"own header":      cookieName + ": " + ada,
				"X-Session":       "X-Session: " + ada,
				"X-Auth-Token":    "X-Auth-Token: " + ada,
				"X-Cookie":        "X-Cookie: " + cookieName + "=" + ada,
				"Cookie2":         "Cookie2: " + cookieName + "=" + ada,
				"Set-Cookie":      "Set-Cookie: " + cookieName + "=" + ada,
				"user id":         "X-User-Id: " + s.ada.UserID,
				"user id one":     "X-User-Id: 1",
				"user name":       "X-Forwarded-User: ada",
				"other cookie":    "Cookie: token=" + ada,
				"proxy bearer":    "Proxy-Authorization: Bearer " + ada,
				"websocket token": "Sec-WebSocket-Protocol: " + ada,
			} {
				answer := s.send("GET", "/me", "", header)
				require.Equal(s.t, ginsession.ErrSessionNotFound, code(s.t, answer), name)
			}
			for _, query := range []string{cookieName, "session", "token", "access_token", "jwt"} {
				s.refused(s.send("GET", "/me?"+query+"="+ada, ""), ginsession.ErrSessionNotFound)
				s.refused(s.send("POST", "/act?"+query+"="+ada, query+"="+ada, "Content-Type: application/x-www-form-urlencoded"), ginsession.ErrSessionNotFound)
				s.refused(s.send("POST", "/act", `{"`+query+`":"`+ada+`"}`, "Content-Type: application/json"), ginsession.ErrSessionNotFound)
				require.Equal(s.t, 404, s.send("GET", "/me;"+query+"="+ada, "").StatusCode)
			}
			require.Equal(s.t, "true ada", s.send("GET", "/open?"+cookieName+"="+bob, "", bearing(ada)).Text, "nor does it disturb")
		})
		s.row("C97", "no redirect carries the token", func(s *stage) {
			answer := s.send("POST", "/login", "username=ada&password="+strings.ReplaceAll(password, " ", "+")+"&next=/me",
				"Content-Type: application/x-www-form-urlencoded")
			require.Equal(s.t, []any{303, "/me"}, []any{answer.StatusCode, answer.Header.Get("Location")})
			token := cookieValue(s.t, answer)
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(token)).StatusCode)
			require.NotContains(s.t, answer.Text, token)
		})
		s.row("C102 C146", "the cookie says nothing about the user", func(s *stage) {
			header, payload := tokenSays(s.t, ada)
			require.Regexp(s.t, `^{"alg":"HS256","kid":"[\w-]{11}","typ":"ginsession\+jwt"}$`, header)
			require.Regexp(s.t, `^{"iss":"ginsession","aud":"ginsession","sid":"[A-Z2-7]{26}","jti":"[\w-]{43}","iat":\d+,"exp":\d+}$`, payload)
			for _, personal := range []string{"ada", "@", "admin", s.ada.UserID} {
				require.NotContains(s.t, header+payload, personal)
			}
		})
		s.row("A14", "a planted session is not the victim's", func(s *stage) {
			planted := s.token("bob")
			answer := s.login("ada", password, bearing(planted))
			require.Equal(s.t, 200, answer.StatusCode)
			victim := cookieValue(s.t, answer)
			require.NotEqual(s.t, tokenClaims(s.t, planted).SID, tokenClaims(s.t, victim).SID)
			require.Equal(s.t, "ada", s.send("GET", "/me", "", bearing(victim)).Text)
			s.refused(s.send("GET", "/me", "", bearing(planted)), ginsession.ErrSessionNotFound)
		})
		s.row("A18", "a late 401 deletes no cookie", func(s *stage) {
			old := s.token("ada")
			fresh := cookieValue(s.t, s.login("ada", password, bearing(old)))
			for _, token := range []string{old, old + "x", "junk", ""} {
				for _, path := range []string{"/me", "/open", "/admin", "/session"} {
					require.Empty(s.t, s.send("GET", path, "", bearing(token)).Header["Set-Cookie"], path)
				}
			}
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(fresh)).StatusCode)
		})
		s.row("A19", "the deletion is one that browsers carry out", func(s *stage) {
			for _, token := range []string{s.token("ada"), "junk", ""} {
				answer := s.send("POST", "/logout", "", bearing(token))
				require.Equal(s.t, "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax", setCookie(s.t, answer))
			}
		})
		require.Equal(t, 200, s.send("GET", "/me", "", bearing(ada)).StatusCode, "no attack has done the victim harm")
	}, clock.stop)
}

// A cookie of one environment, sent to another.
func TestSecurityCookieOfAnotherEnvironment(t *testing.T) {
	clock := newTokenClock()
	onStages(t, func(s *stage) {
		s.row("A16 C26", "another audience or key, the same database", func(s *stage) {
			other := map[string]*stage{
				"audience":             tokenNode(s, clock.stop, func(c *ginsession.Config) { c.Audience = "staging" }),
				"audience's beginning": tokenNode(s, clock.stop, func(c *ginsession.Config) { c.Audience = "ginsessio" }),
				"key":                  tokenNode(s, clock.stop, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2} }),
			}
			ours := s.token("ada")
			for name, node := range other {
				theirs := node.token("ada")
				node.wire.reset()
				node.refused(node.send("GET", "/me", "", bearing(ours)), ginsession.ErrTokenInvalid)
				s.refused(s.send("GET", "/me", "", bearing(theirs)), ginsession.ErrTokenInvalid)
				require.Empty(s.t, s.wire.statements(), name)
				require.Equal(s.t, 200, node.send("GET", "/me", "", bearing(theirs)).StatusCode, name)
			}
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(ours)).StatusCode)
		})
	}, clock.stop)
}

func TestSecurityCookieOfARefresh(t *testing.T) {
	clock := newTokenClock()
	onStages(t, func(s *stage) {
		almost := ginsession.DefaultMaxAge - time.Minute
		// A handler has the last word on Cache-Control, because no writer is wrapped.
		// CDN-Cache-Control stands above it in shared caches, and Vary lets them give
		// the answer to nobody but who sends the same cookie.
		s.row("A17", "a refresh beside a handler's own Cache-Control", func(s *stage) {
			s.engine.GET("/public", func(c *gin.Context) {
				c.Header("Cache-Control", "public, max-age=600")
				c.Status(http.StatusNoContent)
			})
			token := s.token("ada")
			clock.pass(almost)
			answer := s.send("GET", "/public", "", bearing(token))
			require.NotEqual(s.t, token, cookieValue(s.t, answer))
			require.Equal(s.t, "no-store", answer.Header.Get("CDN-Cache-Control"))
			require.Contains(s.t, answer.Header["Vary"], "Cookie")
		})
		s.row("C136", "one Set-Cookie, whatever comes together in a request", func(s *stage) {
			s.engine.POST("/all", func(c *gin.Context) {
				_, err := s.sessions.Renew(c)
				require.NoError(s.t, err)
				_, err = s.sessions.Open(c, s.ada, false)
				require.NoError(s.t, err)
				require.NoError(s.t, s.sessions.End(c))
			})
			for name, test := range map[string]struct {
				before       func()
				method, path string
			}{
				"login over a session":         {func() {}, "POST", "/login"},
				"login when a refresh is due":  {func() { clock.pass(almost) }, "POST", "/login"},
				"logout when a refresh is due": {func() { clock.pass(almost) }, "POST", "/logout"},
				"a refresh that is due anyway": {func() { clock.pass(almost) }, "POST", "/session/refresh"},
				"a role that has changed": {func() {
					require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.bob.UserID, "editor of "+s.d.Kind))
				}, "GET", "/me"},
				"a role, and a refresh is due": {func() {
					require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.bob.UserID, "author of "+s.d.Kind))
					clock.pass(almost)
				}, "GET", "/me"},
				"renewed, opened and ended": {func() { clock.pass(almost) }, "POST", "/all"},
			} {
				token := s.token("bob")
				test.before()
				body, header := "", []string{bearing(token)}
				if test.path == "/login" {
					body, header = `{"username":"bob","password":"`+password+`"}`, append(header, "Content-Type: application/json")
				}
				answer := s.send(test.method, test.path, body, header...)
				require.Equal(s.t, 200, answer.StatusCode, name+answer.Text)
				require.NotContains(s.t, setCookie(s.t, answer), token, name)
			}
		})
	}, clock.stop)
}

func TestSecurityCookieNames(t *testing.T) {
	onStage(t, func(s *stage) {
		s.row("C33", "the longest cookie that New lets pass has room in browsers, and is taken back", func(s *stage) {
			name := strings.Repeat("n", 64)
			refused := 0
			for label, audience := range map[string]string{
				"letters":  strings.Repeat("a", 255),
				"accents":  strings.Repeat("é", 127),
				"angles":   strings.Repeat("<", 255), // each six bytes in JSON
				"controls": strings.Repeat("\x01", 255),
				"lines":    strings.Repeat("\u2028", 85),
				"quotes":   strings.Repeat(`"`, 255),
				"half":     strings.Repeat("<", 128),
			} {
				configure := func(c *ginsession.Config) { c.CookieName, c.Audience = name, audience }
				cfg := ginsession.Config{Keys: []ginsession.Key{key1}}
				configure(&cfg)
				if _, err := ginsession.New(s.db, cfg); err != nil {
					require.ErrorContains(s.t, err, "Audience: ", label)
					require.NotEqual(s.t, "letters", label)
					refused++
					continue
				}
				node := tokenNode(s, configure)
				pair, _, _ := strings.Cut(tokenSetCookie(s.t, node.login("ada", password), "__Host-"+name), ";")
				require.LessOrEqual(s.t, len(pair), 4096, label)
				require.Equal(s.t, 200, node.send("GET", "/me", "", "Cookie: "+pair).StatusCode, label)
			}
			require.NotZero(s.t, refused)
		})
		s.row("C141", "__Host-Http-: HttpOnly cannot be switched off", func(s *stage) {
			node := tokenNode(s, func(c *ginsession.Config) { c.CookieName = "Http-session" })
			answer := node.login("ada", password)
			line := tokenSetCookie(s.t, answer, "__Host-Http-session")
			require.Contains(s.t, line, "; Path=/; HttpOnly; Secure; SameSite=Lax")
			pair, _, _ := strings.Cut(line, ";")
			require.Equal(s.t, 200, node.send("GET", "/me", "", "Cookie: "+pair).StatusCode)
			gone := node.send("POST", "/logout", "", "Cookie: "+pair)
			require.Equal(s.t, "__Host-Http-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax", tokenSetCookie(s.t, gone, "__Host-Http-session"))
		})
	})
}

// tokenSetCookie returns the one line that sets a cookie of a name.
func tokenSetCookie(t testing.TB, answer interface{ Cookies() []*http.Cookie }, name string) string {
	t.Helper()
	var lines []string
	for _, c := range answer.Cookies() {
		if c.Name == name {
			lines = append(lines, c.Raw)
		}
	}
	require.Len(t, lines, 1)
	return lines[0]
}

// tokenHighBytes returns every byte from 0x80 on.
func tokenHighBytes() string {
	var b []byte
	for c := 0x80; c <= 0xff; c++ {
		b = append(b, byte(c))
	}
	return string(b)
}
