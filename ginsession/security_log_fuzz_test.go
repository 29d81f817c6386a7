// What strangers write into a log, fuzzed.

package ginsession_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// logFound lets anybody in who is there: nobody waits for a hash.
type logFound struct{ accounts *ginsession.Accounts }

func (u *logFound) Authenticate(ctx context.Context, login, _ string) (ginsession.Identity, error) {
	user, err := u.accounts.Find(ctx, login)
	if errors.Is(err, ginsession.ErrUserNotFound) {
		err = ginsession.ErrCredentialsInvalid
	}
	return user, err
}

func (u *logFound) Identity(ctx context.Context, id string) (ginsession.Identity, error) {
	return u.accounts.Identity(ctx, id)
}

// logApp is an application with a log, a table and an ear for its events. It is no
// app of the rig, which would keep all that it ever answered.
type logApp struct {
	db     *gorm.DB
	engine *gin.Engine
	log    bytes.Buffer
	heard  []models.Event
}

func newLogApp(f *testing.F) *logApp {
	db := modelstest.SQLite(f).Open(f)
	require.NoError(f, models.Migrate(db))
	a := &logApp{db: db, engine: gin.New()}
	users := &logFound{}
	sessions, err := ginsession.New(db, ginsession.Config{
		Keys:    []ginsession.Key{key1},
		Users:   users,
		OnEvent: func(_ context.Context, e models.Event) { a.heard = append(a.heard, e) },
		Logger:  slog.New(slog.NewJSONHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(f, err)
	sessions.TestOnlyCheapHashes()
	users.accounts = sessions.Accounts()
	_, err = users.accounts.Create(f.Context(), ginsession.NewUser{Username: "ada"})
	require.NoError(f, err)
	a.engine.Use(sessions.Load)
	sessions.Routes(a.engine)
	return a
}

// FuzzEventLog: whatever a client says of itself and of who he is, each event is
// one line of JSON that says what the event says, with nothing in it that moves a
// cursor or ends a line; the row of it finds room; and it is no fault of the
// server.
func FuzzEventLog(f *testing.F) {
	for _, seed := range []struct{ agent, forwarded, platform, username string }{
		{"Mozilla/5.0", "192.0.2.1", "", "ada"},
		{"\x1b[2J\u2028\u0085", "6.6.6.6, 9.9.9.9", "'; DROP TABLE x;--", "x\nINFO login ok user=root"},
		{"\x80\xff\x00\r\n", "::ffff:192.0.2.1", "fe80::1%eth0", "ada\x00"},
		{strings.Repeat("🦊", 300), "", "2001:db8::1", "${jndi:ldap://e}"},
		{strings.Repeat("a", 70_000), "\n", " 192.0.2.1 ", "\u202eada"},
		{`","level":"INFO`, "a", "@", `","user":"root`},
	} {
		f.Add(seed.agent, seed.forwarded, seed.platform, seed.username)
	}
	a := newLogApp(f)
	proxied := netip.MustParseAddr("127.0.0.1")
	require.NoError(f, a.engine.SetTrustedProxies([]string{proxied.String()}))

	f.Fuzz(func(t *testing.T, agent, forwarded, platform, username string) {
		a.engine.TrustedPlatform = ""
		if platform != "" {
			a.engine.TrustedPlatform = "X-Platform"
		}
		body, err := json.Marshal(map[string]string{"username": username, "password": "x"})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "https://app.example.com/login", bytes.NewReader(body))
		r.RemoteAddr = proxied.String() + ":1"
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {agent},
			"X-Forwarded-For": {forwarded}, "X-Platform": {platform}, "Cookie": {cookieName + "=" + username},
		}
		require.NoError(t, a.db.Where("1 = 1").Delete(&models.LoginAttempts{}).Error)
		require.NoError(t, a.db.Where("1 = 1").Delete(&models.Event{}).Error)
		require.NoError(t, a.db.Where("1 = 1").Delete(&models.Session{}).Error)
		a.log.Reset()
		a.heard = nil
		answer := httptest.NewRecorder()
		a.engine.ServeHTTP(answer, r)
		require.Less(t, answer.Code, 500, answer.Body)

		if text := a.log.String(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
			return r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control))
		}) {
			t.Errorf("the log is %q", text)
		}
		lines := logLines(t, a.log.String())
		require.Len(t, lines, len(a.heard))
		require.NotEmpty(t, lines)
		for i, e := range a.heard {
			require.True(t, lines[i].tells(e), "%+v\n%+v", lines[i], e)
			logBounded(t, e.IPAddress, e.UserAgent, e.Detail)
		}
		var events []models.Event
		require.NoError(t, a.db.Find(&events).Error)
		for _, e := range events {
			logBounded(t, e.IPAddress, e.UserAgent, e.Detail)
		}
		var sessions []models.Session
		require.NoError(t, a.db.Find(&sessions).Error)
		for _, s := range sessions {
			logBounded(t, s.IPAddress, s.UserAgent, "")
		}
		require.Equal(t, answer.Code == 200, len(sessions) == 1)
		if answer.Code < 400 || answer.Code == 401 {
			require.NotEmpty(t, events, "a sign-in, good or bad, is in the table")
		}
	})
}

// logBounded fails t unless a row has room for these, on every database.
func logBounded(t *testing.T, address, agent, detail string) {
	t.Helper()
	if address != "" {
		parsed, err := netip.ParseAddr(address)
		require.NoError(t, err)
		require.Equal(t, address, parsed.Unmap().WithZone("").String())
	}
	for _, text := range []string{agent, detail} {
		require.True(t, utf8.ValidString(text), "%q", text)
		require.LessOrEqual(t, utf8.RuneCountInString(text), 256)
		require.NotContains(t, text, "\x00")
	}
}
