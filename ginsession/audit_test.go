// What is told of refusals and logouts: to the log, to the application, to the
// table; and what becomes of it while the database does not answer.

package ginsession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// heard collects what the application hears.
type heard struct {
	mu     sync.Mutex
	events []models.Event
}

func (h *heard) listen(c *ginsession.Config) {
	c.OnEvent = func(_ context.Context, e models.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, e)
	}
}

// take returns what was heard since the last time.
func (h *heard) take() []models.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := h.events
	h.events = nil
	return events
}

func TestSecurityEventsOfRefusals(t *testing.T) {
	var h heard
	onStage(t, func(s *stage) {
		viewer := s.token("bob")
		ended := s.token("bob")
		require.Equal(t, 200, s.send("POST", "/logout", "", bearing(ended)).StatusCode)
		forged := viewer[:len(viewer)-8] + "AAAAAAAA"
		s.row("A2 A3 C119", "each refusal is an event of its own", func(s *stage) {
			for _, test := range []struct {
				name, reason, user string
				send               func()
				stored             bool
			}{
				{"authz_fail", "ROLE_REQUIRED", s.bob.UserID, func() { s.send("GET", "/admin", "", bearing(viewer)) }, true},
				{"authn_login_fail", "CREDENTIALS_INVALID", s.ada.UserID, func() { s.login("ada", "wrong wrong wrong") }, true},
				{"authn_login_fail", "CREDENTIALS_INVALID", "", func() { s.login("nobody", "wrong wrong wrong") }, true},
				{"cookie_conflict", "", "", func() { s.send("GET", "/me", "", bearing(viewer), bearing(viewer)) }, false},
				{"cookie_conflict", "", "", func() { s.send("GET", "/me", "", bearing(viewer)+"; "+cookieName+"="+viewer) }, false},
				{"token_invalid", "signature", "", func() { s.send("GET", "/open", "", bearing(forged)) }, false},
				{"token_invalid", "header", "", func() { s.send("GET", "/me", "", bearing("e30.e30.e30")) }, false},
				{"token_invalid", "shape", "", func() { s.send("GET", "/me", "", bearing("a%2Eb%2Ec")) }, false},
				{"csrf_rejected", "CROSS_ORIGIN", "", func() { s.send("POST", "/act", "", bearing(viewer), "Sec-Fetch-Site: cross-site") }, false},
				{"session_use_after_expire", "logout", s.bob.UserID, func() { s.send("GET", "/me", "", bearing(ended)) }, false},
			} {
				h.take()
				before := len(s.events())
				test.send()
				told := h.take()
				require.Len(s.t, told, 1, test.name)
				require.Equal(s.t, test.name, told[0].Name)
				require.Equal(s.t, test.reason, told[0].Reason, test.name)
				require.Equal(s.t, test.user, string(told[0].UserID), test.name)
				require.Equal(s.t, "failure", told[0].Outcome, test.name)
				require.Equal(s.t, "127.0.0.1", told[0].IPAddress, test.name)
				require.Equal(s.t, "Go-http-client/1.1", told[0].UserAgent, test.name)
				require.NotZero(s.t, told[0].At, test.name)
				require.Equal(s.t, test.stored, len(s.events()) == before+1, "%s in the table", test.name)
				require.Contains(s.t, s.logs.text(), `"msg":"ginsession: `+test.name+`"`)
			}
		})
		s.row("C118", "what was denied, and what was needed", func(s *stage) {
			h.take()
			s.send("GET", "/admin", "", bearing(viewer))
			e := h.take()[0]
			require.Equal(s.t, `GET /admin: it needs the role admin`, e.Detail)
			require.NotEmpty(s.t, e.SessionID)
		})
		s.row("C114 C121 A161", "one line of JSON for an event, in UTC, whatever the client sends", func(s *stage) {
			lines := strings.Count(s.logs.text(), "\n")
			agent := "User-Agent: x\u2028\u001f \x85 ${jndi:ldap://e} <script> =cmd()"
			s.login("x\nINFO login ok user=root", "wrong wrong wrong", strings.ReplaceAll(agent, "\u001f", ""))
			text := s.logs.text()
			require.Equal(s.t, lines+1, strings.Count(text, "\n"))
			last := text[strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1:]
			var line struct {
				Msg string
				At  time.Time
			}
			require.NoError(s.t, json.Unmarshal([]byte(last), &line))
			require.Equal(s.t, "ginsession: authn_login_fail", line.Msg)
			require.Equal(s.t, time.UTC, line.At.Location())
			require.NotContains(s.t, last, "INFO login ok")
		})
	}, h.listen)
}

// An admin's request changes another user: the event names the admin.
func TestSecurityActorOfAnEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.engine.POST("/disable", func(c *gin.Context) {
			require.NoError(t, a.sessions.Accounts().Disable(c.Request.Context(), a.bob.UserID))
		})
		c := a.signIn("ada")
		c.Header.Set("User-Agent", "Admin/1.0")
		require.Equal(t, 200, c.Do("POST", "/disable", "", nil).StatusCode)
		var e models.Event
		require.NoError(t, a.db.Order("id DESC").First(&e).Error)
		require.Equal(t, "user_updated", e.Name)
		require.Equal(t, a.bob.UserID, string(e.UserID))
		require.Equal(t, a.ada.UserID, string(e.Actor))
		require.Equal(t, "192.0.2.1", e.IPAddress)
		require.Equal(t, "success", e.Outcome)
	})
}

// An event has the address and the agent of its request, not those that the session was
// last seen with.
func TestTheAddressOfARevocation(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		other := sessionOf(t, a.signIn("bob").Cookie(cookieName))
		a.signIn("bob")
		c := a.signIn("bob")
		time.Sleep(30 * time.Second)
		from := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = "203.0.113.66:1"
			a.engine.ServeHTTP(w, r)
		})
		thief := watchClient(from, c)
		thief.Header.Set("User-Agent", "curl/8")
		require.Equal(t, 200, thief.Do("DELETE", "/sessions/"+string(other), "", nil).StatusCode)
		require.Equal(t, 200, thief.Do("DELETE", "/sessions", "", nil).StatusCode)
		var events []models.Event
		require.NoError(t, a.db.Where("name = ?", "authn_token_revoked").Find(&events).Error)
		require.Len(t, events, 2)
		for _, e := range events {
			require.Equal(t, []string{"203.0.113.66", "curl/8"}, []string{e.IPAddress, e.UserAgent})
		}
	})
}

// What stands in the table was told to the application, once and alike.
func TestWhatIsInTheTableIsHeard(t *testing.T) {
	var h heard
	inBubble(t, func(t *testing.T, a *app) {
		impersonation(a.sessions, a.engine)
		a.run(a.sessions)
		accounts, ctx := a.sessions.Accounts(), t.Context()
		signedIn := func(c *ginsessiontest.Client, name string) *ginsessiontest.Client {
			require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": name, "password": password}).StatusCode)
			return c
		}
		c := signedIn(signedIn(a.client(), "ada"), "bob") // the first ends
		require.Equal(t, 401, c.PostJSON("/login", gin.H{"username": "ada", "password": "wrong"}).StatusCode)
		for range 3 { // the limit is two
			c = a.signIn("ada")
		}
		require.Equal(t, 200, c.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		require.Equal(t, 200, c.PostJSON("/back", nil).StatusCode)
		require.Equal(t, 200, c.Do("DELETE", "/sessions", "", nil).StatusCode)
		require.Equal(t, 200, c.PostJSON("/as/"+a.bob.UserID, nil).StatusCode)
		signedIn(c, "bob") // both of ada's end
		require.NoError(t, accounts.SetRole(ctx, a.bob.UserID, "editor"))
		time.Sleep(3 * time.Minute)
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.NoError(t, accounts.SetPassword(ctx, a.bob.UserID, password+"!"))
		require.NoError(t, accounts.Disable(ctx, a.bob.UserID))
		require.NoError(t, accounts.Enable(ctx, a.bob.UserID))
		c = a.signIn("ada")
		require.NoError(t, a.sessions.RevokeSession(ctx, string(sessionOf(t, c.Cookie(cookieName))), "stolen"))
		a.signIn("ada")
		_, err := a.sessions.RevokeAll(ctx)
		require.NoError(t, err)
		c = a.signIn("ada")
		time.Sleep(61 * time.Minute)
		require.Equal(t, 401, c.Get("/me").StatusCode)
		require.NoError(t, accounts.Delete(ctx, a.bob.UserID))
		time.Sleep(3 * time.Second)

		var rows []models.Event
		require.NoError(t, a.db.Find(&rows).Error)
		names := map[string]bool{}
		for i := range rows {
			names[rows[i].Name] = true
			rows[i].ID = 0
		}
		require.GreaterOrEqual(t, len(names), 13)
		var told []models.Event
		for _, e := range h.take() {
			if names[e.Name] {
				e.ID = 0
				told = append(told, e)
			}
		}
		require.ElementsMatch(t, rows, told)
	}, impersonable, h.listen, func(c *ginsession.Config) { c.MaxSessions, c.MaxAge = 2, time.Hour })
}

func TestOnEventThatPanicsChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.Equal(t, 200, c.Do("POST", "/logout", "", nil).StatusCode)
		require.Equal(t, 401, c.Get("/me").StatusCode)
		require.Contains(t, a.logs.text(), "OnEvent panics")
	}, func(c *ginsession.Config) { c.OnEvent = func(context.Context, models.Event) { panic("broken") } })
}

// While Run runs no request waits for the writing of such an event; of the same
// within a second there is one row.
func TestDenialsAreWrittenByRun(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("bob")
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		time.Sleep(2 * time.Second)
		before := len(a.events())
		a.wire.reset()
		for range 50 {
			require.Equal(t, 403, c.Get("/admin").StatusCode)
		}
		require.Empty(t, a.wire.byRequests())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"authz_fail"}, a.events()[before:])
		a.wire.reset()
		c.Get("/me")
		require.Empty(t, a.wire.byRequests(), "it is no change of the session")

		a.wire.breakAt(1, false, fails)
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		time.Sleep(3 * time.Second)
		a.wire.reset()
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"authz_fail", "authz_fail"}, a.events()[before:], "after the outage")
		require.Equal(t, 1, strings.Count(a.logs.text(), "events and logouts cannot be written"+`","error`), "told once")
	})
}

// A flood is bounded: what finds no room is in the log alone, and that is told.
func TestAFloodOfEventsIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		stop := a.run(a.sessions)
		time.Sleep(settled)
		before := len(a.events())
		for i := range 1100 {
			r := httptest.NewRequest("POST", "https://app.example.com/login", strings.NewReader(fmt.Sprintf(`{"username":"nobody%d","password":"wrong wrong wrong"}`, i)))
			r.RemoteAddr = fmt.Sprintf("[2001:db8:%x::1]:1", i)
			r.Header.Set("Content-Type", "application/json")
			a.engine.ServeHTTP(httptest.NewRecorder(), r)
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, before+1000, len(a.events()))
		require.Contains(t, a.logs.text(), `"count":100`)
		stop()
	}, func(c *ginsession.Config) {
		c.Users = &users{
			authenticate: func() (ginsession.Identity, error) { return ginsession.Identity{}, ginsession.ErrCredentialsInvalid },
			identity:     func(string) (ginsession.Identity, error) { return ginsession.Identity{}, ginsession.ErrUserNotFound },
		}
	})
}

// The database does not answer a logout. The client is told so and loses the
// cookie; nobody else can use it on this process; and when the database is back,
// nowhere.
func TestLogoutThatTheDatabaseDoesNotHear(t *testing.T) {
	for _, running := range []bool{false, true} {
		name := "without Run"
		if running {
			name = "with Run"
		}
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				_, elsewhere := a.otherProcess()
				if running {
					a.run(a.sessions)
					time.Sleep(settled)
				}
				c := a.signIn("ada")
				stolen := c.Cookie(cookieName)
				other := a.signIn("ada").Cookie(cookieName)
				require.Equal(t, 200, c.Get("/me").StatusCode)
				a.wire.breakAt(1, false, fails)
				r := c.Do("POST", "/logout", "", nil)
				require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r))
				require.Contains(t, setCookie(t, r), "Max-Age=0")
				require.Empty(t, c.Cookie(cookieName))
				a.wire.reset()
				require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.with(stolen).Get("/me")))
				require.Equal(t, 200, a.with(other).Get("/me").StatusCode, "another session of the user")
				if !running {
					return
				}
				time.Sleep(5 * time.Second)
				there := ginsessiontest.NewClient(elsewhere)
				there.Header.Set("Cookie", cookieName+"="+stolen)
				require.Equal(t, ginsession.ErrSessionNotFound, code(t, there.Get("/me")))
				rows := a.rows()
				require.ElementsMatch(t, []string{"logout", ""}, []string{rows[0].EndReason, rows[1].EndReason})
			})
		})
	}
}

func TestSecurityWebSocketOrigins(t *testing.T) {
	onStage(t, func(s *stage) {
		token := s.token("ada")
		upgrade := []string{bearing(token), "Connection: Upgrade", "Upgrade: WebSocket"}
		s.row("A142 C80", "a page of another origin opens no WebSocket", func(s *stage) {
			for _, origin := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
				s.refused(s.send("GET", "/me", "", append(upgrade, origin)...), ginsession.ErrCrossOrigin)
			}
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(token), "Origin: https://evil.example").StatusCode, "a plain GET is safe")
		})
		s.row("C80", "the site itself, a trusted origin and a program do", func(s *stage) {
			for _, origin := range []string{"Origin: " + s.server.URL, "Origin: https://app.example.com", "Sec-Fetch-Site: same-origin", "X: y"} {
				require.Equal(s.t, 200, s.send("GET", "/me", "", append(upgrade, origin)...).StatusCode, origin)
			}
		})
	}, func(c *ginsession.Config) { c.TrustedOrigins = []string{"https://app.example.com"} })
}

func TestSecurityAddressOfTheClient(t *testing.T) {
	for _, test := range []struct {
		rows, name string
		engine     func(*gin.Engine) error
		keep       ginsession.Addresses
		peer       string
		header     map[string]string
		want       string
	}{
		{"A155 C77 C106", "an engine as it is believes everybody, and is not believed", nil, 0, "192.0.2.9:1", map[string]string{"X-Forwarded-For": "6.6.6.6"}, "192.0.2.9"},
		{"A155", "nor with another header", nil, 0, "192.0.2.9:1", map[string]string{"X-Real-Ip": "6.6.6.6"}, "192.0.2.9"},
		{"A156", "the last address that no trusted proxy wrote", trust("127.0.0.1"), 0, "127.0.0.1:1", map[string]string{"X-Forwarded-For": "6.6.6.6, 9.9.9.9"}, "9.9.9.9"},
		{"A123", "a stranger's header beside trusted proxies", trust("127.0.0.1"), 0, "192.0.2.9:1", map[string]string{"X-Forwarded-For": "6.6.6.6"}, "192.0.2.9"},
		{"A155", "no proxies at all", trust(), 0, "192.0.2.9:1", map[string]string{"X-Forwarded-For": "6.6.6.6"}, "192.0.2.9"},
		{"A157", "the header of a platform", platform, 0, "192.0.2.9:1", map[string]string{"CF-Connecting-IP": "6.6.6.6"}, "6.6.6.6"},
		{"A157", "what is no address", platform, 0, "192.0.2.9:1", map[string]string{"CF-Connecting-IP": "'; DROP TABLE x;--"}, ""},
		{"A158", "a socket without addresses", nil, 0, "@", nil, ""},
		{"C106", "IPv4 in IPv6, a zone", nil, 0, "[::ffff:192.0.2.9%eth0]:1", nil, "192.0.2.9"},
		{"C106", "a truncated IPv4 address", nil, ginsession.AddressTruncated, "192.0.2.9:1", nil, "192.0.2.0"},
		{"C106", "a truncated IPv6 address", nil, ginsession.AddressTruncated, "[2001:db8:1:2:3::4]:1", nil, "2001:db8:1::"},
		{"C106", "no address", nil, ginsession.AddressNone, "192.0.2.9:1", nil, ""},
	} {
		row(t, test.rows, test.name, func(t *testing.T) {
			a := newApp(t, modelstest.SQLite(t), func(c *ginsession.Config) { c.Addresses = test.keep })
			if test.engine != nil {
				require.NoError(t, test.engine(a.engine))
			}
			r := httptest.NewRequest("POST", "https://app.example.com/login", strings.NewReader(`{"username":"ada","password":"`+password+`"}`))
			r.RemoteAddr = test.peer
			r.Header.Set("Content-Type", "application/json")
			for name, value := range test.header {
				r.Header.Set(name, value)
			}
			answer := httptest.NewRecorder()
			a.engine.ServeHTTP(answer, r)
			require.Equal(t, 200, answer.Code)
			require.Equal(t, test.want, a.row().IPAddress)
		})
	}
}

func trust(proxies ...string) func(*gin.Engine) error {
	return func(e *gin.Engine) error { return e.SetTrustedProxies(proxies) }
}

func platform(e *gin.Engine) error {
	e.TrustedPlatform = gin.PlatformCloudflare
	return e.SetTrustedProxies(nil)
}
