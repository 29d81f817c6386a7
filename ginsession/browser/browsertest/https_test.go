// What a browser makes of the cookie over https, and over http.

package browsertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The program in release mode, as it is deployed: behind a proxy that speaks TLS.
func TestTheCookieHasItsPrefixOverHTTPSAndIsRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	const word = "a passphrase for this test"
	p := startWith(t, []string{"GIN_MODE=release", "JWT_SECRET=" + keyOld}, "-password", word)
	p.password = word
	to, err := url.Parse(p.url)
	require.NoError(t, err)
	var answered text // the lines that set the session's cookie over http
	plain := serve(t, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			for _, line := range r.Header["Set-Cookie"] {
				_, _ = answered.Write([]byte(line + "\n"))
			}
			return nil
		},
	})
	// On loopback http counts as secure to Chromium, so the host has another name.
	plain = strings.Replace(plain, "127.0.0.1", home, 1)
	secure := serveTLS(t, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
	})
	secure = strings.Replace(secure, "127.0.0.1", home, 1)

	t.Run("over https", func(t *testing.T) {
		b := somebody(t, p)
		b.url = secure
		x := b.tab()
		x.login("viewer", false)
		x.reload()
		x.shows(who, "viewer")
		c := x.jar()["__Host-session"]
		require.NotNil(t, c, "the browser has %v", x.jar())
		got := []any{c.Secure, c.HTTPOnly, string(c.SameSite), c.Path, c.Domain, c.Session}
		require.Equal(t, []any{true, true, "Lax", "/", home, true}, got)
		require.Empty(t, eval[string](x, "document.cookie"))
		require.Contains(t, x.jar(), "__Host-session-device")
		require.Len(t, x.jar(), 2)

		// No page can put another in its place that scripts would see.
		eval[string](x, `document.cookie = "__Host-session=planted; Secure; Path=/"`)
		require.Equal(t, c.Value, x.jar()["__Host-session"].Value)
		require.Empty(t, eval[string](x, "document.cookie"))
		require.Empty(t, x.jar(plain+"/"), "what http would be sent")
		x.logout()
		require.NotContains(t, x.jar(), "__Host-session")
	})

	t.Run("over http", func(t *testing.T) {
		b := somebody(t, p)
		b.url = plain
		x := b.tab()
		x.open("/login")
		x.signIn("viewer", word, false)
		x.until(`location.search.includes("next=")`) // signed in, and sent back as a stranger
		require.Contains(t, answered.String(), "__Host-session=", "the program has set it")
		require.Empty(t, x.jar(), "and the browser has not taken it")
		x.open("/")
		x.lacks(who)
	})
}

// serveTLS is serve with the certificate of the tests.
func serveTLS(t *testing.T, handler http.Handler) string {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Minute,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate().tls}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return "https://" + l.Addr().String()
}

type identity struct {
	tls tls.Certificate
	pin string // base64 of the SHA-256 of its public key
}

// certificate is made once, by itself, for an hour.
var certificate = sync.OnceValue(func() identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "the browser tests"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{home},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(public)
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.StdEncoding.EncodeToString(sum[:])}
})
