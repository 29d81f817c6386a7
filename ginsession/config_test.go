package ginsession_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models/modelstest"
)

func TestNewTellsEveryFaultAtOnce(t *testing.T) {
	t.Setenv("JWT_SECRET", "")
	db := modelstest.SQLite(t).Open(t)
	_, err := ginsession.New(db, ginsession.Config{
		Audience:         "a\xff",
		MaxAge:           -time.Hour,
		RefreshThreshold: -1,
		IdleTimeout:      time.Minute,
		AbsoluteTimeout:  401 * 24 * time.Hour,
		CookieName:       "a;b",
		LoginURL:         "//evil.example",
		StoreTimeout:     -1,
		TrustedOrigins:   []string{"app.example.com"},
	})
	for _, field := range []string{
		"Keys: none given", "Audience: ", "MaxAge: ", "RefreshThreshold: ", "IdleTimeout: ", "AbsoluteTimeout: ",
		"CookieName: ", "LoginURL: ", "StoreTimeout: ", "TrustedOrigins: ",
	} {
		require.ErrorContains(t, err, field)
	}
	_, err = ginsession.New(nil, ginsession.Config{Keys: []ginsession.Key{key1}})
	require.ErrorContains(t, err, "db is nil")
}

func TestConfig(t *testing.T) {
	db := modelstest.SQLite(t).Open(t)
	for name, test := range map[string]struct {
		change func(*ginsession.Config)
		want   string // part of the error, or nothing
	}{
		"defaults":                 {func(*ginsession.Config) {}, ""},
		"key of 31 bytes":          {func(c *ginsession.Config) { c.Keys = []ginsession.Key{ginsession.Key(key1[:31])} }, "Keys: key 1 has 31 bytes"},
		"key of 32 bytes":          {func(c *ginsession.Config) { c.Keys = []ginsession.Key{ginsession.Key(key1[:32])} }, ""},
		"key twice":                {func(c *ginsession.Config) { c.Keys = []ginsession.Key{key1, key2, key1} }, "Keys: key 3 is there twice"},
		"long audience":            {func(c *ginsession.Config) { c.Audience = strings.Repeat("a", 255) }, ""},
		"longer audience":          {func(c *ginsession.Config) { c.Audience = strings.Repeat("a", 256) }, "Audience: must be text of at most 255 bytes"},
		"audience of escapes":      {func(c *ginsession.Config) { c.Audience = strings.Repeat("<", 255) }, "Audience: makes tokens too long"},
		"short age":                {func(c *ginsession.Config) { c.MaxAge = time.Minute }, ""},
		"threshold at the age":     {func(c *ginsession.Config) { c.RefreshThreshold = 24 * time.Hour }, "RefreshThreshold: must be less than MaxAge"},
		"threshold below":          {func(c *ginsession.Config) { c.RefreshThreshold = 24*time.Hour - 1 }, ""},
		"idle of two minutes":      {func(c *ginsession.Config) { c.IdleTimeout = 2 * time.Minute }, ""},
		"negative idle":            {func(c *ginsession.Config) { c.IdleTimeout = -1 }, "IdleTimeout: must be 0 or at least 2m"},
		"idle beyond the absolute": {func(c *ginsession.Config) { c.IdleTimeout = 31 * 24 * time.Hour }, "IdleTimeout: must be at most AbsoluteTimeout (720h0m0s), is 744h0m0s"},
		"idle at the absolute":     {func(c *ginsession.Config) { c.IdleTimeout = 30 * 24 * time.Hour }, ""},
		"age beyond the absolute":  {func(c *ginsession.Config) { c.MaxAge = 31 * 24 * time.Hour }, "AbsoluteTimeout: must be from MaxAge"},
		"400 days":                 {func(c *ginsession.Config) { c.AbsoluteTimeout = 400 * 24 * time.Hour }, ""},
		"empty cookie name":        {func(c *ginsession.Config) { c.CookieName = "" }, ""},
		"cookie name with a space": {func(c *ginsession.Config) { c.CookieName = "a b" }, "CookieName: "},
		"login page elsewhere":     {func(c *ginsession.Config) { c.LoginURL = "https://evil.example/" }, "LoginURL: "},
		"login page with a query":  {func(c *ginsession.Config) { c.LoginURL = "/login?lang=en" }, ""},
		"origin with a path":       {func(c *ginsession.Config) { c.TrustedOrigins = []string{"https://a.example/x"} }, "TrustedOrigins: "},
		"sync often":               {func(c *ginsession.Config) { c.SyncEvery = time.Millisecond }, "SyncEvery: must be at least 10ms, is 1ms"},
		"cache short":              {func(c *ginsession.Config) { c.CacheFor = 3 * time.Second }, "CacheFor: must be more than 3 times SyncEvery (1s), is 3s"},
		"cache":                    {func(c *ginsession.Config) { c.CacheFor = 3100 * time.Millisecond }, ""},
		"live sessions":            {func(c *ginsession.Config) { c.LiveSessions = -1 }, "LiveSessions: must be positive, is -1"},
		"keep sessions":            {func(c *ginsession.Config) { c.KeepSessions = time.Minute }, "KeepSessions: must be at least 1h, is 1m0s"},
		"keep events":              {func(c *ginsession.Config) { c.KeepEvents = time.Minute }, "KeepEvents: must be at least 1h0m0s, is 1m0s"},
		"origin":                   {func(c *ginsession.Config) { c.TrustedOrigins = []string{"https://a.example"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ginsession.Config{Keys: []ginsession.Key{key1}}
			test.change(&cfg)
			_, err := ginsession.New(db, cfg)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), key1[:31])
		})
	}
}

func TestKeysFromTheEnvironment(t *testing.T) {
	db := modelstest.SQLite(t).Open(t)
	for value, want := range map[string]string{
		key1:               "",
		key1 + ", " + key2: "",
		key1 + ",":         "Keys: key 2 has 0 bytes",
		"changeme":         "Keys: key 1 has 8 bytes",
		"":                 "Keys: none given, and the environment variable JWT_SECRET is not set",
	} {
		t.Setenv("JWT_SECRET", value)
		_, err := ginsession.New(db, ginsession.Config{})
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

func TestInsecureIsRefusedInReleaseMode(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	defer gin.SetMode(gin.TestMode)
	_, err := ginsession.New(modelstest.SQLite(t).Open(t), ginsession.Config{Keys: []ginsession.Key{key1}, Insecure: true})
	require.ErrorContains(t, err, "Insecure: must not be set in Gin's release mode")
}

// JWT_SECRET=new,old: sessions under the old key live on, and new cookies are
// under the new one.
func TestKeyRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		token := c.Cookie(cookieName)
		_, engine := a.node(a.db, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2, key1} })
		a.engine = engine
		time.Sleep(23*time.Hour + 40*time.Minute)
		r := a.with(token).Get("/me")
		require.Equal(t, 200, r.StatusCode)
		renewed := cookies(r)[0]

		_, a.engine = a.node(a.db, func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2} })
		require.Equal(t, ginsession.ErrTokenInvalid, code(t, a.with(token).Get("/me")))
		require.Equal(t, 200, a.with(renewed).Get("/me").StatusCode)
	})
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	err := error(&ginsession.Error{Code: ginsession.ErrStoreUnavailable, Err: cause})
	require.ErrorIs(t, err, ginsession.ErrStoreUnavailable)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, ginsession.ErrInternal)
	require.Equal(t, "ginsession: STORE_UNAVAILABLE: cause", err.Error())
	require.Equal(t, "ginsession: JWT_INVALID", (&ginsession.Error{Code: ginsession.ErrTokenInvalid}).Error())
}
