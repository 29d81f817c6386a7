package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	key1 = []byte("key-one-0123456789-0123456789-0123456789")
	key2 = []byte("key-two-0123456789-0123456789-0123456789")
	keyX = []byte("key-foreign-56789-0123456789-0123456789")

	issued = time.Date(2026, 8, 25, 10, 0, 0, 0, time.UTC)
)

func good() Claims {
	return Claims{
		SessionID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		Secret:    strings.Repeat("s", secretLength),
		IssuedAt:  issued,
		ExpiresAt: issued.Add(time.Hour),
	}
}

func ring(t testing.TB, secrets ...[]byte) *Ring {
	t.Helper()
	r, err := NewRing("ginsession", "app", secrets...)
	require.NoError(t, err)
	return r
}

// mint signs any header and payload, as whoever has the key could.
func mint(header, payload string, secret []byte) string {
	return mintWith(sha256.New, header, payload, secret)
}

func mintWith(h func() hash.Hash, header, payload string, secret []byte) string {
	signed := b64(header) + "." + b64(payload)
	mac := hmac.New(h, secret)
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func unb64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	require.NoError(t, err)
	return string(b)
}

func TestSignedTokenSaysWhatWasSigned(t *testing.T) {
	r := ring(t, key1)
	raw, err := r.Sign(good())
	require.NoError(t, err)
	got, err := r.Verify(raw, issued)
	require.NoError(t, err)
	require.Equal(t, good(), got)

	header, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	require.Equal(t, `{"alg":"HS256","kid":"`+kid(key1)+`","typ":"ginsession+jwt"}`, unb64(t, header))
	require.Equal(t, `{"iss":"ginsession","aud":"app","sid":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","jti":"`+good().Secret+
		`","iat":1787652000,"exp":1787655600}`, unb64(t, payload))
}

// kid computes the name of a key by itself, so that a change of it, which
// would sign everybody out, does not go unseen.
func kid(secret []byte) string {
	sum := sha256.Sum256([]byte(`{"k":"` + base64.RawURLEncoding.EncodeToString(secret) + `","kty":"oct"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:8])
}

func TestSignRefusesClaimsItCouldNotVerify(t *testing.T) {
	r := ring(t, key1)
	for name, change := range map[string]func(*Claims){
		"no session id":     func(c *Claims) { c.SessionID = "" },
		"quote in id":       func(c *Claims) { c.SessionID = `","admin":1,"x":"ABCDEFGHI` },
		"short secret":      func(c *Claims) { c.Secret = c.Secret[1:] },
		"secret not base64": func(c *Claims) { c.Secret = strings.Repeat("=", secretLength) },
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			change(&c)
			_, err := r.Sign(c)
			require.Error(t, err)
		})
	}
}

func TestExpiryIsExact(t *testing.T) {
	r := ring(t, key1)
	raw, err := r.Sign(good())
	require.NoError(t, err)
	end := good().ExpiresAt

	_, err = r.Verify(raw, end.Add(-time.Millisecond))
	require.NoError(t, err)

	for _, late := range []time.Duration{0, time.Millisecond, time.Hour, 100 * 365 * 24 * time.Hour} {
		c, err := r.Verify(raw, end.Add(late))
		require.ErrorIs(t, err, ErrExpired)
		require.Equal(t, good(), c, "the claims of an expired token are genuine")
	}
}

func TestIssuedInTheFuture(t *testing.T) {
	r := ring(t, key1)
	raw, err := r.Sign(good())
	require.NoError(t, err)
	_, err = r.Verify(raw, issued.Add(-clockSkew))
	require.NoError(t, err)
	_, err = r.Verify(raw, issued.Add(-clockSkew-time.Second))
	require.ErrorIs(t, err, ErrInvalid)
}

func TestTimesFitTheSession(t *testing.T) {
	end := issued.Add(30 * 24 * time.Hour)
	for label, test := range map[string]struct {
		change func(*Claims)
		fits   bool
	}{
		"as issued":             {func(*Claims) {}, true},
		"issued later":          {func(c *Claims) { c.IssuedAt = end }, true},
		"by a clock behind":     {func(c *Claims) { c.IssuedAt = issued.Add(-clockSkew) }, true},
		"by one further behind": {func(c *Claims) { c.IssuedAt = issued.Add(-clockSkew - time.Second) }, false},
		"issued in 1970":        {func(c *Claims) { c.IssuedAt = time.Unix(0, 0) }, false},
		"expires at the end":    {func(c *Claims) { c.ExpiresAt = end }, true},
		"expires behind it":     {func(c *Claims) { c.ExpiresAt = end.Add(time.Second) }, false},
		"expires never":         {func(c *Claims) { c.ExpiresAt = time.Unix(9e18, 0) }, false},
		"expires at once":       {func(c *Claims) { c.ExpiresAt = issued }, false},
		"expires in a second":   {func(c *Claims) { c.ExpiresAt = issued.Add(time.Second) }, true},
		"expired in 1969":       {func(c *Claims) { c.ExpiresAt = time.Unix(-1, 0) }, false},
	} {
		c := good()
		test.change(&c)
		if err := c.Fit(issued, end); (err == nil) != test.fits {
			t.Errorf("%s: %v", label, err)
		} else if err != nil && (!errors.Is(err, ErrInvalid) || Why(err) != "claims") {
			t.Errorf("%s: %v is no flaw of the claims", label, err)
		}
	}
	c := good()
	require.NoError(t, c.Fit(issued.Add(999*time.Millisecond), end), "the token's times are whole seconds, the row's are not")
}

func TestTokensFitTheGate(t *testing.T) {
	for audience, fits := range map[string]bool{
		strings.Repeat("a", 255): true, strings.Repeat("<", 100): true, strings.Repeat("<", 255): false, strings.Repeat("\x01", 255): false,
	} {
		r, err := NewRing("ginsession", audience, key1)
		require.NoError(t, err)
		require.Equal(t, fits, r.Fits(), audience)
		raw, err := r.Sign(good())
		require.NoError(t, err)
		if _, err = r.Verify(raw, issued); fits {
			require.NoError(t, err)
		}
	}
}

func TestKeyRing(t *testing.T) {
	old, err := ring(t, key1).Sign(good())
	require.NoError(t, err)

	t.Run("first signs, all verify", func(t *testing.T) {
		r := ring(t, key2, key1)
		_, err := r.Verify(old, issued)
		require.NoError(t, err)
		raw, err := r.Sign(good())
		require.NoError(t, err)
		_, err = ring(t, key2).Verify(raw, issued)
		require.NoError(t, err)
	})
	t.Run("removed key", func(t *testing.T) {
		_, err := ring(t, key2).Verify(old, issued)
		require.ErrorIs(t, err, ErrInvalid)
	})
	t.Run("kid of one key, signed with another", func(t *testing.T) {
		r := ring(t, key2, key1)
		for _, pair := range [][2][]byte{{key1, key2}, {key2, key1}, {key1, keyX}} {
			header := unb64(t, strings.SplitN(old, ".", 2)[0])
			header = strings.Replace(header, kid(key1), kid(pair[0]), 1)
			_, err := r.Verify(mint(header, string(r.payload(good())), pair[1]), issued)
			require.ErrorIs(t, err, ErrInvalid)
		}
	})
	t.Run("faults", func(t *testing.T) {
		for name, secrets := range map[string][][]byte{
			"no key": {}, "empty": {nil}, "31 bytes": {key1[:31]}, "twice": {key1, key2, key1}, "short second": {key1, key2[:8]},
		} {
			_, err := NewRing("i", "a", secrets...)
			require.Error(t, err, name)
		}
		_, err := NewRing("i", "a", key1[:31], key2[:16])
		require.ErrorContains(t, err, "key 1 has 31 bytes")
		require.ErrorContains(t, err, "key 2 has 16 bytes")
		_, err = NewRing("i", "a", key1[:32], []byte(strings.Repeat("long", 100)))
		require.NoError(t, err)
	})
	t.Run("prints no key", func(t *testing.T) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			out := fmt.Sprintf(verb, ring(t, key1))
			require.NotContains(t, out, string(key1))
			require.NotContains(t, out, "6b65792d6f6e65")
			require.NotContains(t, out, "107, 101")
		}
	})
}

func TestAudiencesDoNotMix(t *testing.T) {
	raw, err := ring(t, key1).Sign(good())
	require.NoError(t, err)
	for _, names := range [][2]string{{"ginsession", "other"}, {"other", "app"}, {"ginsession", "ap"}, {"", ""}} {
		r, err := NewRing(names[0], names[1], key1)
		require.NoError(t, err)
		_, err = r.Verify(raw, issued)
		require.ErrorIs(t, err, ErrInvalid)
		_, err = r.Verify(raw, issued.Add(2*time.Hour))
		require.ErrorIs(t, err, ErrInvalid, "also when it has expired")
	}
}

// TestForgedHeaders presents payloads that would be right under headers that
// are not ours, signed with our key: what a bug elsewhere could produce.
func TestForgedHeaders(t *testing.T) {
	r := ring(t, key1)
	payload, name := string(r.payload(good())), kid(key1)
	for label, header := range map[string]string{
		"alg none":      `{"alg":"none","kid":"` + name + `","typ":"ginsession+jwt"}`,
		"alg nOnE":      `{"alg":"nOnE","kid":"` + name + `","typ":"ginsession+jwt"}`,
		"alg lower":     `{"alg":"hs256","kid":"` + name + `","typ":"ginsession+jwt"}`,
		"alg null":      `{"alg":null,"kid":"` + name + `","typ":"ginsession+jwt"}`,
		"alg list":      `{"alg":["HS256"],"kid":"` + name + `","typ":"ginsession+jwt"}`,
		"no alg":        `{"kid":"` + name + `","typ":"ginsession+jwt"}`,
		"alg twice":     `{"alg":"none","alg":"HS256","kid":"` + name + `","typ":"ginsession+jwt"}`,
		"no kid":        `{"alg":"HS256","typ":"ginsession+jwt"}`,
		"kid path":      `{"alg":"HS256","kid":"../../dev/null","typ":"ginsession+jwt"}`,
		"kid sql":       `{"alg":"HS256","kid":"' UNION SELECT 'k' --","typ":"ginsession+jwt"}`,
		"no typ":        `{"alg":"HS256","kid":"` + name + `"}`,
		"typ JWT":       `{"alg":"HS256","kid":"` + name + `","typ":"JWT"}`,
		"typ at+jwt":    `{"alg":"HS256","kid":"` + name + `","typ":"at+jwt"}`,
		"jwk":           `{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"},"kid":"` + name + `","typ":"ginsession+jwt"}`,
		"jku":           `{"alg":"HS256","jku":"https://evil.example/k","kid":"` + name + `","typ":"ginsession+jwt"}`,
		"crit":          `{"alg":"HS256","crit":["x"],"kid":"` + name + `","typ":"ginsession+jwt"}`,
		"zip":           `{"alg":"HS256","kid":"` + name + `","typ":"ginsession+jwt","zip":"DEF"}`,
		"leading space": ` {"alg":"HS256","kid":"` + name + `","typ":"ginsession+jwt"}`,
		"null":          `null`,
		"deep":          strings.Repeat("[", 1200),
		"empty":         ``,
	} {
		_, err := r.Verify(mint(header, payload, key1), issued)
		require.ErrorIs(t, err, ErrInvalid, label)
	}
	ours := `{"alg":"HS256","kid":"` + name + `","typ":"ginsession+jwt"}`
	_, err := r.Verify(mint(ours, payload, key1), issued)
	require.NoError(t, err, "mint makes good tokens of good parts")
	_, err = r.Verify(mintWith(sha512.New, strings.Replace(ours, "HS256", "HS512", 1), payload, key1), issued)
	require.ErrorIs(t, err, ErrInvalid, "HS512 with a MAC that fits")
	_, err = r.Verify(mintWith(sha512.New384, ours, payload, key1), issued)
	require.ErrorIs(t, err, ErrInvalid, "our header with a MAC of 384 bits")
}

// TestForgedPayloads presents payloads under our header and our key.
func TestForgedPayloads(t *testing.T) {
	r := ring(t, key1)
	ours := string(r.payload(good()))
	header := `{"alg":"HS256","kid":"` + kid(key1) + `","typ":"ginsession+jwt"}`
	swap := func(old, new string) string {
		changed := strings.Replace(ours, old, new, 1)
		require.NotEqual(t, ours, changed)
		return changed
	}
	for label, payload := range map[string]string{
		"exp as string":         swap(`"exp":1787655600`, `"exp":"1787655600"`),
		"exp with a fraction":   swap(`"exp":1787655600`, `"exp":1787655600.9`),
		"exp with exponent":     swap(`"exp":1787655600`, `"exp":1.7876556e9`),
		"exp 9e18":              swap(`1787655600`, `9e18`),
		"exp 1e19":              swap(`1787655600`, `10000000000000000000`),
		"exp 1e308":             swap(`1787655600`, `1e308`),
		"exp 1e400":             swap(`1787655600`, `1e400`),
		"exp null":              swap(`1787655600`, `null`),
		"exp missing":           swap(`,"exp":1787655600`, ``),
		"exp twice":             swap(`"exp":1787655600`, `"exp":1,"exp":1787655600`),
		"exp and EXP":           swap(`"exp":1787655600`, `"exp":1787655600,"EXP":9787655600`),
		"long s in sid":         swap(`"sid"`, `"ſid"`),
		"Sid":                   swap(`"sid"`, `"Sid"`),
		"sid twice":             swap(`"sid":"`, `"sid":"ABCDEFGHIJKLMNOPQRSTUVWXY7","sid":"`),
		"sid missing":           swap(`"sid":"ABCDEFGHIJKLMNOPQRSTUVWXYZ",`, ``),
		"sid empty":             swap(`ABCDEFGHIJKLMNOPQRSTUVWXYZ`, ``),
		"sid number":            swap(`"ABCDEFGHIJKLMNOPQRSTUVWXYZ"`, `1`),
		"sid lower":             swap(`ABCDEFGHIJKLMNOPQRSTUVWXYZ`, `abcdefghijklmnopqrstuvwxyz`),
		"sid and space":         swap(`ABCDEFGHIJKLMNOPQRSTUVWXYZ`, `ABCDEFGHIJKLMNOPQRSTUVWXYZ `),
		"sid NUL":               swap(`ABCDEFGHIJKLMNOPQRSTUVWXYZ`, `ABCDEFGHIJKLMNOPQRSTUVWXY\u0000`),
		"sid quote":             swap(`ABCDEFGHIJKLMNOPQRSTUVWXYZ`, `ABCDEFGHIJKLMNOPQRSTUVWX'--`),
		"sid escaped":           swap(`ABCDEF`, `\u0041BCDEF`),
		"jti short":             swap(`sss`, `s`),
		"aud list":              swap(`"aud":"app"`, `"aud":["app"]`),
		"aud list and more":     swap(`"aud":"app"`, `"aud":["app","evil"]`),
		"aud missing":           swap(`"aud":"app",`, ``),
		"iss slash":             swap(`"iss":"ginsession"`, `"iss":"ginsession/"`),
		"iss case":              swap(`"iss":"ginsession"`, `"iss":"Ginsession"`),
		"iat missing":           swap(`"iat":1787652000,`, ``),
		"iat negative":          swap(`"iat":1787652000`, `"iat":-1e308`),
		"further claim":         swap(`}`, `,"role":"admin"}`),
		"nbf":                   swap(`}`, `,"nbf":1}`),
		"white space":           swap(`,`, `, `),
		"trailing newline":      ours + "\n",
		"two documents":         ours + ours,
		"byte order mark":       "\ufeff" + ours,
		"invalid UTF-8":         swap(`app`, "a\xffp"),
		"null":                  `null`,
		"list":                  `[]`,
		"empty object":          `{}`,
		"nothing":               ``,
		"deep":                  strings.Repeat("[", 900),
		"expired, wrong issuer": strings.Replace(swap(`1787655600`, `1`), "ginsession", "other", 1),
	} {
		c, err := r.Verify(mint(header, payload, key1), issued)
		require.ErrorIs(t, err, ErrInvalid, label)
		require.Zero(t, c, label)
	}
}

func TestSpellings(t *testing.T) {
	r := ring(t, key1)
	raw, err := r.Sign(good())
	require.NoError(t, err)
	parts := strings.Split(raw, ".")
	last := raw[len(raw)-1]
	loose := byte('A') // a last character with the same 4 high bits and other low ones
	for c := range byte(128) {
		if c != last && isBase64URL(c) && strings.IndexByte(alphabet, c)>>2 == strings.IndexByte(alphabet, last)>>2 {
			loose = c
		}
	}
	for label, forged := range map[string]string{
		"empty":               "",
		"dots":                "..",
		"many dots":           strings.Repeat(".", 900_000),
		"no signature":        parts[0] + "." + parts[1] + ".",
		"no last dot":         parts[0] + "." + parts[1],
		"four parts":          raw + ".",
		"five parts":          raw + "." + raw,
		"leading dot":         "." + raw,
		"128-bit MAC":         parts[0] + "." + parts[1] + "." + parts[2][:22],
		"MAC and more":        raw + "AA",
		"loose last bits":     raw[:len(raw)-1] + string(loose),
		"padding":             raw + "=",
		"percent":             strings.Replace(raw, ".", "%2E", 1),
		"newline in payload":  parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2],
		"return at the end":   raw + "\r\n",
		"space":               raw + " ",
		"quotes":              `"` + raw + `"`,
		"NUL":                 raw + "\x00",
		"not ASCII":           raw[:40] + "é" + raw[41:],
		"over the length":     raw + strings.Repeat("A", maxLength),
		"JSON serialization":  `{"payload":"` + parts[1] + `","signatures":[]}`,
		"header of another":   b64(`{"alg":"HS256"}`) + "." + parts[1] + "." + parts[2],
		"MAC of another text": parts[0] + "." + b64(`{}`) + "." + parts[2],
	} {
		_, err := r.Verify(forged, issued)
		require.ErrorIs(t, err, ErrInvalid, label)
	}
	for i := range len(raw) {
		for bit := range 8 {
			forged := []byte(raw)
			forged[i] ^= 1 << bit
			_, err := r.Verify(string(forged), issued)
			require.ErrorIs(t, err, ErrInvalid, "bit %d of byte %d", bit, i)
		}
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestGateAllocatesNothing(t *testing.T) {
	r := ring(t, key1)
	for label, junk := range map[string]string{
		"dots": strings.Repeat(".", 900_000), "letters": strings.Repeat("A", 900_000),
		"three parts": "eyJhbGciOiJub25lIn0." + strings.Repeat("A", 1000) + ".AAAA",
	} {
		if n := testing.AllocsPerRun(10, func() { _, _ = r.Verify(junk, issued) }); n != 0 {
			t.Errorf("%s: %v allocations", label, n)
		}
	}
}

// The token of RFC 7515, appendix A.1: a right JWS, which open accepts under
// its key, and no token of ours, although its key were in our ring.
func TestRFC7515A1(t *testing.T) {
	const raw = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	secret, err := decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	require.NoError(t, err)

	payload, err := open(raw, func(string) []byte { return secret })
	require.NoError(t, err)
	require.True(t, json.Valid(payload))
	require.Equal(t, "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}", string(payload))

	_, err = open(raw, func(string) []byte { return key1 })
	require.ErrorIs(t, err, ErrInvalid)
	_, err = ring(t, secret).Verify(raw, time.Unix(1300819379, 0))
	require.ErrorIs(t, err, ErrInvalid)
}

// FuzzVerify: what verifies, we signed, byte for byte.
func FuzzVerify(f *testing.F) {
	r := ring(f, key1, key2)
	for _, secret := range [][]byte{key1, key2, keyX} {
		raw, err := ring(f, secret).Sign(good())
		require.NoError(f, err)
		f.Add(raw, int64(0))
		f.Add(raw, int64(3600))
		f.Add(raw[:len(raw)-1], int64(0))
		f.Add(raw+"=", int64(0))
	}
	header := `{"alg":"HS256","kid":"` + kid(key1) + `","typ":"ginsession+jwt"}`
	payload := string(r.payload(good()))
	f.Add(mint(header, strings.Replace(payload, "exp", "EXP", 1), key1), int64(0))
	f.Add(mint(header, strings.Replace(payload, ":1787655600", ":1.7876556e9", 1), key1), int64(0))
	f.Add(mint(header, payload+" ", key1), int64(0))
	f.Add(mint(`{"alg":"none"}`, payload, nil), int64(0))
	f.Add("..", int64(0))

	f.Fuzz(func(t *testing.T, raw string, after int64) {
		// The fuzzer cannot make a MAC, so the text is also taken as a payload under
		// our own key.
		for _, candidate := range []string{raw, mint(header, raw, key1)} {
			c, err := r.Verify(candidate, issued.Add(time.Duration(after)))
			if err != nil && !errors.Is(err, ErrExpired) {
				if c != (Claims{}) {
					t.Errorf("an error with claims %v", c)
				}
				continue
			}
			again := []string{}
			for _, signer := range []*Ring{ring(t, key1), ring(t, key2)} {
				signed, err := signer.Sign(c)
				if err != nil {
					t.Fatalf("what verified cannot be signed: %v", err)
				}
				again = append(again, signed)
			}
			if candidate != again[0] && candidate != again[1] {
				t.Errorf("verified, but not what we sign:\n%s\n%s", candidate, again[0])
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	r := ring(b, key1)
	c := good()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Sign(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	r := ring(b, key1)
	raw, err := r.Sign(good())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Verify(raw, issued); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyJunk(b *testing.B) {
	r := ring(b, key1)
	junk := strings.Repeat(rand.Text(), 10) + "." + rand.Text() + "." + rand.Text()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Verify(junk, issued)
	}
}
