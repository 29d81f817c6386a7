// Parts 2.2 to 2.4 of the security bar: forged headers, signatures and claims,
// each sent to a real server as the session cookie. And the rows of part 1 about
// the token.

package ginsession_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// rowsOfToken are the rows of parts 2.1 to 2.4, and those of part 1 about the
// cookie and the token, that are no subtests here.
var rowsOfToken = map[string]string{
	"A33":  "a Key is a secret for HMAC and nothing else: the type has no place for a public key",
	"C90":  "TestSecretsDoNotRepeat",
	"C149": "the token of a session is the only kind of JWT there is; its typ is its own (C24)",
}

// tokenClock is a clock that stands still until it is moved, so that tokens can be
// made for its very instant.
type tokenClock struct{ millis atomic.Int64 }

func newTokenClock() *tokenClock {
	k := &tokenClock{}
	k.millis.Store(time.Date(2026, 8, 25, 10, 0, 0, 0, time.UTC).UnixMilli())
	return k
}

// stop gives the clock to an application.
func (k *tokenClock) stop(c *ginsession.Config) { c.Now = k.now }

func (k *tokenClock) now() time.Time { return time.UnixMilli(k.millis.Load()) }

func (k *tokenClock) pass(d time.Duration) { k.millis.Add(d.Milliseconds()) }

// tokenMint signs any header and payload, as whoever has the key could.
func tokenMint(header, payload, key string) string {
	return tokenMintWith(sha256.New, header, payload, key)
}

func tokenMintWith(h func() hash.Hash, header, payload, key string) string {
	signed := token64(header) + "." + token64(payload)
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + token64(string(mac.Sum(nil)))
}

func token64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func tokenUn64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	require.NoError(t, err)
	return string(b)
}

// tokenSays returns what the header and the payload of a token say.
func tokenSays(t testing.TB, raw string) (header, payload string) {
	t.Helper()
	parts := strings.Split(raw, ".")
	require.Len(t, parts, 3)
	return tokenUn64(t, parts[0]), tokenUn64(t, parts[1])
}

// tokenClaims returns the claims of a token.
func tokenClaims(t testing.TB, raw string) (claims struct {
	SID, JTI string
	Exp      int64
}) {
	t.Helper()
	_, payload := tokenSays(t, raw)
	require.NoError(t, json.Unmarshal([]byte(payload), &claims))
	return claims
}

// tokenSwap replaces what is there once.
func tokenSwap(t testing.TB, text, old, with string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, old), "%q in %s", old, text)
	return strings.Replace(text, old, with, 1)
}

// tokenRefuses sends forgeries as the session cookie. Each must be turned away
// before the database is asked anything, all of them with the same bytes, and the
// live token that they were made from must be good afterwards.
func tokenRefuses(s *stage, live string, forgeries map[string]string) {
	s.t.Helper()
	want := s.send("GET", "/me", "", bearing("junk")).Text
	for name, forged := range forgeries {
		s.wire.reset()
		answer := s.send("GET", "/me", "", bearing(forged))
		if answer.Text != want {
			s.t.Fatalf("%s: %s\n%d %s", name, forged[:min(len(forged), 600)], answer.StatusCode, answer.Text)
		}
		s.refused(answer, ginsession.ErrTokenInvalid)
		require.Empty(s.t, answer.Header["Set-Cookie"], name)
		require.Empty(s.t, s.wire.statements(), name)
	}
	require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(live)).StatusCode)
}

// tokenRaw sends a request with some header lines as they are, and returns the
// status: 0 if the server hangs up.
func tokenRaw(s *stage, lines ...string) int {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	require.NoError(s.t, err)
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /me HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// tokenNode is another node of the application, behind a server of its own.
func tokenNode(s *stage, configure ...func(*ginsession.Config)) *stage {
	s.t.Helper()
	application := *s.app
	application.sessions, application.engine = s.node(s.db, configure...)
	server := httptest.NewServer(application.engine)
	s.t.(*testing.T).Cleanup(server.Close)
	return &stage{app: &application, server: server, clock: s.clock}
}

func TestSecurityTokenHeader(t *testing.T) {
	onStage(t, func(s *stage) {
		live := s.token("ada")
		header, payload := tokenSays(t, live)
		kid := header[strings.Index(header, `"kid":"`)+7:][:11]
		parts := strings.Split(live, ".")
		ours := func(old, with string) string { return tokenSwap(t, header, old, with) }
		require.Equal(t, 200, s.send("GET", "/me", "", bearing(tokenMint(header, payload, key1))).StatusCode, "mint makes good tokens of good parts")

		s.row("A20", "no algorithm", func(s *stage) {
			none := ours(`"HS256"`, `"none"`)
			tokenRefuses(s, live, map[string]string{
				"empty signature":  token64(none) + "." + parts[1] + ".",
				"old signature":    token64(none) + "." + parts[1] + "." + parts[2],
				"no last dot":      token64(none) + "." + parts[1],
				"signed":           tokenMint(none, payload, key1),
				"alone":            token64(`{"alg":"none"}`) + "." + parts[1] + ".",
				"with JWT":         token64(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".",
				"the empty header": "." + parts[1] + ".",
			})
		})
		s.row("A21 A22 C21 C142", "other spellings of the algorithm, and none", func(s *stage) {
			forged := map[string]string{}
			for _, alg := range []string{
				`"None"`, `"NONE"`, `"nOnE"`, `"noNE"`, `"none "`, `" none"`, `"n\u043ene"`, `"nоne"`, `""`, `null`, `0`, `256`, `true`,
				`["HS256"]`, `{"a":1}`, `"HS256 "`, `"\u0048S256"`, `"hs256"`, `"Hs256"`, `"HS-256"`, `"HS256\u0000"`, `"HMACSHA256"`,
			} {
				other := ours(`"HS256"`, alg)
				forged[alg+" signed"] = tokenMint(other, payload, key1)
				forged[alg+" empty"] = token64(other) + "." + parts[1] + "."
			}
			forged["no alg"] = tokenMint(ours(`"alg":"HS256",`, ``), payload, key1)
			forged["Alg"] = tokenMint(ours(`"alg"`, `"Alg"`), payload, key1)
			forged["ALG"] = tokenMint(ours(`"alg"`, `"ALG"`), payload, key1)
			forged["empty object"] = tokenMint(`{}`, payload, key1)
			tokenRefuses(s, live, forged)
		})
		s.row("A23", "HMAC of another length, with a MAC that fits", func(s *stage) {
			tokenRefuses(s, live, map[string]string{
				"HS384":            tokenMintWith(sha512.New384, ours("HS256", "HS384"), payload, key1),
				"HS512":            tokenMintWith(sha512.New, ours("HS256", "HS512"), payload, key1),
				"hs256":            tokenMint(ours("HS256", "hs256"), payload, key1),
				"HS224":            tokenMintWith(sha256.New224, ours("HS256", "HS224"), payload, key1),
				"384 under HS256":  tokenMintWith(sha512.New384, header, payload, key1),
				"512 under HS256":  tokenMintWith(sha512.New, header, payload, key1),
				"half of a SHA512": tokenMintWith(sha512.New512_256, header, payload, key1),
			})
		})
		s.row("A24 A26 A27 C22", "public keys, keys in the header and where to fetch them", func(s *stage) {
			fetched := atomic.Int64{}
			site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
			defer site.Close()
			edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
			require.NoError(s.t, err)
			ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(s.t, err)
			rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
			require.NoError(s.t, err)
			forged := map[string]string{}
			for method, key := range map[jwt.SigningMethod]any{
				jwt.SigningMethodRS256: rsaKey, jwt.SigningMethodPS256: rsaKey, jwt.SigningMethodES256: ecKey, jwt.SigningMethodEdDSA: edKey,
			} {
				signed := token64(ours("HS256", method.Alg())) + "." + parts[1]
				signature, err := method.Sign(signed, key)
				require.NoError(s.t, err)
				forged[method.Alg()] = signed + "." + token64(string(signature))
				forged[method.Alg()+" random"] = signed + "." + token64(rand.Text()+rand.Text())
				forged[method.Alg()+" with our MAC"] = tokenMint(ours("HS256", method.Alg()), payload, key1)
			}
			oct := `"jwk":{"kty":"oct","alg":"HS256","k":"` + token64(key2) + `"}`
			okp := `"jwk":{"kty":"OKP","crv":"Ed25519","x":"` + token64(string(edPublic)) + `"}`
			for name, more := range map[string]string{
				"jwk oct": oct, "jwk OKP": okp,
				"jku": `"jku":"` + site.URL + `/keys"`, "x5u": `"x5u":"` + site.URL + `/cert"`, "jku file": `"jku":"file:///etc/passwd"`,
				"x5c": `"x5c":["` + base64.StdEncoding.EncodeToString(edPublic) + `"]`, "x5t": `"x5t":"` + token64("0123456789abcdef0123") + `"`,
			} {
				for where, with := range map[string]string{
					"first": tokenSwap(s.t, header, `{`, `{`+more+`,`), "last": tokenSwap(s.t, header, `}`, `,`+more+`}`),
					"without kid": tokenSwap(s.t, header, `"kid":"`+kid+`"`, more),
				} {
					forged[name+" "+where+", its key"] = tokenMint(with, payload, key2)
					forged[name+" "+where+", our key"] = tokenMint(with, payload, key1)
				}
			}
			forged["kid is a URL"] = tokenMint(ours(kid, site.URL), payload, key1)
			tokenRefuses(s, live, forged)
			require.Zero(s.t, fetched.Load())
		})
		s.row("A25", "keys that an attacker can know", func(s *stage) {
			certificate := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(strings.Repeat("site", 20))}))
			forged := map[string]string{}
			for _, key := range []string{
				"", strings.Repeat("\x00", 32), "secret", "changeme", kid, "ginsession", "HS256", certificate, strings.TrimSpace(certificate),
				header, parts[0], payload, parts[1], token64(key1), strings.ToUpper(key1), key1 + "\n", key1[:32], " " + key1, "[redacted]", key2,
			} {
				forged[key] = tokenMint(header, payload, key)
			}
			tokenRefuses(s, live, forged)
		})
		s.row("A28 A29 A31 C147", "other names of keys", func(s *stage) {
			file := filepath.Join(s.t.(*testing.T).TempDir(), "key")
			require.NoError(s.t, os.WriteFile(file, []byte(key2), 0o600))
			forged := map[string]string{}
			for _, other := range []string{
				`"../../../../dev/null"`, `"/proc/sys/kernel/randomize_va_space"`, strconv.Quote(file), `"file://` + file + `"`,
				`"' UNION SELECT 'k' --"`, `"$(id)"`, `";id"`, `"|id"`, `"` + "`id`" + `"`, `"` + strings.Repeat("k", 10<<10) + `"`, `"` + strings.Repeat("k", 900) + `"`,
				`"` + kid + `\u0000"`, "\"" + kid + "\x00\"", `1`, `0`, `null`, `true`, `["` + kid + `"]`, `{"a":"` + kid + `"}`, `""`, `" ` + kid + `"`, `"` + kid + ` "`,
				`"` + strings.ToLower(kid) + `"`, `"` + kid[:10] + `"`, `"AAAAAAAAAAA"`, `"*"`, `"%"`,
			} {
				for name, key := range map[string]string{"ours": key1, "empty": "", "of the file": key2, "0": "0\n", "2": "2\n", "k": "k"} {
					forged[other[:min(len(other), 60)]+", key "+name] = tokenMint(ours(`"`+kid+`"`, other), payload, key)
				}
			}
			if lower := `"` + strings.ToLower(kid) + `"`; lower == `"`+kid+`"` {
				s.t.(*testing.T).Fatal("the kid has no capital letter: take another key for these tests")
			}
			for name, key := range map[string]string{"ours": key1, "empty": ""} {
				forged["no kid, key "+name] = tokenMint(ours(`"kid":"`+kid+`",`, ``), payload, key)
				forged["KID, key "+name] = tokenMint(ours(`"kid"`, `"KID"`), payload, key)
			}
			tokenRefuses(s, live, forged)
		})
		s.row("A34 A35 A36 C24 C148 C151", "critical, of another type, compressed or nested", func(s *stage) {
			forged := map[string]string{}
			for _, more := range []string{
				`"crit":["x"]`, `"crit":["b64"],"b64":false`, `"crit":["b64"],"b64":true`, `"crit":[]`, `"crit":"x"`, `"crit":null`, `"crit":["exp"],"exp":1`,
				`"b64":false`, `"zip":"DEF"`, `"cty":"JWT"`, `"enc":"A256GCM"`, `"x":1`, `"":""`,
			} {
				forged[more+" last"] = tokenMint(tokenSwap(s.t, header, `}`, `,`+more+`}`), payload, key1)
				forged[more+" first"] = tokenMint(tokenSwap(s.t, header, `{`, `{`+more+`,`), payload, key1)
			}
			for _, typ := range []string{`"JWT"`, `"jwt"`, `"at+jwt"`, `"application/at+jwt"`, `"application/ginsession+jwt"`, `"GINSESSION+JWT"`, `"JOSE"`, `""`, `null`, `["ginsession+jwt"]`} {
				forged["typ "+typ] = tokenMint(ours(`"ginsession+jwt"`, typ), payload, key1)
			}
			forged["no typ"] = tokenMint(ours(`,"typ":"ginsession+jwt"`, ``), payload, key1)
			forged["TYP"] = tokenMint(ours(`"typ"`, `"TYP"`), payload, key1)
			tokenRefuses(s, live, forged)
		})
		s.row("A37 A38 C152", "names twice, and JSON that is another's idea of it", func(s *stage) {
			forged := map[string]string{}
			for name, other := range map[string]string{
				"alg none first":   ours(`"alg":"HS256"`, `"alg":"none","alg":"HS256"`),
				"alg none last":    ours(`"alg":"HS256"`, `"alg":"HS256","alg":"none"`),
				"alg HS256 twice":  ours(`"alg":"HS256"`, `"alg":"HS256","alg":"HS256"`),
				"kid twice":        ours(`"kid":`, `"kid":"AAAAAAAAAAA","kid":`),
				"typ twice":        ours(`"typ":`, `"typ":"JWT","typ":`),
				"ALG beside alg":   ours(`"alg":"HS256"`, `"alg":"HS256","ALG":"none"`),
				"trailing bytes":   header + "x",
				"trailing space":   header + " ",
				"trailing newline": header + "\n",
				"trailing NUL":     header + "\x00",
				"two documents":    header + header,
				"byte order mark":  "\ufeff" + header,
				"leading space":    " " + header,
				"space inside":     ours(`,"typ"`, `, "typ"`),
				"another order":    `{"typ":"ginsession+jwt","kid":"` + kid + `","alg":"HS256"}`,
				"escaped name":     ours(`"alg"`, `"\u0061lg"`),
				"array":            `[` + header + `]`,
				"null":             `null`,
				"number":           `1`,
				"string":           strconv.Quote(header),
				"true":             `true`,
				"cut off":          header[:len(header)-1],
				"nothing":          ``,
				"not UTF-8":        ours(`ginsession`, "\xff"),
				"1,200 levels":     strings.Repeat("[", 1200),
				"10,001 levels":    strings.Repeat("[", 10_001),
				"deep objects":     strings.Repeat(`{"a":`, 220) + "1" + strings.Repeat("}", 220),
			} {
				forged[name] = tokenMint(other, payload, key1)
			}
			tokenRefuses(s, live, forged)
		})
		s.row("A39 A40 C143", "JSON serializations, JWE, and other numbers of segments", func(s *stage) {
			general := `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`
			flat := `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`
			jwe := token64(`{"alg":"dir","enc":"A256GCM"}`)
			tokenRefuses(s, live, map[string]string{
				"general":           general,
				"flattened":         flat,
				"general, percent":  tokenPercent(general),
				"flat, percent":     tokenPercent(flat),
				"general, base64":   token64(general),
				"one segment":       parts[0],
				"two segments":      parts[0] + "." + parts[1],
				"four segments":     live + "." + parts[2],
				"four, empty last":  live + ".",
				"four, first":       "." + live,
				"JWE":               jwe + ".." + parts[1] + "." + parts[2] + "." + parts[2],
				"our header, JWE":   parts[0] + ".." + parts[1] + "." + parts[1] + "." + parts[2],
				"five segments":     live + "." + parts[1] + "." + parts[2],
				"six segments":      live + "." + live,
				"empty segments":    "..",
				"five empty":        "....",
				"payload detached":  parts[0] + ".." + parts[2],
				"two dots in a row": parts[0] + ".." + parts[1] + "." + parts[2],
				"JWS within a JWS":  tokenMint(header, live, key1),
			})
		})
	}, newTokenClock().stop)
}

func tokenPercent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// With a ring of two keys, of which the first signs.
func TestSecurityTokenOfTwoKeys(t *testing.T) {
	clock := newTokenClock()
	onStage(t, func(s *stage) {
		old := tokenNode(s, clock.stop, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key1} })
		now, before := s.token("ada"), old.token("ada")
		nowHeader, nowPayload := tokenSays(t, now)
		oldHeader, oldPayload := tokenSays(t, before)
		require.NotEqual(t, nowHeader, oldHeader)
		require.Equal(t, 200, s.send("GET", "/me", "", bearing(before)).StatusCode)

		s.row("A30", "the name of one key over the MAC of another", func(s *stage) {
			foreign := strings.Replace(nowHeader, `"kid":"`, `"kid":"A`, 1)
			tokenRefuses(s, now, map[string]string{
				"new name, old key":     tokenMint(nowHeader, nowPayload, key1),
				"old name, new key":     tokenMint(oldHeader, nowPayload, key2),
				"old name, old session": tokenMint(oldHeader, oldPayload, key2),
				"unknown name":          tokenMint(foreign, nowPayload, key2),
				"header of the other":   token64(oldHeader) + now[strings.Index(now, "."):],
				"no name":               tokenMint(strings.Replace(nowHeader, `"kid"`, `"x"`, 1), nowPayload, key2),
			})
		})
		s.row("A31", "a key that was removed", func(s *stage) {
			next := tokenNode(s, clock.stop, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2} })
			next.refused(next.send("GET", "/me", "", bearing(before)), ginsession.ErrTokenInvalid)
			require.Empty(s.t, s.wire.statements())
			require.Equal(s.t, 200, next.send("GET", "/me", "", bearing(now)).StatusCode)
		})
	}, clock.stop, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2, key1} })
}

func TestSecurityTokenSignature(t *testing.T) {
	onStage(t, func(s *stage) {
		live, other, bob := s.token("ada"), s.token("ada"), s.token("bob")
		parts, others, bobs := strings.Split(live, "."), strings.Split(other, "."), strings.Split(bob, ".")
		unsigned := parts[0] + "." + parts[1] + "."
		mac := tokenUn64(t, parts[2])

		s.row("A41", "a MAC of another length", func(s *stage) {
			forged := map[string]string{"no dot": parts[0] + "." + parts[1]}
			for _, n := range []int{0, 1, 16, 31, 33, 64} {
				forged[fmt.Sprint(n, " bytes")] = unsigned + token64((mac + mac)[:n])
				forged[fmt.Sprint(n, " zeros")] = unsigned + token64(strings.Repeat("\x00", n))
			}
			forged["the end of it"] = unsigned + token64(mac[16:])
			forged["hex"] = unsigned + fmt.Sprintf("%x", mac)
			tokenRefuses(s, live, forged)
		})
		s.row("A42", "each of its 256 bits", func(s *stage) {
			forged := map[string]string{}
			for bit := range 256 {
				flipped := []byte(mac)
				flipped[bit/8] ^= 1 << (bit % 8)
				forged[fmt.Sprint("bit ", bit)] = unsigned + token64(string(flipped))
			}
			require.Len(s.t, forged, 256)
			tokenRefuses(s, live, forged)
		})
		s.row("C20", "a bit in each segment, and no query", func(s *stage) {
			forged := map[string]string{}
			for i := range parts {
				text := tokenUn64(s.t, parts[i])
				for _, at := range []int{0, len(text) / 2, len(text) - 1} {
					for bit := range 8 {
						flipped := []byte(text)
						flipped[at] ^= 1 << bit
						segments := slices.Clone(parts)
						segments[i] = token64(string(flipped))
						forged[fmt.Sprint("segment ", i, " byte ", at, " bit ", bit)] = strings.Join(segments, ".")
					}
				}
			}
			tokenRefuses(s, live, forged)
		})
		s.row("A43", "pieces of several live tokens", func(s *stage) {
			tokenRefuses(s, live, map[string]string{
				"MAC of another":        unsigned + others[2],
				"MAC of bob's":          unsigned + bobs[2],
				"payload of another":    parts[0] + "." + others[1] + "." + parts[2],
				"payload of bob's":      parts[0] + "." + bobs[1] + "." + parts[2],
				"payload twice":         parts[1] + "." + parts[1] + "." + parts[2],
				"header for a payload":  parts[0] + "." + parts[0] + "." + parts[2],
				"segments in a circle":  parts[2] + "." + parts[0] + "." + parts[1],
				"payload of both":       parts[0] + "." + parts[1] + others[1] + "." + parts[2],
				"dot at another place":  parts[0] + "." + parts[1][:20] + "." + parts[1][20:] + parts[2],
				"header that is longer": parts[0] + parts[1][:4] + "." + parts[1][4:] + "." + parts[2],
			})
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(other)).StatusCode)
			require.Equal(s.t, "bob", s.send("GET", "/me", "", bearing(bob)).Text)
		})
		s.row("A44", "other low bits of the last letter", func(s *stage) {
			forged := map[string]string{}
			for i, segment := range parts {
				spare := len(segment) * 6 % 8 // bits that are of no byte
				last := strings.IndexByte(tokenAlphabet, segment[len(segment)-1])
				for low := 1; low < 1<<spare; low++ {
					segments := slices.Clone(parts)
					segments[i] = segment[:len(segment)-1] + tokenAlphabet[last^low:][:1]
					require.NotEqual(s.t, segment, segments[i])
					forged[fmt.Sprint("segment ", i, " low bits ", low)] = strings.Join(segments, ".")
				}
			}
			require.GreaterOrEqual(s.t, len(forged), 3)
			tokenRefuses(s, live, forged)
		})
		s.row("A45", "the standard alphabet, and padding", func(s *stage) {
			header, payload := tokenSays(s.t, live)
			claims := tokenClaims(s.t, live)
			withBoth, padded := "", "" // a good token whose MAC has both letters that differ
			for later := int64(1); withBoth == ""; later++ {
				raw := tokenMint(header, tokenSwap(s.t, payload, fmt.Sprint(claims.Exp), fmt.Sprint(claims.Exp+later)), key1)
				if signature := raw[strings.LastIndex(raw, ".")+1:]; strings.Contains(signature, "-") && strings.Contains(signature, "_") {
					withBoth, padded = raw, raw+"="
				}
			}
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(withBoth)).StatusCode)
			tokenRefuses(s, live, map[string]string{
				"both":               strings.NewReplacer("-", "+", "_", "/").Replace(withBoth),
				"plus":               strings.ReplaceAll(withBoth, "-", "+"),
				"slash":              strings.ReplaceAll(withBoth, "_", "/"),
				"padding":            padded,
				"too much padding":   padded + "=",
				"padding in percent": withBoth + "%3D",
				"payload padded":     parts[0] + "." + parts[1] + "=." + parts[2],
				"header padded":      parts[0] + "=." + parts[1] + "." + parts[2],
			})
		})
		s.row("A46 A47 C150 C153", "letters that are none of base64url, in each segment", func(s *stage) {
			forged := map[string]string{}
			for _, letter := range []string{" ", "\t", "?", "#", "*", "~", "!", "&", "'", "(", "@", ":", "|", "é", "ａ", "\x80", "\u00a0", "\u200b", "%0A", "%0D%0A", "%00", `\n`} {
				for i := range parts {
					for place, at := range map[string]int{"in": len(parts[i]) / 2 / 4 * 4, "before": 0, "behind": len(parts[i])} {
						segments := slices.Clone(parts)
						segments[i] = segments[i][:at] + letter + segments[i][at:]
						if forgery := strings.Join(segments, "."); strings.Trim(forgery, " \t") != live { // around a value there may be spaces
							forged[fmt.Sprintf("%q %s segment %d", letter, place, i)] = forgery
						}
					}
				}
			}
			tokenRefuses(s, live, forged)
		})
	}, newTokenClock().stop)
}

const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestSecurityTokenClaims(t *testing.T) {
	clock := newTokenClock()
	onStage(t, func(s *stage) {
		live := s.token("ada")
		header, payload := tokenSays(t, live)
		said := tokenClaims(t, live)
		iat, exp := fmt.Sprint(clock.now().Unix()), fmt.Sprint(said.Exp)
		swap := func(old, with string) string { return tokenSwap(t, payload, old, with) }
		refuse := func(s *stage, payloads map[string]string) {
			s.t.Helper()
			forged := map[string]string{}
			for name, p := range payloads {
				forged[name] = tokenMint(header, p, key1)
			}
			tokenRefuses(s, live, forged)
		}
		require.Equal(t, 200, s.send("GET", "/me", "", bearing(tokenMint(header, payload, key1))).StatusCode)

		s.row("A50 A51 A52 A53 C23 C69", "an expiry that is no whole number of seconds, or none", func(s *stage) {
			forged := map[string]string{"missing": swap(`,"exp":`+exp, ``), "EXP": swap(`"exp"`, `"EXP"`)}
			for _, other := range []string{
				`null`, `"` + exp + `"`, `"9999999999"`, `""`, `true`, `[` + exp + `]`, `{"a":` + exp + `}`, exp + `.0`, exp + `.9`, exp[:9] + `.5e1`,
				exp + `e0`, `0` + exp, `+` + exp, `-0`, `-1e308`, `1e308`, `1e400`, `-1e400`, `9e18`, `1e19`, `10000000000000000000`, `18446744073709551617`,
				`NaN`, `Infinity`, `0x7fffffff`, strings.Repeat("9", 400), ` ` + exp, exp + ` `,
			} {
				forged[other] = swap(`"exp":`+exp, `"exp":`+other)
			}
			refuse(s, forged)
		})
		// These have the form of ours, so the row decides. Nobody has made such a token
		// for a session that was opened now.
		s.row("A50 A53 A54 A56 C69", "times that no token of the session has", func(s *stage) {
			row := tokenRow(s, said.SID)
			absolute := row.AbsoluteExpiresAt.Time().Unix()
			for name, p := range map[string]string{
				"exp 0":                          swap(`"exp":`+exp, `"exp":0`),
				"exp -1":                         swap(`"exp":`+exp, `"exp":-1`),
				"exp far in the past":            swap(`"exp":`+exp, `"exp":-9000000000000000000`),
				"exp now, when it was opened":    swap(`"exp":`+exp, `"exp":`+iat),
				"exp 9e18":                       swap(`"exp":`+exp, `"exp":9000000000000000000`),
				"exp in the year 10000":          swap(`"exp":`+exp, `"exp":253402300800`),
				"exp in a year":                  swap(`"exp":`+exp, `"exp":`+fmt.Sprint(said.Exp+365*86400)),
				"exp behind the absolute end":    swap(`"exp":`+exp, `"exp":`+fmt.Sprint(absolute+1)),
				"iat an hour before":             swap(`"iat":`+iat, `"iat":`+fmt.Sprint(said.Exp-25*3600)),
				"iat 0":                          swap(`"iat":`+iat, `"iat":0`),
				"iat -1":                         swap(`"iat":`+iat, `"iat":-1`),
				"iat half a minute and a second": swap(`"iat":`+iat, `"iat":`+fmt.Sprint(clock.now().Unix()-31)),
			} {
				answer := s.send("GET", "/me", "", bearing(tokenMint(header, p, key1)))
				require.Equal(s.t, ginsession.ErrTokenInvalid, code(s.t, answer), name)
				s.refused(answer, ginsession.ErrTokenInvalid)
				require.Empty(s.t, answer.Header["Set-Cookie"], name)
				require.Equal(s.t, row, tokenRow(s, said.SID), "%s: the row stays as it is", name)
			}
			require.Contains(s.t, s.logs.text(), `"msg":"ginsession: token_invalid"`)
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(live)).StatusCode)
		})
		s.row("A55 C154", "issued in the future, beyond what clocks may differ", func(s *stage) {
			refuse(s, map[string]string{
				"iat in an hour":        swap(`"iat":`+iat, `"iat":`+fmt.Sprint(clock.now().Unix()+3600)),
				"iat in 31 s":           swap(`"iat":`+iat, `"iat":`+fmt.Sprint(clock.now().Unix()+31)),
				"iat 9e18":              swap(`"iat":`+iat, `"iat":9000000000000000000`),
				"iat missing":           swap(`"iat":`+iat+`,`, ``),
				"iat null":              swap(`"iat":`+iat, `"iat":null`),
				"iat a string":          swap(`"iat":`+iat, `"iat":"`+iat+`"`),
				"nbf in an hour":        swap(`}`, `,"nbf":`+fmt.Sprint(clock.now().Unix()+3600)+`}`),
				"nbf in the past":       swap(`}`, `,"nbf":1}`),
				"nbf in front":          swap(`{`, `{"nbf":1,`),
				"nbf instead of an iat": swap(`"iat"`, `"nbf"`),
			})
			in30s := tokenMint(header, swap(`"iat":`+iat, `"iat":`+fmt.Sprint(clock.now().Unix()+30)), key1)
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(in30s)).StatusCode)
		})
		s.row("A57 A58 C71 C152", "claims twice, or in another spelling", func(s *stage) {
			forged := map[string]string{}
			for _, claim := range []string{`"iss":"ginsession"`, `"aud":"ginsession"`, `"sid":"` + said.SID + `"`, `"jti":"` + said.JTI + `"`, `"iat":` + iat, `"exp":` + exp} {
				name, value, _ := strings.Cut(claim, ":")
				forged[name+" twice, the same"] = swap(claim, claim+`,`+claim)
				forged[name+" twice, null first"] = swap(claim, name+`:null,`+claim)
				forged[name+" twice, null last"] = swap(claim, claim+`,`+name+`:null`)
				forged[name+" twice, another first"] = swap(claim, name+`:1,`+claim)
				forged[name+" twice, another last"] = swap(claim, claim+`,`+name+`:9999999999`)
				for spelling, other := range map[string]string{
					"capitals": strings.ToUpper(name), "a capital": strings.ToUpper(name[:2]) + name[2:], "an escape": fmt.Sprintf(`"\u%04x%s`, name[1], name[2:]),
					"long s": strings.Replace(name, "s", "ſ", 1), "a space": name[:len(name)-1] + ` "`,
				} {
					if other == name {
						continue // has no s
					}
					forged[name+" in "+spelling] = swap(claim, other+`:`+value)
					forged[name+" and before it "+spelling] = swap(claim, other+`:9999999999,`+claim)
					forged[name+" and behind it "+spelling] = swap(claim, claim+`,`+other+`:9999999999`)
				}
			}
			refuse(s, forged)
		})
		s.row("A59 A61", "a session id that is none", func(s *stage) {
			forged := map[string]string{"missing": swap(`"sid":"`+said.SID+`",`, ``)}
			for name, sid := range map[string]string{
				"empty": `""`, "null": `null`, "number": `1`, "zero": `0`, "true": `true`, "array": `["` + said.SID + `"]`, "object": `{"id":"` + said.SID + `"}`,
				"1 KiB": `"` + strings.Repeat("A", 1<<10) + `"`, "10 KiB": `"` + strings.Repeat("A", 10<<10) + `"`, "a letter less": `"` + said.SID[1:] + `"`,
				"NUL": `"` + said.SID[:25] + `\u0000"`, "NUL behind": `"` + said.SID + `\u0000"`, "raw NUL": "\"" + said.SID[:25] + "\x00\"",
				"percent": `"` + said.SID[:25] + `%"`, "percent alone": `"%"`, "underscore": `"` + said.SID[:25] + `_"`, "quote": `"` + said.SID[:25] + `'"`,
				"injection": `"' OR '1'='1' -- 1234567890"`, "comment": `"` + said.SID[:24] + `--"`, "not UTF-8": "\"" + said.SID[:25] + "\xff\"",
				"lower case": `"` + strings.ToLower(said.SID) + `"`, "one lower letter": `"` + strings.ToLower(said.SID[:13]) + said.SID[13:] + `"`,
				"a space behind": `"` + said.SID + ` "`, "a space before": `" ` + said.SID + `"`, "a tab": `"` + said.SID + `\t"`, "a newline": `"` + said.SID + `\n"`,
				"full width": `"` + said.SID[:25] + `Ａ"`, "an accent": `"` + said.SID[:25] + `Á"`, "escaped": fmt.Sprintf(`"\u%04x%s"`, said.SID[0], said.SID[1:]),
				"digit of no base32": `"` + said.SID[:25] + `1"`,
			} {
				if sid == `"`+said.SID+`"` {
					continue
				}
				forged[name] = swap(`"`+said.SID+`"`, sid)
			}
			refuse(s, forged)
		})
		s.row("A60 C146", "a subject beside the session", func(s *stage) {
			bob := s.token("bob")
			_, bobs := tokenSays(s.t, bob)
			refuse(s, map[string]string{
				"sid of bob, sub ada": tokenSwap(s.t, bobs, `}`, `,"sub":"`+s.ada.UserID+`"}`),
				"sub in front":        tokenSwap(s.t, bobs, `{`, `{"sub":"ada",`),
				"our own sub":         swap(`}`, `,"sub":"`+s.ada.UserID+`"}`),
				"sub empty":           swap(`}`, `,"sub":""}`),
				"sub null":            swap(`}`, `,"sub":null}`),
			})
			require.Equal(s.t, "bob", s.send("GET", "/me", "", bearing(bob)).Text)
		})
		s.row("A62 A63 C25 C146", "another audience or issuer", func(s *stage) {
			forged := map[string]string{}
			for claim, others := range map[string][]string{
				`"aud":"ginsession"`: {
					`"other"`, `""`, `null`, `0`, `true`, `{}`, `{"a":"ginsession"}`, `[]`, `[""]`, `["ginsession"]`, `["ginsession","other"]`,
					`["other","ginsession"]`, `["other"]`, `"ginsession "`, `" ginsession"`, `"Ginsession"`, `"ginsessio"`, `"ginsession/"`, `"ginsession\u0000"`, `"*"`,
				},
				`"iss":"ginsession"`: {
					`"other"`, `""`, `null`, `0`, `[]`, `["ginsession"]`, `{}`, `"ginsession/"`, `"GINSESSION"`, `"Ginsession"`, `"ginsessio"`,
					`"ginsessions"`, `" ginsession"`, `"https://ginsession"`, `"\u0067insession"`,
				},
			} {
				name := claim[:5]
				for _, other := range others {
					forged[name+other] = swap(claim, name+`:`+other)
				}
				forged[name+" missing"] = swap(claim+`,`, ``)
			}
			refuse(s, forged)
		})
		// Refused rather than ignored: a claim of another program may mean something.
		s.row("A64 C70", "further claims make nobody an admin, and nobody at all", func(s *stage) {
			bob := s.token("bob")
			_, bobs := tokenSays(s.t, bob)
			for _, more := range []string{`"role":"admin"`, `"admin":true`, `"uid":1`, `"scope":"*"`, `"roles":["admin"]`, `"userId":"` + s.ada.UserID + `"`, `"username":"ada"`, `"":1`, `"__proto__":{"role":"admin"}`} {
				for _, p := range []string{tokenSwap(s.t, bobs, `}`, `,`+more+`}`), tokenSwap(s.t, bobs, `{`, `{`+more+`,`)} {
					forged := bearing(tokenMint(header, p, key1))
					s.refused(s.send("GET", "/admin", "", forged), ginsession.ErrTokenInvalid)
					s.refused(s.send("GET", "/me", "", forged), ginsession.ErrTokenInvalid)
					require.Equal(s.t, "false ", s.send("GET", "/open", "", forged).Text)
				}
			}
			s.refused(s.send("GET", "/admin", "", bearing(bob)), ginsession.ErrRoleRequired)
		})
		s.row("A65 A66 C145", "payloads that are no object, or no UTF-8", func(s *stage) {
			utf16le := make([]byte, 0, 2*len(payload))
			for _, u := range utf16.Encode([]rune(payload)) {
				utf16le = binary.LittleEndian.AppendUint16(utf16le, u)
			}
			refuse(s, map[string]string{
				"null": `null`, "array": `[]`, "array of ours": `[` + payload + `]`, "string": `"x"`, "string of ours": strconv.Quote(payload), "empty": `{}`,
				"two empty": `{}{}`, "two of ours": payload + payload, "nothing": ``, "number": `1`, "a letter": `x`, "cut off": payload[:len(payload)-1],
				"trailing byte": payload + "x", "trailing newline": payload + "\n", "trailing NUL": payload + "\x00", "leading space": " " + payload,
				"comment": payload + "/**/", "comma": swap(`}`, `,}`), "single quotes": strings.ReplaceAll(payload, `"`, `'`),
				"16 KiB": payload + strings.Repeat(" ", 16<<10), "600 KiB": strings.Repeat(" ", 600<<10) + payload, "deep": strings.Repeat("[", 1200),
				"UTF-16": string(utf16le), "UTF-16 with its mark": "\xff\xfe" + string(utf16le), "mark": "\ufeff" + payload,
				"\\xff in aud": swap(`"aud":"ginsession"`, "\"aud\":\"ginsession\xff\""), "\\xff behind": payload + "\xff", "\\xff in jti": swap(said.JTI, said.JTI[:42]+"\xff"),
				"long spelling": swap(`"iss"`, "\"\xc1\xa9ss\""), "surrogate": swap(`"aud":"ginsession"`, `"aud":"\ud800"`),
			})
			require.NotEqual(s.t, 200, tokenRaw(s, bearing(tokenMint(header, payload+strings.Repeat(" ", 1<<20), key1))))
		})
		// The tokens of the session manager that this one is made after say who the
		// user is; whoever holds one signs in again.
		s.row("A67", "a token of the version before this one", func(s *stage) {
			before := `{"userId":"` + s.ada.UserID + `","username":"ada","email":"ada@example.com","role":"admin","iat":` + iat + `,"exp":` + exp + `}`
			tokenRefuses(s, live, map[string]string{
				"alone":            tokenMint(`{"alg":"HS256"}`, before, key1),
				"JWT":              tokenMint(`{"alg":"HS256","typ":"JWT"}`, before, key1),
				"under our header": tokenMint(header, before, key1),
				"our payload":      tokenMint(`{"alg":"HS256","typ":"JWT"}`, payload, key1),
			})
		})
		s.row("A50 A54 C23", "good before its expiry, and never longer than its row", func(s *stage) {
			row := tokenRow(s, said.SID)
			longer := tokenMint(header, swap(exp, fmt.Sprint(row.AbsoluteExpiresAt.Time().Unix())), key1)
			clock.pass(time.Hour)
			now := clock.now().Unix()
			for name, past := range map[string]int64{"a second ago": now - 1, "an hour ago": now - 3599, "now": now} {
				forged := tokenMint(header, swap(`"exp":`+exp, `"exp":`+fmt.Sprint(past)), key1)
				answer := s.send("GET", "/me", "", bearing(forged))
				require.Equal(s.t, ginsession.ErrSessionExpired, code(s.t, answer), name)
				s.refused(answer, ginsession.ErrSessionExpired)
			}
			require.Equal(s.t, row.ExpiresAt, tokenRow(s, said.SID).ExpiresAt)
			require.Zero(s.t, tokenRow(s, said.SID).EndedAt)
			// It expires before its row, so its answer brings another.
			another := s.token("ada")
			_, p := tokenSays(s.t, another)
			soon := tokenMint(header, tokenSwap(s.t, p, fmt.Sprint(tokenClaims(s.t, another).Exp), fmt.Sprint(now+1)), key1)
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(soon)).StatusCode)

			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(longer)).StatusCode)
			clock.pass(row.ExpiresAt.Time().Sub(clock.now()))
			s.refused(s.send("GET", "/me", "", bearing(longer)), ginsession.ErrSessionExpired)
			s.refused(s.send("GET", "/me", "", bearing(live)), ginsession.ErrSessionExpired)
		})
		s.row("A56", "newer claims than the end of all sessions of a user", func(s *stage) {
			token := s.token("ada")
			said := tokenClaims(s.t, token)
			_, p := tokenSays(s.t, token)
			require.NoError(s.t, s.sessions.Accounts().SetPassword(s.t.Context(), s.ada.UserID, password+password))
			s.logs.secret(password + password)
			clock.pass(time.Second)
			later := tokenSwap(s.t, tokenSwap(s.t, p, fmt.Sprint(said.Exp), fmt.Sprint(said.Exp+86400)), `"iat":`+fmt.Sprint(said.Exp-86400), `"iat":`+fmt.Sprint(clock.now().Unix()))
			for _, t := range []string{token, tokenMint(header, later, key1)} {
				s.refused(s.send("GET", "/me", "", bearing(t)), ginsession.ErrSessionNotFound)
			}
		})
	}, clock.stop)
}

// tokenRow returns the row of a session.
func tokenRow(s *stage, id string) models.Session {
	s.t.Helper()
	for _, row := range s.rows() {
		if string(row.ID) == id {
			return row
		}
	}
	s.t.Fatalf("no session %s", id)
	return models.Session{}
}

// What passes the gate, on every database.
func TestSecurityTokenWithoutItsRow(t *testing.T) {
	clock := newTokenClock()
	onStages(t, func(s *stage) {
		live := s.token("ada")
		header, payload := tokenSays(s.t, live)
		said := tokenClaims(s.t, live)
		s.row("A15", "an id that was never given out makes no row", func(s *stage) {
			before := s.rows()
			for _, id := range []string{rand.Text(), strings.Repeat("A", 26), strings.Repeat("7", 26)} {
				forged := bearing(tokenMint(header, tokenSwap(s.t, payload, said.SID, id), key1))
				for _, path := range []string{"/me", "/admin"} {
					answer := s.send("GET", path, "", forged)
					s.refused(answer, ginsession.ErrSessionNotFound)
					require.Empty(s.t, answer.Header["Set-Cookie"])
				}
				s.refused(s.send("POST", "/session/refresh", "", forged), ginsession.ErrSessionNotFound)
				require.Equal(s.t, 200, s.send("POST", "/logout", "", forged).StatusCode)
			}
			require.Equal(s.t, before, s.rows())
		})
		s.row("A60", "the session of one, the secret of another: a critical event", func(s *stage) {
			bob := s.token("bob")
			bobs := tokenClaims(s.t, bob)
			forged := bearing(tokenMint(header, tokenSwap(s.t, payload, said.SID, bobs.SID), key1))
			require.Equal(s.t, "false ", s.send("GET", "/open", "", forged).Text)
			s.refused(s.send("GET", "/admin", "", forged), ginsession.ErrSessionInvalid)
			require.Contains(s.t, s.events(), "authn_token_reuse")
			require.Contains(s.t, s.logs.text(), `"level":"ERROR","msg":"ginsession: authn_token_reuse"`)
			require.Equal(s.t, "reuse", tokenRow(s, bobs.SID).EndReason, "what the key alone can do is to end a session")
			require.Equal(s.t, "ada", s.send("GET", "/me", "", bearing(live)).Text)
		})
	}, clock.stop)
}

func TestSecurityTokenKeys(t *testing.T) {
	t.Setenv("JWT_SECRET", "")
	db := modelstest.SQLite(t).Open(t)
	with := func(keys ...ginsession.Key) error {
		_, err := ginsession.New(db, ginsession.Config{Keys: keys})
		return err
	}
	row(t, "A49 C84", "short and weak keys are refused, 32 bytes are not", func(t *testing.T) {
		for _, key := range []string{"", "secret", "changeme", key1[:16], key1[:31], "password123", "0123456789012345678901234567890"} {
			for name, err := range map[string]error{"only": with(ginsession.Key(key)), "second": with(key2, ginsession.Key(key)), "first": with(ginsession.Key(key), key2)} {
				require.ErrorContains(t, err, fmt.Sprintf("has %d bytes, at least 32 are needed", len(key)), name)
				if key != "" {
					require.NotContains(t, err.Error(), key)
				}
			}
			if key != "" {
				t.Setenv("JWT_SECRET", key)
				_, err := ginsession.New(db, ginsession.Config{})
				require.ErrorContains(t, err, "at least 32 are needed")
				t.Setenv("JWT_SECRET", "")
			}
		}
		require.NoError(t, with(ginsession.Key(key1[:32])))
		require.NoError(t, with(ginsession.Key(strings.Repeat("0123456789abcdef", 8))))
	})
	// The kid is made of the key. So two keys of one name are one key.
	row(t, "A32", "no two keys of one name", func(t *testing.T) {
		require.ErrorContains(t, with(key1, key1), "Keys: key 2 is there twice")
		require.ErrorContains(t, with(key1, key2, key1), "Keys: key 3 is there twice")
		require.NoError(t, with(key1, key2))
	})
	row(t, "C5", "no key, no manager", func(t *testing.T) {
		require.ErrorContains(t, with(), "Keys: none given, and the environment variable JWT_SECRET is not set")
	})
	row(t, "C144", "a key of few different letters is warned of", func(t *testing.T) {
		for key, warned := range map[string]bool{
			strings.Repeat("a", 32): true, strings.Repeat("secret", 6): true, strings.Repeat("\x00", 64): true, strings.Repeat("1234567", 5): true,
			key1: false, "0123456789abcdef0123456789abcdef": false, rand.Text() + rand.Text(): false,
		} {
			var log capture
			_, err := ginsession.New(db, ginsession.Config{Keys: []ginsession.Key{key2, ginsession.Key(key)}, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			require.NoError(t, err)
			require.Equal(t, warned, strings.Contains(log.text(), `"level":"WARN"`) && strings.Contains(log.text(), "key 2"), "%s: %s", key, log.text())
			require.NotContains(t, log.text(), key)
		}
	})
}

// What the sources say themselves.
func TestSecurityTokenSources(t *testing.T) {
	sources := tokenSources(t)
	row(t, "C6 C82 C87", "cryptography of the standard library, golang.org/x and golang-jwt, and SHA-256 alone", func(t *testing.T) {
		allowed := []string{
			"crypto/hkdf", "crypto/hmac", "crypto/rand", "crypto/sha256", "crypto/subtle",
			"golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt", "golang.org/x/text/", "github.com/golang-jwt/jwt/v5",
			"github.com/gin-gonic/gin", "gorm.io/gorm", "github.com/ginsession/gin-session/",
		}
		seen := map[string]bool{}
		for file, tree := range sources {
			for _, i := range tree.Imports {
				path, err := strconv.Unquote(i.Path.Value)
				require.NoError(t, err)
				seen[path] = true
				if strings.HasPrefix(path, "crypto") || strings.Contains(path, ".") {
					require.True(t, slices.ContainsFunc(allowed, func(a string) bool { return path == a || strings.HasPrefix(path, strings.TrimSuffix(a, "/")+"/") }), "%s imports %s", file, path)
				}
				if strings.Contains(path, "math/rand") {
					require.Contains(t, []string{"retry.go", "sweep.go"}, file, "how long to wait is no secret")
				}
			}
		}
		require.True(t, seen["crypto/rand"] && seen["crypto/sha256"])
	})
	row(t, "C5", "no key in the sources", func(t *testing.T) {
		for file, tree := range sources {
			ast.Inspect(tree, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				name := tokenCalled(call)
				for _, argument := range call.Args {
					if literal, ok := argument.(*ast.BasicLit); ok && len(literal.Value) >= 32 && (strings.HasSuffix(name, "Key") || strings.Contains(name, "Ring") || name == "[]byte") {
						t.Errorf("%s: %s(%s)", file, name, literal.Value)
					}
				}
				return true
			})
		}
	})
	// Time would tell the same, but not on a busy machine.
	row(t, "A48 C85", "secrets and MACs are compared in constant time", func(t *testing.T) {
		where := map[string]string{} // the function, and with what it compares
		for _, tree := range sources {
			for _, d := range tree.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(f, func(n ast.Node) bool {
					if call, ok := n.(*ast.CallExpr); ok {
						switch name := tokenCalled(call); name {
						case "subtle.ConstantTimeCompare", "jwt.SigningMethodHS256.Verify", "hmac.Equal", "bytes.Equal", "bytes.Compare", "reflect.DeepEqual":
							where[f.Name.Name] += name
						}
					}
					return true
				})
			}
		}
		require.Equal(t, "jwt.SigningMethodHS256.Verify", where["open"], "golang-jwt compares with hmac.Equal")
		require.Equal(t, "subtle.ConstantTimeCompare", where["sameSecret"])
		require.Equal(t, "bytes.Equal", where["Verify"], "the payload, whose MAC was right")
		for function, with := range where {
			if function != "Verify" {
				require.NotContains(t, with, "bytes.", function)
				require.NotContains(t, with, "reflect.", function)
			}
		}
	})
	row(t, "C6 C89", "no UUIDs: 256 random bits, and a name of 130", func(t *testing.T) {
		onStage(t, func(s *stage) {
			said := tokenClaims(t, s.token("ada"))
			require.Len(t, tokenUn64(t, said.JTI), 32)
			require.Regexp(t, `^[A-Z2-7]{26}$`, said.SID)
			uuid := `[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}`
			header, _ := tokenSays(t, s.token("ada"))
			require.NotRegexp(t, uuid, said.SID+" "+header)
			require.NotRegexp(t, `^`+uuid+`$`, said.JTI)
		})
	})
}

// tokenSources parses all that is no test.
func tokenSources(t *testing.T) map[string]*ast.File {
	t.Helper()
	trees := map[string]*ast.File{}
	for _, folder := range []string{".", "internal/token", "../rbac", "../models"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			trees[file] = tree
		}
	}
	require.Greater(t, len(trees), 20)
	return trees
}

// tokenCalled returns what a call calls, with dots, as far as it has a name.
func tokenCalled(call *ast.CallExpr) string {
	var name func(e ast.Expr) string
	name = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.Ident:
			return e.Name
		case *ast.SelectorExpr:
			return name(e.X) + "." + e.Sel.Name
		case *ast.ArrayType:
			return "[]" + name(e.Elt)
		default:
			return ""
		}
	}
	return name(call.Fun)
}
