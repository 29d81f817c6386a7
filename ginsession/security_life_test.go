// Parts 2.5 and 2.12 of the security bar, and the checklist's rows on the life of
// a session: what ends it, what does not, and what a clock can do to it.

package ginsession_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // a zone with daylight saving, also where the system has none

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	tokens "github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// Rows that no subtest shows, or not alone.
var rowsOfLife = map[string]string{
	"A87":  "documents",
	"A101": "TestInvariant8StreamsAndHijacks",
	"C1":   "documents",
	"C3":   "documents",
	"C18":  "documents",
	"C130": "there is no token for forms: unsafe requests of other origins are refused by Sec-Fetch-Site and Origin (DESIGN 8)",
	"C132": "documents",
}

const (
	lifeRefreshDue = DefaultMaxAge - 20*time.Minute
	lifeJSON       = "Content-Type: application/json"
)

// lifeBegan is where the clocks of these stages stand at first.
var lifeBegan = time.Date(2026, 11, 23, 12, 0, 0, 345e6, time.UTC)

// lifeStages is onStages on a clock that stands still until it is set.
func lifeStages(t *testing.T, test func(s *stage), configure ...func(*ginsession.Config)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		clock := &atomic.Int64{}
		s := newStage(t, d, append([]func(*ginsession.Config){lifeConfig(clock)}, configure...)...)
		s.clock = clock
		test(s)
	})
}

// lifeConfig sets a clock. The deadline of the database's calls is such that no load
// of the machine meets it.
func lifeConfig(clock *atomic.Int64) func(*ginsession.Config) {
	return func(c *ginsession.Config) {
		c.Now = func() time.Time { return lifeBegan.Add(time.Duration(clock.Load())) }
		c.StoreTimeout = time.Minute
	}
}

// lifeNode is the stage in another process, whose clock is its own and begins where
// the stage's stands.
func (s *stage) lifeNode(configure ...func(*ginsession.Config)) *stage {
	s.t.Helper()
	clock := &atomic.Int64{}
	clock.Store(s.clock.Load())
	return s.lifeNodeOn(clock, configure...)
}

// lifeTwin is the stage in another process under the same clock.
func (s *stage) lifeTwin(configure ...func(*ginsession.Config)) *stage {
	s.t.Helper()
	return s.lifeNodeOn(s.clock, configure...)
}

func (s *stage) lifeNodeOn(clock *atomic.Int64, configure ...func(*ginsession.Config)) *stage {
	s.t.Helper()
	n, application := &stage{clock: clock}, *s.app
	application.db = s.d.Open(s.t)
	application.wire = tap(application.db)
	application.sessions, application.engine = s.node(application.db, append([]func(*ginsession.Config){lifeConfig(n.clock)}, configure...)...)
	n.app = &application
	n.server = httptest.NewServer(n.engine)
	s.t.Cleanup(n.server.Close)
	return n
}

// lifeNow is what the stage's clock shows.
func (s *stage) lifeNow() time.Time { return lifeBegan.Add(time.Duration(s.clock.Load())) }

// lifeRow returns the row of a token's session.
func (s *stage) lifeRow(token string) (row models.Session) {
	s.t.Helper()
	require.NoError(s.t, s.aside().Where("id = ?", sessionOf(s.t.(*testing.T), token)).First(&row).Error)
	return row
}

// lifeEvents returns the names of the events of a token's session, as events does.
func (s *stage) lifeEvents(token string) (names []string) {
	s.t.Helper()
	require.NoError(s.t, s.aside().Model(&models.Event{}).Where("session_id = ? AND name <> ?", sessionOf(s.t.(*testing.T), token), "authn_login_newdevice").
		Order("id").Pluck("name", &names).Error)
	return names
}

// lifeMe presents a token.
func (s *stage) lifeMe(token string) ginsessiontest.Response {
	s.t.Helper()
	return s.send("GET", "/me", "", bearing(token))
}

// lifeGood asserts that tokens are good, each without a new cookie.
func (s *stage) lifeGood(list ...string) {
	s.t.Helper()
	for i, token := range list {
		r := s.lifeMe(token)
		require.Equal(s.t, 200, r.StatusCode, "token %d: %s", i, r.Text)
		require.Empty(s.t, cookies(r), "token %d", i)
	}
}

// lifeRefused asserts that tokens are refused, here and by a status, and that no
// cookie is touched.
func (s *stage) lifeRefused(want ginsession.Code, list ...string) {
	s.t.Helper()
	for _, token := range list {
		r := s.lifeMe(token)
		s.refused(r, want)
		require.Empty(s.t, r.Header["Set-Cookie"])
		require.Contains(s.t, s.send("GET", "/session", "", bearing(token)).Text, `"isAuthenticated":false`)
	}
}

// lifeRenewed presents a token with which a new cookie is due, and returns that.
func (s *stage) lifeRenewed(token string) string {
	s.t.Helper()
	r := s.lifeMe(token)
	require.Equal(s.t, 200, r.StatusCode, r.Text)
	return cookieValue(s.t, r)
}

// lifeRefresh asks for a new cookie.
func (s *stage) lifeRefresh(token string) string {
	s.t.Helper()
	r := s.send("POST", "/session/refresh", "", bearing(token))
	require.Equal(s.t, 200, r.StatusCode, r.Text)
	return cookieValue(s.t, r)
}

// lifeRemember signs ada in with "remember".
func (s *stage) lifeRemember() ginsessiontest.Response {
	s.t.Helper()
	r := s.send("POST", "/login", fmt.Sprintf(`{"username":"ada","password":%q,"remember":true}`, password), lifeJSON)
	require.Equal(s.t, 200, r.StatusCode, r.Text)
	return r
}

// lifeMaxAge returns the Max-Age of the cookie in an answer.
func lifeMaxAge(t testing.TB, r ginsessiontest.Response) time.Duration {
	t.Helper()
	_, rest, ok := strings.Cut(setCookie(t, r), "Max-Age=")
	require.True(t, ok, "no Max-Age")
	text, _, _ := strings.Cut(rest, ";")
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return time.Duration(n) * time.Second
}

// lifeForge signs with a key what an attacker who has it wants to say.
func (s *stage) lifeForge(key, session, secret string) string {
	s.t.Helper()
	ring, err := tokens.NewRing("ginsession", "ginsession", []byte(key))
	require.NoError(s.t, err)
	now := s.lifeNow().Truncate(time.Second)
	raw, err := ring.Sign(tokens.Claims{SessionID: session, Secret: secret, IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
	require.NoError(s.t, err)
	return raw
}

func TestSecurityLife(t *testing.T) {
	var h heard
	lifeStages(t, func(s *stage) {
		other := s.lifeTwin(h.listen)
		accounts := other.sessions.Accounts() // what an admin does, he does there

		s.row("A68 C10", "after a logout the token is dead on every node, and a logout of it is harmless", func(s *stage) {
			token := s.token("ada")
			s.lifeGood(token)
			require.Equal(s.t, 200, s.send("POST", "/logout", "", bearing(token)).StatusCode)
			for _, node := range []*stage{s, other} {
				h.take()
				node.refused(node.lifeMe(token), ginsession.ErrSessionNotFound)
				told := h.take()
				require.Len(s.t, told, 1)
				require.Equal(s.t, "session_use_after_expire", told[0].Name)
				require.Equal(s.t, s.ada.UserID, string(told[0].UserID))
				require.Equal(s.t, 200, node.send("POST", "/logout", "", bearing(token)).StatusCode)
			}
			require.Equal(s.t, models.At(s.lifeNow()), s.lifeRow(token).EndedAt, "the row is ended, not only the cookie gone")
			require.Equal(s.t, []string{"session_created", "session_logout"}, s.lifeEvents(token))
		})

		s.row("A69", "after a new password, by the user or by an admin", func(s *stage) {
			token := s.token("ada")
			require.NoError(s.t, accounts.ChangePassword(s.t.Context(), s.ada.UserID, password, "a password of ada's own"))
			s.logs.secret("a password of ada's own")
			s.lifeRefused(ginsession.ErrSessionNotFound, token)
			require.NoError(s.t, s.heal())
			token = s.token("ada")
			require.NoError(s.t, accounts.SetPassword(s.t.Context(), s.ada.UserID, "a password that was reset"))
			s.logs.secret("a password that was reset")
			s.lifeRefused(ginsession.ErrSessionNotFound, token)
			require.NoError(s.t, s.heal())
		})

		s.row("C12", "a new password ends all sessions; the user goes on in a new one", func(s *stage) {
			s.engine.POST("/password", ginsession.Require, func(c *gin.Context) {
				now, _ := ginsession.From(c)
				err := s.sessions.Accounts().ChangePassword(c.Request.Context(), now.User.UserID, password, "a password of ada's own")
				if err == nil {
					var user ginsession.Identity
					if user, err = s.sessions.Accounts().Identity(c.Request.Context(), now.User.UserID); err == nil {
						_, err = s.sessions.Open(c, user, now.Remember)
					}
				}
				if err != nil {
					ginsession.Refuse(c, err)
				}
			})
			here, there, elsewhere := s.token("ada"), s.token("ada"), s.token("ada")
			r := s.send("POST", "/password", "", bearing(here))
			require.Equal(s.t, 200, r.StatusCode, r.Text)
			s.lifeRefused(ginsession.ErrSessionNotFound, here, there, elsewhere)
			s.lifeGood(cookieValue(s.t, r))
			require.NoError(s.t, s.heal())
		})

		s.row("A70 C64", "another role holds for the next request, a higher one under a new token", func(s *stage) {
			admin := func(token string) ginsessiontest.Response { return s.send("GET", "/admin", "", bearing(token)) }
			for how, setRole := range map[string]func(role string) error{
				"by an admin": func(role string) error { return accounts.SetRole(s.t.Context(), s.bob.UserID, role) },
				"in the database": func(role string) error {
					return s.aside().Model(&models.User{}).Where("id = ?", models.Exact(s.bob.UserID)).Update("role", role).Error
				},
			} {
				old := s.token("bob")
				s.refused(admin(old), ginsession.ErrRoleRequired)
				require.NoError(s.t, setRole("admin"), how)
				r := admin(old)
				require.Equal(s.t, 200, r.StatusCode, how)
				raised := cookieValue(s.t, r)
				require.NotEqual(s.t, secretOf(s.t.(*testing.T), old), secretOf(s.t.(*testing.T), raised), how)
				require.Equal(s.t, 200, admin(raised).StatusCode, how)

				require.NoError(s.t, setRole("viewer"), how)
				s.refused(admin(raised), ginsession.ErrRoleRequired)
				s.refused(admin(old), ginsession.ErrRoleRequired)
				s.pass(30 * time.Second)
				s.refused(admin(old), ginsession.ErrSessionInvalid)
			}
		})

		s.row("A71 C11", "a user who is disabled or deleted has no session and gets none; one who is renamed keeps his", func(s *stage) {
			byID := func() *gorm.DB {
				return s.aside().Model(&models.User{}).Where("id = ?", models.Exact(s.bob.UserID))
			}
			renamed := s.token("bob")
			require.NoError(s.t, byID().Updates(map[string]any{"username": "robert", "username_key": "robert"}).Error)
			require.Equal(s.t, "robert", s.lifeMe(renamed).Text)
			require.NoError(s.t, byID().Updates(map[string]any{"username": "bob", "username_key": "bob"}).Error)

			var bob models.User
			require.NoError(s.t, byID().First(&bob).Error)
			for how, shut := range map[string]func() error{
				"disabled": func() error { return accounts.Disable(s.t.Context(), s.bob.UserID) },
				"deleted":  func() error { return accounts.Delete(s.t.Context(), s.bob.UserID) },
				"with SQL": func() error { return byID().Delete(&models.User{}).Error },
			} {
				jars := []string{s.token("bob"), s.token("bob"), s.token("bob")}
				require.NoError(s.t, shut(), how)
				s.lifeRefused(ginsession.ErrSessionInvalid, jars...)
				r := s.login("bob", password)
				s.refused(r, ginsession.ErrCredentialsInvalid)
				require.Empty(s.t, r.Header["Set-Cookie"], how)
				s.forgive()
				require.NoError(s.t, byID().Delete(&models.User{}).Error)
				require.NoError(s.t, s.aside().Create(&bob).Error)
			}
			for _, field := range reflect.VisibleFields(reflect.TypeFor[models.User]()) {
				require.NotEqual(s.t, reflect.TypeFor[gorm.DeletedAt](), field.Type, "a user is there or is not: none is deleted softly")
			}
		})

		s.row("A72", "no later user inherits a session, not even one with the same id", func(s *stage) {
			var bob models.User
			require.NoError(s.t, s.aside().Where("id = ?", models.Exact(s.bob.UserID)).First(&bob).Error)
			token := s.token("bob")
			require.NoError(s.t, accounts.Delete(s.t.Context(), s.bob.UserID))
			require.NoError(s.t, s.aside().Create(&bob).Error)
			s.lifeRefused(ginsession.ErrSessionInvalid, token)

			token = s.token("bob")
			require.NoError(s.t, s.aside().Where("id = ?", bob.ID).Delete(&models.User{}).Error) // behind our back
			later, err := accounts.Create(s.t.Context(), ginsession.NewUser{Username: "bob", Role: "admin"})
			require.NoError(s.t, err)
			require.NotEqual(s.t, string(bob.ID), later.UserID)
			s.lifeRefused(ginsession.ErrSessionInvalid, token)
			require.NoError(s.t, accounts.Delete(s.t.Context(), later.UserID))
			require.NoError(s.t, s.aside().Create(&bob).Error)
		})

		s.row("A73 C14", "an admin ends one session, or all of a user, and the event names him", func(s *stage) {
			s.engine.POST("/revoke", ginsession.Require, func(c *gin.Context) {
				n, err := s.sessions.RevokeUser(c.Request.Context(), s.bob.UserID)
				c.String(http.StatusOK, "%d %v", n, err)
			})
			_, err := s.sessions.RevokeUser(s.t.Context(), s.bob.UserID) // what other rows have left
			require.NoError(s.t, err)
			one, two, three, ada := s.token("bob"), s.token("bob"), s.token("bob"), s.token("ada")
			require.NoError(s.t, other.sessions.RevokeSession(s.t.Context(), string(sessionOf(s.t.(*testing.T), one)), ""))
			s.lifeRefused(ginsession.ErrSessionNotFound, one)
			s.lifeGood(two, three)
			require.Equal(s.t, "2 <nil>", s.send("POST", "/revoke", "", bearing(ada)).Text)
			s.lifeRefused(ginsession.ErrSessionNotFound, two, three)
			s.lifeGood(ada)
			require.Equal(s.t, "0 <nil>", s.send("POST", "/revoke", "", bearing(ada)).Text)
			var e models.Event
			require.NoError(s.t, s.aside().Where("name = ?", "authn_token_revoked").Order("id DESC").First(&e).Error)
			require.Equal(s.t, []string{s.bob.UserID, s.ada.UserID}, []string{string(e.UserID), string(e.Actor)})
		})

		s.row("A74 A75 C83", "a retired key is good until it is removed, and its cookies are reissued under the new one", func(s *stage) {
			token := s.token("ada")
			s.pass(time.Minute)
			both := s.lifeNode(func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2, key1} })
			next := s.lifeNode(func(c *ginsession.Config) { c.Keys = []ginsession.Key{key2} })
			next.lifeRefused(ginsession.ErrTokenInvalid, token)
			reissued := both.lifeRenewed(token)
			next.lifeGood(reissued)
			both.lifeGood(token, reissued)
			next.lifeRefused(ginsession.ErrTokenInvalid, token)
			s.lifeRefused(ginsession.ErrTokenInvalid, reissued)
		})

		s.row("A76 A77", "the token before is good for parallel requests, moves nothing and rotates nothing", func(s *stage) {
			first := s.token("ada")
			s.pass(lifeRefreshDue)
			second := s.lifeRenewed(first)
			before := s.lifeRow(first)
			s.lifeGood(first, second, first, first)
			s.pass(29 * time.Second)
			s.lifeGood(first)
			after := s.lifeRow(first)
			require.Equal(s.t, before.ExpiresAt, after.ExpiresAt)
			require.Equal(s.t, before.SecretHash, after.SecretHash)
			require.Equal(s.t, []string{"session_created", "session_renewed"}, s.lifeEvents(first))
		})

		s.row("A78", "after the grace it is reuse: the session ends, and that is told as critical", func(s *stage) {
			first := s.token("ada")
			s.pass(lifeRefreshDue)
			second := s.lifeRenewed(first)
			s.lifeGood(second)
			s.pass(30 * time.Second)
			before := strings.Count(s.logs.text(), `"level":"ERROR","msg":"ginsession: authn_token_reuse"`)
			s.lifeRefused(ginsession.ErrSessionInvalid, first, second)
			require.Equal(s.t, []string{"session_created", "session_renewed", "authn_token_reuse"}, s.lifeEvents(first))
			require.Equal(s.t, before+1, strings.Count(s.logs.text(), `"level":"ERROR","msg":"ginsession: authn_token_reuse"`))
		})

		s.row("A79", "grace is for the immediate predecessor alone", func(s *stage) {
			short := s.lifeNode(func(c *ginsession.Config) { c.MaxAge, c.RefreshThreshold = 80*time.Second, 40*time.Second })
			first := short.token("ada")
			short.pass(50 * time.Second)
			second := short.lifeRenewed(first)
			short.lifeGood(second)
			short.pass(10 * time.Second) // so long a secret rests; the first is still in its grace
			short.lifeGood(first)
			third := short.lifeRefresh(second)
			short.lifeGood(second, third)
			short.lifeRefused(ginsession.ErrSessionInvalid, first, second, third)
			require.Equal(s.t, "reuse", s.lifeRow(first).EndReason)
		})

		s.row("A80", "a client to whom the new token never came goes on with the old, and is given it again", func(s *stage) {
			s.engine.GET("/cut", func(c *gin.Context) {
				conn, _, err := c.Writer.Hijack()
				if err == nil {
					_ = conn.Close()
				}
			})
			first := s.token("ada")
			s.pass(lifeRefreshDue)
			conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
			require.NoError(s.t, err)
			_, err = fmt.Fprintf(conn, "GET /cut HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", bearing(first))
			require.NoError(s.t, err)
			n, err := conn.Read(make([]byte, 1))
			require.Error(s.t, err)
			require.Zero(s.t, n, "nothing comes")
			require.NoError(s.t, conn.Close())
			require.Equal(s.t, []string{"session_created", "session_renewed"}, s.lifeEvents(first), "it was rotated all the same")

			for range 3 { // for as long as it takes
				s.pass(5 * time.Minute)
				again := s.lifeRenewed(first)
				require.NotEqual(s.t, secretOf(s.t.(*testing.T), first), secretOf(s.t.(*testing.T), again))
			}
			s.pass(DefaultMaxAge)
			s.lifeRefused(ginsession.ErrSessionExpired, first)
		})

		s.row("A81", "a stolen token works beside its owner's until one of them rotates it, and the other is found out", func(s *stage) {
			for _, rotates := range []string{"Owner/1.0", "Thief/1.0"} {
				first := s.token("ada")
				use := func(token, agent string) ginsessiontest.Response {
					return s.send("GET", "/me", "", bearing(token), "User-Agent: "+agent)
				}
				for range 3 {
					for _, agent := range []string{"Owner/1.0", "Thief/1.0"} {
						s.pass(2 * time.Minute)
						require.Equal(s.t, 200, use(first, agent).StatusCode)
						require.Equal(s.t, agent, s.lifeRow(first).UserAgent, "the row tells who was the last")
					}
				}
				s.pass(lifeRefreshDue)
				second := cookieValue(s.t, use(first, rotates))
				require.Equal(s.t, 200, use(second, rotates).StatusCode)
				s.pass(time.Minute)
				s.refused(use(first, "the other"), ginsession.ErrSessionInvalid)
				s.refused(use(second, rotates), ginsession.ErrSessionInvalid)
				var e models.Event
				require.NoError(s.t, s.aside().Where("name = ?", "authn_token_reuse").Order("id DESC").First(&e).Error)
				require.Equal(s.t, "the other", e.UserAgent)
			}
		})

		s.row("A82 C9", "use does not carry a session beyond its absolute end, and no cookie claims it", func(s *stage) {
			const absolute = 3*time.Hour + 10*time.Minute
			node := s.lifeNode(func(c *ginsession.Config) {
				c.MaxAge, c.AbsoluteTimeout, c.IdleTimeout = time.Hour, absolute, 30*time.Minute
			})
			token := node.token("ada")
			row := s.lifeRow(token)
			end := row.AbsoluteExpiresAt.Time()
			require.Equal(s.t, node.lifeNow().Add(absolute).Truncate(time.Second), end)
			renewals := 0
			for node.lifeNow().Add(15 * time.Minute).Before(end) {
				node.pass(15 * time.Minute)
				r := node.lifeMe(token)
				require.Equal(s.t, 200, r.StatusCode, r.Text)
				for _, next := range cookies(r) {
					token = next
					renewals++
					require.LessOrEqual(s.t, claimsOf(s.t.(*testing.T), token).Exp, end.Unix())
				}
			}
			require.Equal(s.t, 5, renewals)
			node.pass(end.Sub(node.lifeNow()) - time.Millisecond)
			require.Equal(s.t, 200, node.lifeMe(token).StatusCode)
			node.pass(time.Millisecond)
			node.lifeRefused(ginsession.ErrSessionExpired, token)
			require.Equal(s.t, "absolute", s.lifeRow(token).EndReason)
		})

		s.row("A83 C8", "idle: use keeps a session, a status does not, and it is over at the limit for good", func(s *stage) {
			const idle = 10 * time.Minute
			node := s.lifeNode(func(c *ginsession.Config) { c.IdleTimeout = idle })
			token := node.token("ada")
			node.pass(idle - time.Second)
			node.lifeGood(token)
			for range 20 { // a page asks every half minute
				node.pass(idle / 20)
				want := fmt.Sprintf(`"isAuthenticated":%v`, node.lifeNow().Before(s.lifeRow(token).LastAccessed.Time().Add(idle)))
				require.Contains(s.t, node.send("GET", "/session", "", bearing(token)).Text, want)
			}
			require.Zero(s.t, s.lifeRow(token).EndedAt, "a status writes nothing")
			for range 6 {
				node.lifeRefused(ginsession.ErrSessionExpired, token)
			}
			row := s.lifeRow(token)
			require.Equal(s.t, []any{models.At(node.lifeNow()), "idle"}, []any{row.EndedAt, row.EndReason})
			s.lifeRefused(ginsession.ErrSessionExpired, token) // also where no idle timeout is set
		})

		s.row("A84", "what the row holds is no token, nor a secret", func(s *stage) {
			token := s.token("ada")
			row := s.lifeRow(token)
			parts := strings.Split(token, ".")
			encoded := base64.RawURLEncoding.EncodeToString(row.SecretHash)
			for _, value := range []string{
				hex.EncodeToString(row.SecretHash), encoded, string(row.ID),
				string(row.ID) + "." + encoded, parts[0] + "." + parts[1] + "." + encoded, parts[0] + "." + encoded + "." + parts[2],
			} {
				s.lifeRefused(ginsession.ErrTokenInvalid, value)
			}
			s.lifeGood(token)
			s.lifeRefused(ginsession.ErrSessionInvalid, s.lifeForge(key1, string(row.ID), encoded)) // not even with the key
		})

		s.row("A85", "a row that somebody wrote is no session without the key", func(s *stage) {
			secret := strings.Repeat("B", 43)
			sum := sha256.Sum256([]byte(secret))
			planted := s.lifeRow(s.token("ada"))
			planted.ID, planted.SecretHash = models.Exact(strings.Repeat("B", 26)), sum[:]
			require.NoError(s.t, s.aside().Create(&planted).Error)
			s.lifeRefused(ginsession.ErrTokenInvalid, s.lifeForge(key2, string(planted.ID), secret), secret, string(planted.ID))
			s.lifeRefused(ginsession.ErrSessionInvalid, s.lifeForge(key1, string(planted.ID), secret)) // nor with a part of it: its user is not marked
			require.NoError(s.t, s.aside().Where("id = ?", planted.ID).Delete(&models.Session{}).Error)
		})

		s.row("A86", "the key without a live row opens nothing", func(s *stage) {
			before := len(s.rows())
			s.lifeRefused(ginsession.ErrSessionNotFound, s.lifeForge(key1, strings.Repeat("A", 26), strings.Repeat("A", 43)))
			require.Len(s.t, s.rows(), before)
		})

		s.row("C7", "a sign-in makes a new token and ends the session that the request came with", func(s *stage) {
			for _, next := range []string{"ada", "bob"} {
				first := s.token("ada")
				r := s.login(next, password, bearing(first))
				require.Equal(s.t, 200, r.StatusCode)
				second := cookieValue(s.t, r)
				require.NotEqual(s.t, sessionOf(s.t.(*testing.T), first), sessionOf(s.t.(*testing.T), second))
				require.NotEqual(s.t, secretOf(s.t.(*testing.T), first), secretOf(s.t.(*testing.T), second))
				s.lifeRefused(ginsession.ErrSessionNotFound, first)
				require.Equal(s.t, next, s.lifeMe(second).Text)
			}
		})

		s.row("C13 C101", "everybody can sign out, and all get the same answer with the same deletion", func(s *stage) {
			expired, forged := s.token("ada"), ""
			s.pass(DefaultMaxAge)
			ended, ada, bob := s.token("ada"), s.token("ada"), s.token("bob")
			require.Equal(s.t, 200, s.send("POST", "/logout", "", bearing(ended)).StatusCode)
			forged = ada[:len(ada)-8] + "AAAAAAAA"
			want := s.send("POST", "/logout", "")
			for _, token := range []string{ada, bob, expired, ended, forged, "junk", ""} {
				r := s.send("POST", "/logout", "", bearing(token))
				require.Equal(s.t, 200, r.StatusCode)
				require.Equal(s.t, want.Text, r.Text)
				require.Equal(s.t, cookieName+"=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax", setCookie(s.t, r))
				require.Empty(s.t, r.Header["Clear-Site-Data"], "no switch for it")
			}
			s.lifeRefused(ginsession.ErrSessionNotFound, ada, bob)
		})

		s.row("C19", "a session begins by a sign-in alone", func(s *stage) {
			before := len(s.rows())
			for _, path := range []string{"/login", "/logout", "/session", "/session/refresh", "/me", "/admin", "/open", "/nowhere"} {
				for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
					require.Empty(s.t, s.send(method, path, "").Header["Set-Cookie"], method+path)
				}
			}
			require.Len(s.t, s.rows(), before)
		})

		s.row("C73", "a sign-in that fails between the end of the old session and the birth of the new leaves the old", func(s *stage) {
			old := s.token("ada")
			for _, words := range []string{"UPDATE users", "UPDATE sessions", "INSERT INTO sessions", "INSERT INTO session_events"} {
				before := s.rows()
				racesWatch(s.wire, func(_ context.Context, call string) error {
					if strings.HasPrefix(call, words) {
						return errWire
					}
					return nil
				})
				r := s.login("bob", password, bearing(old))
				s.refused(r, ginsession.ErrStoreUnavailable)
				require.Empty(s.t, r.Header["Set-Cookie"], words)
				s.wire.reset()
				require.Equal(s.t, before, s.rows(), words)
				s.lifeGood(old)
			}
		})

		s.row("C127", "256 bits of secret, of crypto/rand, born at a sign-in, dead after a logout, for https alone", func(s *stage) {
			seen := map[string]bool{}
			for range 5 {
				r := s.login("ada", password)
				token := cookieValue(s.t, r)
				secret, err := base64.RawURLEncoding.DecodeString(secretOf(s.t.(*testing.T), token))
				require.NoError(s.t, err)
				require.Len(s.t, secret, 32)
				require.False(s.t, seen[string(secret)])
				seen[string(secret)] = true
				require.Contains(s.t, setCookie(s.t, r), "; Secure")
				require.Equal(s.t, 200, s.send("POST", "/logout", "", bearing(token)).StatusCode)
				s.lifeRefused(ginsession.ErrSessionNotFound, token)
			}
		})

		s.row("C128", "the cookie goes with the browser, or lasts to the absolute end if that was asked for", func(s *stage) {
			for _, attribute := range []string{"Max-Age", "Expires"} {
				require.NotContains(s.t, setCookie(s.t, s.login("ada", password)), attribute)
			}
			r := s.lifeRemember()
			token := cookieValue(s.t, r)
			end := s.lifeRow(token).AbsoluteExpiresAt.Time()
			require.Equal(s.t, end.Sub(s.lifeNow()).Truncate(time.Second), lifeMaxAge(s.t, r))
			s.pass(10 * 24 * time.Hour)
			require.NoError(s.t, accounts.SetRole(s.t.Context(), s.ada.UserID, "editor"))
			r = s.lifeMe(token)
			require.Equal(s.t, end.Sub(s.lifeNow()).Truncate(time.Second), lifeMaxAge(s.t, r))
			require.NoError(s.t, accounts.SetRole(s.t.Context(), s.ada.UserID, "admin"))
		})

		s.row("C129", "nothing hands the token to a script", func(s *stage) {
			signedIn := s.login("ada", password)
			token := cookieValue(s.t, signedIn)
			s.pass(lifeRefreshDue)
			refreshed := s.send("POST", "/session/refresh", "", bearing(token))
			answers := []ginsessiontest.Response{signedIn, refreshed, s.send("GET", "/session", "", bearing(token)), s.lifeMe(token)}
			for _, r := range answers {
				text := r.Text
				for name, values := range r.Header {
					if name != "Set-Cookie" {
						text += strings.Join(values, "\n")
					}
				}
				for _, raw := range []string{token, cookieValue(s.t, refreshed)} {
					parts := strings.Split(raw, ".")
					for _, secret := range []string{parts[1], parts[2], secretOf(s.t.(*testing.T), raw)} {
						require.NotContains(s.t, text, secret)
					}
				}
				for _, line := range r.Header["Set-Cookie"] {
					require.Contains(s.t, line, "; HttpOnly")
				}
			}
		})

		s.row("C131", "one that keeps its cookie for ever is ended by the server; the cookie says nothing of the user", func(s *stage) {
			r := s.lifeRemember()
			token := cookieValue(s.t, r)
			require.Regexp(s.t, `^__Host-session=[\w.-]+; Path=/; Max-Age=\d+; HttpOnly; Secure; SameSite=Lax$`, setCookie(s.t, r))
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			require.NoError(s.t, err)
			require.Regexp(s.t, `^\{"iss":"ginsession","aud":"ginsession","sid":"[A-Z2-7]{26}","jti":"[\w-]{43}","iat":\d+,"exp":\d+\}$`, string(payload))
			s.pass(30*24*time.Hour + time.Hour) // a browser would have dropped it
			s.lifeRefused(ginsession.ErrSessionExpired, token)
		})

		s.row("C132 C133", "a refresh proves nobody: it moves neither the absolute end nor when the user signed in", func(s *stage) {
			token := s.token("ada")
			first := s.lifeRow(token)
			for range 3 {
				s.pass(lifeRefreshDue)
				token = s.lifeRenewed(token)
				s.lifeGood(token)
			}
			require.NoError(s.t, accounts.SetRole(s.t.Context(), s.ada.UserID, "editor"))
			s.pass(2 * time.Minute)
			token = s.lifeRenewed(token)
			require.NoError(s.t, accounts.SetRole(s.t.Context(), s.ada.UserID, "admin"))
			now := s.lifeRow(token)
			require.Equal(s.t, first.AbsoluteExpiresAt, now.AbsoluteExpiresAt)
			require.Equal(s.t, first.AuthenticatedAt, now.AuthenticatedAt)
			require.Greater(s.t, now.ExpiresAt, first.ExpiresAt)
			require.Contains(s.t, s.send("GET", "/session", "", bearing(token)).Text,
				`"authenticatedAt":"`+first.AuthenticatedAt.Time().Format("2006-01-02T15:04:05.999Z")+`"`)
		})

		s.row("C140", "no cookie lasts longer than 400 days", func(s *stage) {
			const most = 400 * 24 * time.Hour
			_, err := ginsession.New(s.db, ginsession.Config{Keys: []ginsession.Key{key1}, AbsoluteTimeout: most + time.Second})
			require.ErrorContains(s.t, err, "AbsoluteTimeout: must be from MaxAge (24h0m0s) to 9600h0m0s")
			node := s.lifeNode(func(c *ginsession.Config) { c.AbsoluteTimeout = most })
			maxAge := lifeMaxAge(s.t, node.lifeRemember())
			require.LessOrEqual(s.t, maxAge, most)
			require.Greater(s.t, maxAge, most-2*time.Second)
		})
	}, h.listen)
}

func TestSecurityTime(t *testing.T) {
	var h heard
	lifeStages(t, func(s *stage) {
		s.row("A178", "clocks 20 s apart work together; a token of ten minutes from now is refused, and told", func(s *stage) {
			near, far := s.lifeNode(), s.lifeNode()
			near.pass(20 * time.Second)
			far.pass(10 * time.Minute)
			mine := s.token("ada")
			near.lifeGood(mine)
			far.lifeGood(mine)
			s.lifeGood(near.token("ada"))

			ahead := near.token("ada") // a later expiry than one that is set here
			before := s.lifeRow(ahead)
			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "editor"))
			ahead = s.lifeRenewed(ahead)
			require.Equal(s.t, before.ExpiresAt, s.lifeRow(ahead).ExpiresAt)
			require.Equal(s.t, before.ExpiresAt.Time().Unix(), claimsOf(s.t.(*testing.T), ahead).Exp)
			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "admin"))

			future := far.token("ada")
			h.take()
			r := s.lifeMe(future)
			s.refused(r, ginsession.ErrTokenInvalid)
			require.Empty(s.t, r.Header["Set-Cookie"])
			told := h.take()
			require.Len(s.t, told, 1)
			require.Equal(s.t, []string{"token_invalid", "claims"}, []string{told[0].Name, told[0].Reason})
			s.pass(10*time.Minute - 30*time.Second)
			s.lifeGood(future)
		})

		s.row("A179", "a clock that is set back by an hour lengthens nothing by more than that, and nothing is negative", func(s *stage) {
			s.pass(2 * time.Hour)
			r := s.lifeRemember()
			remembered, token := cookieValue(s.t, r), s.token("ada")
			s.pass(2 * time.Hour)
			for range 5 {
				s.login("bob", "wrong wrong wrong")
			}
			before, young := s.lifeRow(token), s.token("ada")
			s.pass(-time.Hour)

			s.lifeGood(token, remembered)
			s.lifeRefused(ginsession.ErrTokenInvalid, young) // of an hour from now; the cookie stays
			var status struct{ RemainingTime, RefreshIn int64 }
			require.NoError(s.t, json.Unmarshal([]byte(s.send("GET", "/session", "", bearing(token)).Text), &status))
			require.Equal(s.t, int64(before.ExpiresAt.Time().Sub(s.lifeNow())/time.Second), status.RemainingTime)
			require.Equal(s.t, status.RemainingTime-1800, status.RefreshIn)
			next := s.lifeRefresh(token)
			after := s.lifeRow(next)
			require.Equal(s.t, before.AbsoluteExpiresAt, after.AbsoluteExpiresAt)
			require.GreaterOrEqual(s.t, after.ExpiresAt, before.ExpiresAt, "nor is anything shortened")
			require.LessOrEqual(s.t, after.ExpiresAt, models.At(s.lifeNow().Add(DefaultMaxAge)))

			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "editor"))
			maxAge := lifeMaxAge(s.t, s.lifeMe(remembered))
			require.Equal(s.t, s.lifeRow(remembered).AbsoluteExpiresAt.Time().Sub(s.lifeNow()).Truncate(time.Second), maxAge)
			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "admin"))

			if r := s.login("bob", password); r.StatusCode != 200 {
				s.refused(r, ginsession.ErrRateLimited)
				wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
				require.NoError(s.t, err)
				require.Positive(s.t, wait)
				require.LessOrEqual(s.t, wait, 3600)
			}
			s.forgive()
			s.pass(time.Hour)
			s.lifeGood(young)
			s.pass(after.AbsoluteExpiresAt.Time().Sub(s.lifeNow()))
			s.lifeRefused(ginsession.ErrSessionExpired, next)
		})

		s.row("A180", "what ended while the clock was a day ahead stays ended, what was not looked at lives", func(s *stage) {
			used, unused := s.token("ada"), s.token("ada")
			s.pass(25 * time.Hour)
			s.lifeRefused(ginsession.ErrSessionExpired, used)
			s.pass(-25 * time.Hour)
			s.lifeRefused(ginsession.ErrSessionExpired, used)
			s.lifeGood(unused)
		})

		s.row("A181", "leap second, 2038, 2106, summer time in the zone of the process: no effect", func(s *stage) {
			berlin, err := time.LoadLocation("Europe/Berlin")
			require.NoError(s.t, err)
			for name, instant := range map[string]time.Time{
				"leap second": time.Date(2016, 12, 31, 23, 59, 60, 0, time.UTC),
				"2038":        time.Unix(1<<31, 0),
				"2106":        time.Unix(1<<32, 0),
				"summer time": time.Date(2027, 3, 28, 1, 0, 0, 0, time.UTC),
				"winter time": time.Date(2027, 10, 31, 1, 0, 0, 0, time.UTC),
			} {
				node := s.lifeNode(func(c *ginsession.Config) {
					now := c.Now
					c.Now = func() time.Time { return now().In(berlin) }
				})
				opened := instant.Add(-time.Second).UTC()
				node.clock.Store(int64(opened.Sub(lifeBegan)))
				token := node.token("ada")
				node.pass(2 * time.Second)
				node.lifeGood(token)
				text := node.send("GET", "/session", "", bearing(token)).Text
				require.Contains(s.t, text, `"createdAt":"`+opened.Format(time.RFC3339)+`"`, name)
				require.Contains(s.t, text, `"expiresAt":"`+opened.Add(DefaultMaxAge).Format(time.RFC3339)+`"`, name)
				node.pass(lifeRefreshDue)
				token = node.lifeRenewed(token)
				node.pass(s.lifeRow(token).ExpiresAt.Time().Sub(node.lifeNow()) - time.Millisecond)
				require.Contains(s.t, node.send("GET", "/session", "", bearing(token)).Text, `"isAuthenticated":true`, name)
				node.pass(time.Millisecond)
				node.lifeRefused(ginsession.ErrSessionExpired, token)
			}
		})

		s.row("A182", "alive before the limit and dead at it, whatever the limit and whoever asks", func(s *stage) {
			for name, test := range map[string]struct {
				life      func(row models.Session) models.Time
				configure func(*ginsession.Config)
			}{
				"age":  {func(row models.Session) models.Time { return row.ExpiresAt }, func(*ginsession.Config) {}},
				"idle": {func(row models.Session) models.Time { return row.LastAccessed + 600_000 }, func(c *ginsession.Config) { c.IdleTimeout = 10 * time.Minute }},
				"absolute": {func(row models.Session) models.Time { return row.AbsoluteExpiresAt },
					func(c *ginsession.Config) { c.MaxAge, c.AbsoluteTimeout = time.Hour, time.Hour }},
			} {
				node := s.lifeNode(test.configure)
				token, used, refreshed := node.token("ada"), node.token("ada"), node.token("ada")
				limit := test.life(s.lifeRow(token)).Time()
				node.pass(limit.Sub(node.lifeNow()) - time.Millisecond)
				require.Contains(s.t, node.send("GET", "/session", "", bearing(token)).Text, `"isAuthenticated":true`, name)
				require.Equal(s.t, 200, node.lifeMe(used).StatusCode, name)
				require.Equal(s.t, 200, node.send("POST", "/session/refresh", "", bearing(refreshed)).StatusCode, name)
				node.pass(time.Millisecond)
				require.Contains(s.t, node.send("GET", "/session", "", bearing(token)).Text, `"isAuthenticated":false,"isExpired":true`, name)
				node.refused(node.send("POST", "/session/refresh", "", bearing(token)), ginsession.ErrSessionExpired)
				node.refused(node.send("POST", "/act", "", bearing(token)), ginsession.ErrSessionExpired)
				node.lifeRefused(ginsession.ErrSessionExpired, token)
				require.Equal(s.t, models.At(limit), s.lifeRow(token).EndedAt, name)
			}
		})

		s.row("A183", "with less than a second left the cookie lasts one second, not for the browser's life", func(s *stage) {
			token := cookieValue(s.t, s.lifeRemember())
			s.pass(s.lifeRow(token).AbsoluteExpiresAt.Time().Sub(s.lifeNow()) - 400*time.Millisecond)
			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "editor"))
			r := s.lifeMe(token)
			require.Equal(s.t, 200, r.StatusCode, r.Text)
			require.Equal(s.t, time.Second, lifeMaxAge(s.t, r))
			require.NoError(s.t, s.sessions.Accounts().SetRole(s.t.Context(), s.ada.UserID, "admin"))
		})
	}, h.listen)
}

// What ended long ago goes in bounded batches, at the boundary to the millisecond;
// what lives stays, however old it is.
func TestSecuritySweep(t *testing.T) {
	row(t, "C100", "ended sessions are removed in batches, and never a live one", func(t *testing.T) {
		modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, d)
				now := time.Now() // and stays
				sessions, _ := a.node(a.db, func(c *ginsession.Config) {
					c.Now = func() time.Time { return now }
					c.SyncEvery, c.CacheFor = time.Minute, 5*time.Minute // the feed is not what this is about
				})
				boundary := models.At(now.Add(-ginsession.DefaultKeepSessions))
				live := models.At(now.Add(time.Millisecond))
				var old []models.Session
				for i := range 450 {
					old = append(old, models.Session{ID: models.Exact(fmt.Sprint("old ", i)), ExpiresAt: boundary - 1 - models.Time(i%3)})
				}
				old = append(old,
					models.Session{ID: "at the boundary", ExpiresAt: boundary},
					models.Session{ID: "ended at it", ExpiresAt: live, EndedAt: boundary},
					models.Session{ID: "ended before it", ExpiresAt: live, EndedAt: boundary - 1},
					models.Session{ID: "live and old", ExpiresAt: live, CreatedAt: 1},
				)
				for i := range old {
					old[i].UserID, old[i].SecretHash = models.Exact(a.ada.UserID), []byte("x")
				}
				require.NoError(t, a.db.CreateInBatches(old, 200).Error)
				a.wire.reset()
				a.run(sessions)
				time.Sleep(15 * time.Minute)
				var left []string
				require.NoError(t, a.db.Model(&models.Session{}).Order("id").Pluck("id", &left).Error)
				require.Equal(t, []string{"at the boundary", "ended at it", "live and old"}, left)
				calls, args := a.wire.sent()
				batches := 0
				for i, call := range calls {
					if strings.HasPrefix(strings.Map(unquoted, call), "DELETE FROM sessions") {
						batches++
						require.LessOrEqual(t, len(args[i]), 202)
					}
				}
				require.Equal(t, 4, batches)
			})
		})
	})
}
