// What must always hold, each by a test named for it.

package ginsession_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	tokens "github.com/ginsession/gin-session/ginsession/internal/token"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// forge signs what an attacker with the key wants to say.
func forge(t *testing.T, key, session, secret string, expires time.Time) string {
	t.Helper()
	ring, err := tokens.NewRing("ginsession", "ginsession", []byte(key))
	require.NoError(t, err)
	raw, err := ring.Sign(tokens.Claims{SessionID: session, Secret: secret, IssuedAt: time.Now(), ExpiresAt: expires})
	require.NoError(t, err)
	return raw
}

// claimsOf returns what a token says.
func claimsOf(t *testing.T, raw string) (claims struct {
	SID, JTI string
	Exp      int64
}) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(payload, &claims))
	return claims
}

func secretOf(t *testing.T, raw string) string { return claimsOf(t, raw).JTI }

func sessionOf(t *testing.T, raw string) models.Exact { return models.Exact(claimsOf(t, raw).SID) }

// with returns a browser that holds a token.
func (a *app) with(token string) *ginsessiontest.Client {
	c := a.client()
	origin := &url.URL{Scheme: "https", Host: "app.example.com", Path: "/"}
	c.Jar.SetCookies(origin, []*http.Cookie{{Name: cookieName, Value: token, Path: "/", Secure: true}})
	return c
}

func TestInvariant1NothingWithoutBothMACAndRow(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		ada := a.signIn("ada")
		live, row := ada.Cookie(cookieName), a.row()
		later := time.Now().Add(time.Hour)

		t.Run("a live row under a key that is not ours", func(t *testing.T) {
			a.wire.reset()
			r := a.with(forge(t, key2, string(row.ID), secretOf(t, live), later)).Get("/me")
			require.Equal(t, ginsession.ErrTokenInvalid, code(t, r))
			require.Empty(t, a.wire.statements(), "junk costs no query")
		})
		t.Run("the key without the secret, or with a dump of the database", func(t *testing.T) {
			for _, secret := range []string{strings.Repeat("A", 43), base64.RawURLEncoding.EncodeToString(row.SecretHash)} {
				c := a.signIn("ada")
				sid := string(sessionOf(t, c.Cookie(cookieName)))
				r := a.with(forge(t, key1, sid, secret, later)).Get("/me")
				require.Equal(t, ginsession.ErrSessionInvalid, code(t, r))
				require.Empty(t, r.Header["Set-Cookie"])
				require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/me")), "what the key alone can do is to end a session")
			}
		})
		t.Run("the key and an id never issued", func(t *testing.T) {
			r := a.with(forge(t, key1, strings.Repeat("A", 26), strings.Repeat("A", 43), later)).Get("/me")
			require.Equal(t, ginsession.ErrSessionNotFound, code(t, r))
			require.Equal(t, 1, a.live())
		})
		t.Run("a row written into the database without the key", func(t *testing.T) {
			secret := strings.Repeat("B", 43)
			sum := sha256.Sum256([]byte(secret))
			planted := row
			planted.ID, planted.SecretHash = models.Exact(strings.Repeat("B", 26)), sum[:]
			require.NoError(t, a.db.Create(&planted).Error)
			require.Equal(t, ginsession.ErrTokenInvalid, code(t, a.with(forge(t, key2, string(planted.ID), secret, later)).Get("/me")))
			require.NoError(t, a.db.Where("id = ?", planted.ID).Delete(&models.Session{}).Error)
		})
		t.Run("the role is the row's", func(t *testing.T) {
			require.Equal(t, 200, ada.Get("/admin").StatusCode)
			setRole := func(role string) {
				require.NoError(t, a.db.Model(&models.User{}).Where("id = ?", models.Exact(a.ada.UserID)).Update("role", role).Error)
			}
			for _, role := range []string{"", "Admin", " admin", "admin\n", "admin,viewer"} {
				setRole(role)
				require.Equal(t, ginsession.ErrRoleRequired, code(t, ada.Get("/admin")), "role %q", role)
			}
			setRole("admin")
			require.Equal(t, 200, ada.Get("/admin").StatusCode)
			live = ada.Cookie(cookieName)
		})
		t.Run("no user, no session", func(t *testing.T) {
			bob := a.signIn("bob")
			row := a.db.Model(&models.User{}).Where("id = ?", models.Exact(a.bob.UserID))
			require.NoError(t, row.Update("disabled_at", 1).Error)
			require.Equal(t, ginsession.ErrSessionInvalid, code(t, bob.Get("/me")))
			require.NoError(t, row.Update("disabled_at", 0).Error)
			require.Equal(t, 200, bob.Get("/me").StatusCode)
			require.NoError(t, row.Delete(&models.User{}).Error)
			require.Equal(t, ginsession.ErrSessionInvalid, code(t, bob.Get("/me")))
		})
		require.Equal(t, 200, ada.Get("/me").StatusCode, "the attempts have done the victim no harm")
	})
}

// act is a request, and the state it is made in.
type act struct {
	name    string
	prepare func(a *app) *ginsessiontest.Client
	request func(c *ginsessiontest.Client) ginsessiontest.Response
	want    int // on a healthy database
}

func get(path string) func(*ginsessiontest.Client) ginsessiontest.Response {
	return func(c *ginsessiontest.Client) ginsessiontest.Response { return c.Get(path) }
}

func post(path string) func(*ginsessiontest.Client) ginsessiontest.Response {
	return func(c *ginsessiontest.Client) ginsessiontest.Response { return c.Do("POST", path, "", nil) }
}

func login(c *ginsessiontest.Client) ginsessiontest.Response {
	return c.PostJSON("/login", gin.H{"username": "bob", "password": password})
}

func wrongLogin(c *ginsessiontest.Client) ginsessiontest.Response {
	return c.PostJSON("/login", gin.H{"username": "bob", "password": "wrong"})
}

// after signs ada in and waits.
func after(d time.Duration) func(a *app) *ginsessiontest.Client {
	return func(a *app) *ginsessiontest.Client {
		c := a.signIn("ada")
		time.Sleep(d)
		return c
	}
}

// acts are all handlers, in every state in which they ask the database
// something else.
var acts = []act{
	{"load", after(0), get("/me"), 200},
	{"load and touch", after(2 * time.Minute), get("/me"), 200},
	{"load and refresh", after(DefaultMaxAge - time.Minute), get("/me"), 200},
	{"load an expired one", after(DefaultMaxAge), get("/me"), 401},
	{"load where none is needed", after(0), get("/open"), 200},
	{"load by role", after(0), get("/admin"), 200},
	{"login", (*app).client, login, 200},
	{"login over a session", after(0), login, 200},
	{"login over an expired one", after(DefaultMaxAge), login, 200},
	{"login with a wrong password", (*app).client, wrongLogin, 401},
	{"logout", after(0), post("/logout"), 200},
	{"logout of an expired one", after(DefaultMaxAge), post("/logout"), 200},
	{"status", after(0), get("/session"), 200},
	{"status when a refresh is due", after(DefaultMaxAge - time.Minute), get("/session"), 200},
	{"refresh", after(time.Minute), post("/session/refresh"), 200},
}

const DefaultMaxAge = ginsession.DefaultMaxAge

func TestInvariant2AStorageFaultIsNeitherALoginNorALogout(t *testing.T) {
	faults := map[string]struct {
		once, late bool
		fault      func(context.Context) error
	}{
		"fails":          {false, false, fails},
		"fails once":     {true, false, fails},
		"hangs":          {false, false, hangs},
		"hangs once":     {true, false, hangs},
		"fails late":     {false, true, fails},
		"answers late":   {false, true, hangs},
		"loses the link": {false, false, func(context.Context) error { return context.DeadlineExceeded }},
	}
	onEach(t, func(t *testing.T, a *app) {
		for _, act := range acts {
			a.wire.reset()
			c := act.prepare(a)
			a.wire.reset()
			require.Equal(t, act.want, act.request(c).StatusCode, act.name)
			steps := a.wire.statements()
			require.NotEmpty(t, steps, act.name)
			for n := range steps {
				for fault, f := range faults {
					label := fmt.Sprintf("%s: %s at %s (%d of %d)", act.name, fault, steps[n], n+1, len(steps))
					a.wire.reset()
					a.forgive()
					c := act.prepare(a)
					before := c.Cookie(cookieName)
					a.wire.breakAt(n+1, f.late, f.fault)
					a.wire.once = f.once
					r := act.request(c)
					if act.name == "login with a wrong password" && steps[n] == "INSERT INTO session_events" {
						// The password has been judged. That this cannot be written down is told
						// in the log.
						require.Equal(t, ginsession.ErrCredentialsInvalid, code(t, r), label)
						continue
					}
					require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), label)
					require.Equal(t, 503, r.StatusCode, label)
					require.NotEmpty(t, r.Header.Get("Retry-After"), label)
					require.NotContains(t, r.Text, "secret-detail", label)
					a.wire.reset()
					if strings.HasPrefix(act.name, "logout") {
						require.Contains(t, setCookie(t, r), "Max-Age=0", label)
						require.Equal(t, 401, a.with(before).Get("/me").StatusCode, "%s: still signed in here", label)
						continue
					}
					require.Empty(t, r.Header["Set-Cookie"], label)

					ends := strings.HasPrefix(act.name, "login")
					if (!f.late || !ends) && act.want == 200 && before != "" && !strings.Contains(act.name, "expired") {
						require.Equal(t, 200, a.with(before).Get("/me").StatusCode, "%s: signed out", label)
					}
				}
			}
		}
	})
}

func TestInvariant2AClosedDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		var clients []*ginsessiontest.Client
		for _, act := range acts {
			clients = append(clients, act.prepare(a))
		}
		pool, err := a.db.DB()
		require.NoError(t, err)
		require.NoError(t, pool.Close())
		for i, act := range acts {
			r := act.request(clients[i])
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), act.name)
			if strings.HasPrefix(act.name, "logout") {
				require.Contains(t, setCookie(t, r), "Max-Age=0")
				continue
			}
			require.Empty(t, r.Header["Set-Cookie"], act.name)
		}
		require.Equal(t, 200, a.client().Get("/open").StatusCode, "a stranger needs no database")
	})
}

func TestInvariant2WhateverUsersReturn(t *testing.T) {
	own := &users{authenticate: func() (ginsession.Identity, error) { return ginsession.Identity{UserID: "42", Role: "admin"}, nil }}
	inBubble(t, func(t *testing.T, a *app) {
		own.identity = func(id string) (ginsession.Identity, error) { return ginsession.Identity{UserID: id}, nil }
		c := a.signIn("somebody")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		for name, test := range map[string]struct {
			user ginsession.Identity
			err  error
			want ginsession.Code
		}{
			"an error":       {ginsession.Identity{UserID: "42"}, errWire, ginsession.ErrStoreUnavailable},
			"another code":   {ginsession.Identity{}, ginsession.ErrCredentialsInvalid, ginsession.ErrStoreUnavailable},
			"nothing":        {ginsession.Identity{}, nil, ginsession.ErrStoreUnavailable},
			"somebody else":  {ginsession.Identity{UserID: "43", Role: "admin"}, nil, ginsession.ErrStoreUnavailable},
			"user gone":      {ginsession.Identity{}, ginsession.ErrUserNotFound, ginsession.ErrSessionInvalid},
			"gone, but sent": {ginsession.Identity{UserID: "42", Role: "admin"}, ginsession.ErrUserNotFound, ginsession.ErrSessionInvalid},
		} {
			own.identity = func(string) (ginsession.Identity, error) { return test.user, test.err }
			require.Equal(t, test.want, code(t, c.Get("/admin")), name)
			if test.want == ginsession.ErrStoreUnavailable {
				require.Equal(t, 503, c.Get("/open").StatusCode, name)
			}
		}
		own.identity = func(string) (ginsession.Identity, error) {
			time.Sleep(time.Hour) // does not heed its context
			return ginsession.Identity{UserID: "42"}, nil
		}
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, c.Get("/me")), "an answer an hour late")
		for name, f := range map[string]func() (ginsession.Identity, error){
			"nothing":      func() (ginsession.Identity, error) { return ginsession.Identity{}, nil },
			"an error":     func() (ginsession.Identity, error) { return ginsession.Identity{UserID: "42"}, errWire },
			"another code": func() (ginsession.Identity, error) { return ginsession.Identity{}, ginsession.ErrUserNotFound },
			"an answer an hour late": func() (ginsession.Identity, error) {
				time.Sleep(time.Hour)
				return ginsession.Identity{UserID: "42"}, nil
			},
		} {
			own.authenticate = f
			r := a.client().PostJSON("/login", gin.H{"username": "x", "password": "y"})
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), name)
			require.Empty(t, r.Header["Set-Cookie"], name)
		}
	}, func(c *ginsession.Config) { c.Users = own })
}

func TestInvariant2AnAnswerToAnotherQuestion(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		bob := a.signIn("bob")
		a.signIn("ada")
		a.wire.rewriting(func(query string) string { return strings.Replace(query, "WHERE s.id =", "WHERE s.id <>", 1) })
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, bob.Get("/admin")))
	})
}

// TestInvariant3WhatEndedStaysEnded stops a request before each of its
// statements, ends the session in another process meanwhile, and lets it go on.
func TestInvariant3WhatEndedStaysEnded(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, otherEngine := a.otherProcess()
		observer := a.d.Open(t)
		ends := map[string]func(token string){
			"logout": func(token string) {
				c := ginsessiontest.NewClient(otherEngine)
				c.Header.Set("Cookie", cookieName+"="+token)
				require.Equal(t, 200, c.Do("POST", "/logout", "", nil).StatusCode)
			},
			"disable": func(string) { require.NoError(t, other.Accounts().Disable(t.Context(), a.ada.UserID)) },
			"password": func(string) {
				require.NoError(t, a.otherPassword(other))
			},
		}
		for _, act := range acts {
			if act.name == "login" || act.name == "login with a wrong password" || strings.HasPrefix(act.name, "status") || strings.HasPrefix(act.name, "load by") {
				continue // have no session to end, or nothing more to ask
			}
			a.wire.reset()
			require.NoError(t, a.heal())
			c := act.prepare(a)
			a.wire.reset()
			act.request(c)
			steps := a.wire.statements()
			for n := range steps {
				for how, end := range ends {
					label := fmt.Sprintf("%s: %s before %s", act.name, how, steps[n])
					if begin := slices.Index(steps, "BEGIN"); a.d.Kind == "sqlite" && begin >= 0 && n > begin+1 {
						continue // the one writer of SQLite has written: nobody can come between
					}
					if update := slices.Index(steps, "UPDATE sessions"); update >= 0 && n > update {
						continue // the row is locked
					}
					a.wire.reset()
					require.NoError(t, a.heal())
					require.NoError(t, a.db.Where("ended_at = 0").Delete(&models.Session{}).Error)
					c := act.prepare(a)
					token := c.Cookie(cookieName)
					var ended, after models.Session
					a.wire.breakAt(n+1, false, func(context.Context) error {
						if ended.ID == "" {
							end(token)
							require.NoError(t, observer.Where("id = ?", sessionOf(t, token)).First(&ended).Error)
						}
						return nil
					})
					r := act.request(c)
					require.NotZero(t, ended.EndedAt, label)
					a.wire.reset()
					require.NoError(t, observer.Where("id = ?", sessionOf(t, token)).First(&after).Error)
					require.Equal(t, ended, after, "%s: the row of an ended session was changed", label)
					if strings.HasPrefix(act.name, "load and refresh") || act.name == "load" || act.name == "refresh" {
						require.Equal(t, 401, r.StatusCode, label)
						require.Empty(t, cookies(r), label)
					}
					if strings.HasPrefix(act.name, "login") { // as somebody else, with a session of his own
						continue
					}
					for _, issued := range append(cookies(r), token) {
						for _, wait := range []time.Duration{0, time.Minute, 20 * time.Hour} {
							time.Sleep(wait)
							require.Equal(t, 401, a.with(issued).Get("/me").StatusCode, label)
						}
					}
					require.Zero(t, a.live(), label)
				}
			}
		}
	})
}

// otherPassword sets ada's password to what it is.
func (a *app) otherPassword(m *ginsession.Manager) error {
	if err := m.Accounts().SetPassword(a.t.Context(), a.ada.UserID, password); err != nil {
		return err
	}
	return a.heal()
}

// heal enables ada and gives her back the cheap hash.
func (a *app) heal() error {
	return a.aside().Model(&models.User{}).Where("id = ?", models.Exact(a.ada.UserID)).
		Updates(map[string]any{"disabled_at": 0, "password_hash": cheapHash()}).Error
}

// live counts the sessions that have not ended.
func (a *app) live() int {
	n := 0
	for _, row := range a.rows() {
		if row.EndedAt.IsZero() {
			n++
		}
	}
	return n
}

// cookies returns the tokens that an answer sets.
func cookies(r ginsessiontest.Response) []string {
	var all []string
	for _, c := range r.Cookies() {
		if c.Name == cookieName && c.Value != "" {
			all = append(all, c.Value)
		}
	}
	return all
}

// A node whose clock is ahead finds a session run out. Before it writes that
// down, another renews it.
func TestInvariant3WhatWasRenewedIsNotEnded(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		_, ahead := a.node(a.db, func(c *ginsession.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Hour) }
		})
		_, right := a.otherProcess()
		c := a.signIn("ada")
		token := c.Cookie(cookieName)
		time.Sleep(23*time.Hour + 45*time.Minute)
		client := func(engine http.Handler) *ginsessiontest.Client {
			c := ginsessiontest.NewClient(engine)
			c.Header.Set("Cookie", cookieName+"="+token)
			return c
		}
		var renewed ginsessiontest.Response
		a.wire.breakAt(2, false, func(context.Context) error {
			if renewed.Response == nil {
				renewed = client(right).Get("/me")
			}
			return nil
		})
		require.Equal(t, ginsession.ErrSessionExpired, code(t, client(ahead).Get("/me")))
		a.wire.reset()
		require.Len(t, cookies(renewed), 1)
		require.Equal(t, 200, a.with(cookies(renewed)[0]).Get("/me").StatusCode)
		require.Equal(t, "session_renewed", a.events()[len(a.events())-1])
	})
}

// TestInvariant3NoLoginOfAUserShutOutMeanwhile stops a login before each of its
// statements and shuts the user out meanwhile.
func TestInvariant3NoLoginOfAUserShutOutMeanwhile(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		for how, shut := range map[string]func() error{
			"disable":  func() error { return other.Accounts().Disable(t.Context(), a.ada.UserID) },
			"password": func() error { return a.otherPassword(other) },
			"disable and enable": func() error {
				return errors.Join(other.Accounts().Disable(t.Context(), a.ada.UserID), other.Accounts().Enable(t.Context(), a.ada.UserID))
			},
		} {
			for n := 1; n <= 3; n++ { // before the user is read, before BEGIN, before his row is updated
				require.NoError(t, a.heal())
				done := false
				a.wire.breakAt(n, false, func(context.Context) error {
					if !done {
						done = true
						require.NoError(t, shut())
					}
					return nil
				})
				r := a.client().PostJSON("/login", gin.H{"username": "ada", "password": password})
				steps := a.wire.statements()
				a.wire.reset()
				label := fmt.Sprintf("%s before %d of %v", how, n, steps)
				if how != "disable" && n == 1 { // the same password is the right one, and he may sign in again
					require.Equal(t, 200, r.StatusCode, label)
					require.NoError(t, other.Accounts().Disable(t.Context(), a.ada.UserID))
				} else {
					require.Equal(t, ginsession.ErrCredentialsInvalid, code(t, r), label)
					require.Empty(t, r.Header["Set-Cookie"], label)
				}
				require.Zero(t, a.live(), label)
			}
		}
	})
}

func TestInvariant6OneRequestOneInstant(t *testing.T) {
	reads := 0
	inBubble(t, func(t *testing.T, a *app) {
		for _, act := range acts {
			c := act.prepare(a)
			reads = 0
			act.request(c)
			require.Equal(t, 1, reads, "%s read the clock", act.name)
		}
	}, func(c *ginsession.Config) {
		c.Now = func() time.Time {
			reads++
			return time.Now()
		}
	})
}

func TestInvariant6NowBeforeTheLimitMeansAlive(t *testing.T) {
	for name, test := range map[string]struct {
		life      time.Duration
		configure func(*ginsession.Config)
		reason    string
	}{
		"age":      {24 * time.Hour, func(*ginsession.Config) {}, "expired"},
		"absolute": {time.Hour, func(c *ginsession.Config) { c.MaxAge, c.AbsoluteTimeout = time.Hour, time.Hour }, "absolute"},
		"idle":     {10 * time.Minute, func(c *ginsession.Config) { c.IdleTimeout = 10 * time.Minute }, "idle"},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, a *app) {
				c := a.signIn("ada")
				time.Sleep(test.life - time.Millisecond)
				require.Contains(t, c.Get("/session").Text, `"isAuthenticated":true,"isExpired":false,"remainingTime":0,`)
				token := c.Cookie(cookieName)
				time.Sleep(time.Millisecond)
				require.Contains(t, a.with(token).Get("/session").Text, `"isAuthenticated":false,"isExpired":true`)
				require.Equal(t, models.Time(0), a.row().EndedAt, "a status writes nothing")
				for range 3 {
					r := a.with(token).Get("/me")
					require.Equal(t, ginsession.ErrSessionExpired, code(t, r))
					require.Empty(t, r.Header["Set-Cookie"], "a late 401 must not delete a newer cookie")
				}
				require.Equal(t, test.reason, a.row().EndReason)
				require.Equal(t, models.At(time.Now()), a.row().EndedAt)
				require.Equal(t, "session_expired", a.events()[len(a.events())-1])
				require.Len(t, a.events(), 4, "the end is told once")
			}, test.configure)
		})
	}
}

// The cookie, the token and the row name the same instant.
func TestInvariant6OneExpiry(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		time.Sleep(987654321 * time.Nanosecond)
		c := a.client()
		r := c.PostJSON("/login", gin.H{"username": "ada", "password": password, "remember": true})
		cookie, row := r.Cookies()[0], a.row()
		require.Equal(t, claimsOf(t, cookie.Value).Exp, row.ExpiresAt.Time().Unix())
		require.Equal(t, row.ExpiresAt, row.AbsoluteExpiresAt)
		require.Zero(t, int64(row.ExpiresAt)%1000, "whole seconds")
		require.Equal(t, int(time.Until(row.ExpiresAt.Time())/time.Second), cookie.MaxAge)
	})
}

func TestInvariant7OneDoorInOneDoorOut(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.engine.POST("/switch", func(c *gin.Context) {
			_, _ = a.sessions.Renew(c)
			_ = a.sessions.End(c)
			_, ok := ginsession.From(c)
			require.False(t, ok, "ended is ended, in this request too")
			_, ok = ginsession.FromContext(c.Request.Context())
			require.False(t, ok)
			_, err := a.sessions.Open(c, a.bob, false)
			require.NoError(t, err)
			s, ok := ginsession.From(c)
			require.True(t, ok)
			require.Equal(t, a.bob.UserID, s.User.UserID)
		})
		a.engine.GET("/twice", a.sessions.Load, a.sessions.Load, func(c *gin.Context) { c.Status(200) })
		for name, request := range map[string]func(*ginsessiontest.Client) ginsessiontest.Response{
			"login":               login,
			"logout":              post("/logout"),
			"refresh":             post("/session/refresh"),
			"load":                get("/me"),
			"load thrice":         get("/twice"),
			"renew, end and open": post("/switch"),
		} {
			c := a.signIn("ada")
			time.Sleep(DefaultMaxAge - time.Minute) // a refresh is due
			a.wire.reset()
			r := request(c)
			setCookie(t, r) // one
			loads := 0
			calls, _ := a.wire.sent()
			for _, call := range calls {
				if strings.Contains(call, "WHERE s.id = ") {
					loads++
				}
			}
			require.Equal(t, 1, loads, "%s: one load", name)
		}
	})
}

func TestInvariant8DecidedBeforeTheHandler(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := gin.New()
		var before, behind gin.ResponseWriter
		r.Use(func(c *gin.Context) { before = c.Writer }, a.sessions.Load)
		r.GET("/x", ginsession.Require, func(c *gin.Context) {
			behind = c.Writer
			require.Len(t, c.Writer.Header()["Set-Cookie"], 1)
			a.wire.reset()
			c.Status(200)
		})
		c := a.signIn("ada")
		time.Sleep(DefaultMaxAge - time.Minute)
		token := c.Cookie(cookieName)
		c = ginsessiontest.NewClient(r)
		c.Header.Set("Cookie", cookieName+"="+token)
		require.Equal(t, 200, c.Get("/x").StatusCode)
		require.Same(t, before, behind, "the response writer is not wrapped")
		require.Empty(t, a.wire.statements(), "nothing is written once the handler has begun")
	})
}

// On a real server: a handler may stream, and take over the connection, in the
// very request that refreshes the session.
func TestInvariant8StreamsAndHijacks(t *testing.T) {
	var step atomic.Int64
	a := newApp(t, modelstest.SQLite(t), func(c *ginsession.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
	})
	goOn := make(chan bool)
	a.engine.GET("/stream", ginsession.Require, func(c *gin.Context) {
		c.SSEvent("message", "first")
		c.Writer.Flush()
		<-goOn
		c.SSEvent("message", "last")
	})
	a.engine.GET("/hijack", ginsession.Require, func(c *gin.Context) {
		conn, _, err := c.Writer.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello"))
	})
	server := httptest.NewServer(a.engine)
	defer server.Close()

	// Each time the refresh of a session is due.
	request := func(path string) *http.Response {
		token := a.signIn("ada").Cookie(cookieName)
		step.Add(int64(DefaultMaxAge - time.Minute))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", cookieName+"="+token)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "echo")
		response, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		return response
	}
	response := request("/stream")
	require.Len(t, response.Header["Set-Cookie"], 1)
	lines := bufio.NewReader(response.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event:message\n", line, "it arrives while the handler runs")
	goOn <- true
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Contains(t, string(rest), "data:last")
	require.NoError(t, response.Body.Close())

	response = request("/hijack")
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "hello", string(text))
	require.NoError(t, response.Body.Close())
}

func TestInvariant9NoSecretLeaves(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		token := c.Cookie(cookieName)

		t.Run("the capture sees what it looks for", func(t *testing.T) {
			probe := &capture{}
			probe.secret(token)
			_, _ = probe.Write([]byte("a line with " + token))
			fake := &testing.T{}
			probe.check(fake, a.db)
			require.True(t, fake.Failed())
		})
		t.Run("the cookie is taken out of the request", func(t *testing.T) {
			a.engine.GET("/header", func(c *gin.Context) { c.String(200, "%q", c.Request.Header["Cookie"]) })
			for sent, want := range map[string]string{
				cookieName + "=" + token:                        `[]`,
				"a=1; " + cookieName + "=" + token + "; b=2":    `["a=1; b=2"]`,
				"a=1;" + cookieName + "=" + token + ";b=\"2\" ": `["a=1; b=\"2\""]`,
			} {
				c := a.client()
				c.Header.Set("Cookie", sent)
				require.Equal(t, want, c.Get("/header").Text)
			}
		})
		t.Run("a panic is dumped without it", func(t *testing.T) {
			var dump bytes.Buffer
			gin.SetMode(gin.DebugMode)
			defer gin.SetMode(gin.TestMode)
			r := gin.New()
			r.Use(gin.RecoveryWithWriter(&dump), a.sessions.Load)
			r.GET("/boom", ginsession.Require, func(*gin.Context) { panic("boom") })
			c := ginsessiontest.NewClient(r)
			c.Header.Set("Cookie", cookieName+"="+token)
			c.Header.Set("X-Seen", "yes")
			require.Equal(t, 500, c.Get("/boom").StatusCode)
			require.Contains(t, dump.String(), "X-Seen")
			require.NotContains(t, dump.String(), secretOf(t, token))
			require.NotContains(t, dump.String(), token)
		})
		t.Run("printing", func(t *testing.T) {
			cfg := ginsession.Config{Keys: []ginsession.Key{key1}, Audience: "app"}
			s, err := a.session(token)
			require.NoError(t, err)
			var out bytes.Buffer
			user := ginsession.NewUser{Username: "eve", Password: password}
			for _, value := range []any{cfg, &cfg, cfg.Keys, cfg.Keys[0], a.sessions, s, a.ada, user, &user} {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
					fmt.Fprintf(&out, verb, value)
					fmt.Fprintf(&out, verb, []any{value})
				}
				encoded, _ := json.Marshal(value)
				out.Write(encoded)
				slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", value)
				slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", value)
			}
			require.Contains(t, out.String(), "[redacted]")
			require.NotContains(t, out.String(), key1)
			require.NotContains(t, out.String(), fmt.Sprintf("%x", key1))
			require.NotContains(t, out.String(), password)
			require.NotContains(t, out.String(), fmt.Sprintf("%x", password))
			require.NotContains(t, out.String(), secretOf(t, token))
		})
	})
}

// session returns what a handler would see.
func (a *app) session(token string) (s ginsession.Session, err error) {
	err = ginsession.ErrSessionNotFound
	r := gin.New()
	r.GET("/", a.sessions.Load, ginsession.Require, func(c *gin.Context) {
		s, _ = ginsession.From(c)
		err = nil
	})
	c := ginsessiontest.NewClient(r)
	c.Header.Set("Cookie", cookieName+"="+token)
	c.Get("/")
	return s, err
}

// The bubble of every test here ends only when no goroutine is left, so that
// none was started is shown by all of them. This one shows the rest.
func TestInvariant10NoHiddenCosts(t *testing.T) {
	t.Run("a deadline on every query", func(t *testing.T) {
		onEach(t, func(t *testing.T, a *app) {
			calls := 0
			for _, act := range acts {
				c := act.prepare(a)
				a.wire.breakAt(1, false, func(ctx context.Context) error {
					end, ok := ctx.Deadline()
					require.True(t, ok, "%s: no deadline", act.name)
					require.LessOrEqual(t, time.Until(end), ginsession.DefaultStoreTimeout)
					calls++
					return nil
				})
				act.request(c)
				a.wire.reset()
			}
			require.Greater(t, calls, len(acts))
		})
	})
	t.Run("a client who hangs up stops no logout", func(t *testing.T) {
		inBubble(t, func(t *testing.T, a *app) {
			c := a.signIn("ada")
			ctx, cancel := context.WithCancel(t.Context())
			a.wire.breakAt(2, false, func(context.Context) error { // read, then: gone
				cancel()
				return nil
			})
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://app.example.com/logout", nil)
			r.AddCookie(&http.Cookie{Name: cookieName, Value: c.Cookie(cookieName)})
			a.engine.ServeHTTP(httptest.NewRecorder(), r)
			require.NotZero(t, a.row().EndedAt)
		})
	})
	t.Run("no init, no variables, no goroutines but those of Run", func(t *testing.T) {
		for _, folder := range []string{".", "internal/token", "../rbac", "../models"} {
			files, err := filepath.Glob(filepath.Join(folder, "*.go"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, file := range files {
				if !strings.HasSuffix(file, "_test.go") {
					checkSource(t, file)
				}
			}
		}
	})
}

// checkSource fails t if a file has an init, a package variable that is neither an
// error nor an embedded file, or starts a goroutine, which only Run may.
func checkSource(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	tree, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments)
	require.NoError(t, err)
	for _, declaration := range tree.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" {
				t.Errorf("%s has an init", file)
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				if d.Doc != nil && strings.HasPrefix(d.Doc.List[len(d.Doc.List)-1].Text, "//go:embed ") {
					continue
				}
				for _, name := range spec.(*ast.ValueSpec).Names {
					if name.Name != "_" && !strings.HasPrefix(name.Name, "Err") {
						t.Errorf("%s has the variable %s", file, name.Name)
					}
				}
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		_, starts := n.(*ast.GoStmt)
		if call, ok := n.(*ast.SelectorExpr); ok {
			starts = call.Sel.Name == "Go" || call.Sel.Name == "AfterFunc"
		}
		if starts && file != "run.go" {
			t.Errorf("%s starts a goroutine", file)
		}
		return true
	})
}
