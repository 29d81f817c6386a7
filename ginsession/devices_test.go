// Devices: what a user, an admin and a job see of sessions, and how they end them.

package ginsession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/rbac"
)

// devicesItem is one of the list.
type devicesItem struct {
	ID           string
	Current      bool
	LastAccessed time.Time
}

func devicesList(t testing.TB, c *ginsessiontest.Client, query string) []devicesItem {
	t.Helper()
	r := c.Get("/sessions" + query)
	require.Equal(t, 200, r.StatusCode, r.Text)
	var body struct{ Sessions []devicesItem }
	require.NoError(t, json.Unmarshal([]byte(r.Text), &body), r.Text)
	require.NotNil(t, body.Sessions)
	return body.Sessions
}

// devicesID returns the public id of the session in a browser.
func devicesID(t *testing.T, c *ginsessiontest.Client) string {
	return string(sessionOf(t, c.Cookie(cookieName)))
}

// devicesOut asserts that the session in a browser is over, and what its client is
// told of why, by the guard and by the status.
func devicesOut(t testing.TB, c *ginsessiontest.Client, want ginsession.Code, why ginsession.Reason) {
	t.Helper()
	var body struct {
		Error     struct{ EndReason ginsession.Reason }
		EndReason ginsession.Reason
	}
	r := c.Get("/session")
	require.Equal(t, 200, r.StatusCode)
	require.Contains(t, r.Text, fmt.Sprintf(`"reason":%q`, want))
	require.NoError(t, json.Unmarshal([]byte(r.Text), &body))
	require.Equal(t, why, body.EndReason, r.Text)
	r = c.Get("/me")
	require.Equal(t, want, code(t, r), r.Text)
	require.NoError(t, json.Unmarshal([]byte(r.Text), &body))
	require.Equal(t, why, body.Error.EndReason, r.Text)
}

// devicesMany adds live sessions of a user that are copies of a row, each used a
// second before the last but for every fourth, which was used at the same instant.
func (a *app) devicesMany(row models.Session, n int) (ids []models.Exact) {
	a.t.Helper()
	rows := make([]models.Session, n)
	for i := range rows {
		rows[i] = row
		rows[i].ID = models.Exact(fmt.Sprintf("%026d", (i*7919)%100_003))
		rows[i].LastAccessed -= models.Time(1000 * (i - i/4))
		rows[i].CreatedAt -= models.Time(i)
		rows[i].SecretHash = []byte(fmt.Sprintf("%032d", i))
		ids = append(ids, rows[i].ID)
	}
	require.NoError(a.t, a.db.CreateInBatches(&rows, 200).Error)
	return ids
}

// C16: the list shows when each session began and was last used, where and by what,
// and an id that opens nothing.
func TestListAnswer(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.client()
		c.Header.Set("User-Agent", "Browser/1.0")
		c.PostJSON("/login", gin.H{"username": "ada", "password": password})
		time.Sleep(90 * time.Second)
		r := c.Get("/sessions")
		require.Equal(t, 200, r.StatusCode)
		require.Equal(t, `{"sessions":[{"id":"SESSION","createdAt":"2000-01-01T00:00:00Z","lastAccessed":"2000-01-01T00:01:30Z",`+
			`"authenticatedAt":"2000-01-01T00:00:00Z","expiresAt":"2000-01-02T00:00:00Z","absoluteExpiresAt":"2000-01-31T00:00:00Z",`+
			`"userAgent":"Browser/1.0","ipAddress":"192.0.2.1","current":true}]}`, golden(a, r.Text))
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		require.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
	})
}

func TestListShowsOwnLiveSessionsByLastUse(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		a.signIn("bob")
		ended := a.signIn("ada")
		require.Equal(t, 200, ended.PostJSON("/logout", nil).StatusCode)
		ranOut := a.signIn("ada")
		require.NoError(t, a.db.Model(&models.Session{}).Where("id = ?", sessionOf(t, ranOut.Cookie(cookieName))).
			Update("expires_at", models.At(time.Now())).Error)
		var clients []*ginsessiontest.Client
		for range 4 {
			clients = append(clients, a.signIn("ada"))
			time.Sleep(5 * time.Second)
		}
		before := a.rows()
		require.Equal(t, 200, clients[1].Get("/me").StatusCode)
		require.Equal(t, before, a.rows(), "the access waits in memory, or this test does not show it")
		used := time.Now()
		time.Sleep(5 * time.Second)

		list := devicesList(t, clients[2], "")
		var got []string
		for _, item := range list {
			got = append(got, item.ID)
			require.Equal(t, item.ID == devicesID(t, clients[2]), item.Current)
		}
		want := []string{devicesID(t, clients[2]), devicesID(t, clients[1]), devicesID(t, clients[3]), devicesID(t, clients[0])}
		require.Equal(t, want, got)
		require.True(t, used.Equal(list[1].LastAccessed))

		require.Empty(t, devicesList(t, clients[2], "?after="+got[3]))
	})
}

func TestListPages(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		want := append(a.devicesMany(a.row(), 250), sessionOf(t, c.Cookie(cookieName)))
		var got []models.Exact
		var sizes []int
		for after := ""; ; {
			page := devicesList(t, c, after)
			sizes = append(sizes, len(page))
			if len(page) == 0 {
				break
			}
			for _, item := range page {
				got = append(got, models.Exact(item.ID))
			}
			after = "?after=" + page[len(page)-1].ID
		}
		require.Equal(t, []int{100, 100, 51, 0}, sizes)
		require.ElementsMatch(t, want, got)

		bob := a.signIn("bob")
		for _, after := range []string{devicesID(t, bob), "rubbish", "%00", strings.Repeat("x", 300), "%ff"} {
			r := c.Get("/sessions?after=" + after)
			require.Equal(t, ginsession.ErrNoSuchSession, code(t, r), after)
			require.Equal(t, 404, r.StatusCode)
		}
	})
}

// C16, C61, A73: what is ended is out at the next request, and what is not the user's
// he can neither end nor tell from what is not there.
func TestRevokeEndsAnotherOwnSession(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.engine.POST("/sessions/:id/end", a.sessions.Revoke)
		a.run(a.sessions)
		time.Sleep(settled)
		own, other, third, stays, bob := a.signIn("ada"), a.signIn("ada"), a.signIn("ada"), a.signIn("ada"), a.signIn("bob")
		for _, c := range []*ginsessiontest.Client{own, other, third, stays, bob} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		ended := a.signIn("ada")
		ended.PostJSON("/logout", nil)
		endedID := ""
		for _, row := range a.rows() {
			if row.EndedAt != 0 {
				endedID = string(row.ID)
			}
		}

		r := own.Do("DELETE", "/sessions/"+devicesID(t, other), "", nil)
		require.Equal(t, 200, r.StatusCode, r.Text)
		require.Equal(t, `{"ended":1}`, r.Text)
		require.Empty(t, r.Header["Set-Cookie"])
		devicesOut(t, other, ginsession.ErrSessionNotFound, "revoked")

		r = own.PostForm("/sessions/"+devicesID(t, third)+"/end", url.Values{"next": {"/devices"}})
		require.Equal(t, 303, r.StatusCode, r.Text)
		require.Equal(t, "/devices", r.Header.Get("Location"))
		devicesOut(t, third, ginsession.ErrSessionNotFound, "revoked")
		r = own.PostForm("/sessions/"+devicesID(t, third)+"/end", url.Values{"next": {"https://evil.example"}})
		require.Equal(t, ginsession.ErrNoSuchSession, code(t, r), "ended before")

		for name, id := range map[string]string{
			"another user's": devicesID(t, bob), "ended": endedID, "rubbish": "rubbish", "NUL": "%00", "NUL in it": devicesID(t, stays) + "%00",
			"long": strings.Repeat("x", 300), "no UTF-8": "%ff", "another case": strings.ToLower(devicesID(t, stays)), "space": devicesID(t, stays) + "%20",
		} {
			for _, r := range []ginsessiontest.Response{own.Do("DELETE", "/sessions/"+id, "", nil), own.PostJSON("/sessions/"+id+"/end", nil)} {
				require.Equal(t, ginsession.ErrNoSuchSession, code(t, r), name)
				require.Equal(t, 404, r.StatusCode)
			}
		}
		for _, c := range []*ginsessiontest.Client{own, stays, bob} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}

		token := own.Cookie(cookieName)
		r = own.PostJSON("/sessions/"+devicesID(t, own)+"/end", nil)
		require.Equal(t, `{"ended":1}`, r.Text)
		require.Contains(t, setCookie(t, r), "Max-Age=0")
		devicesOut(t, a.with(token), ginsession.ErrSessionNotFound, "logout")
		require.Equal(t, 200, stays.Get("/me").StatusCode)
	})
}

func TestRevokeOthers(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.engine.POST("/sessions/others", a.sessions.RevokeOthers)
		a.run(a.sessions)
		time.Sleep(settled)
		own, second, third, bob := a.signIn("ada"), a.signIn("ada"), a.signIn("ada"), a.signIn("bob")
		for _, c := range []*ginsessiontest.Client{own, second, third, bob} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		r := own.Do("DELETE", "/sessions", "", nil)
		require.Equal(t, `{"ended":2}`, r.Text)
		require.Empty(t, r.Header["Set-Cookie"])
		devicesOut(t, second, ginsession.ErrSessionNotFound, "revoked")
		devicesOut(t, third, ginsession.ErrSessionNotFound, "revoked")
		require.Equal(t, 200, own.Get("/me").StatusCode)
		require.Equal(t, 200, bob.Get("/me").StatusCode)
		require.Equal(t, `{"ended":0}`, own.PostJSON("/sessions/others", nil).Text)
		a.signIn("ada")
		require.Equal(t, "/", own.PostForm("/sessions/others", nil).Header.Get("Location"))
		require.Equal(t, 2, a.live())
	})
}

// What every handler of devices refuses, and that it has ended nothing then.
func TestHandlersOfDevicesRefuse(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		own, other := a.signIn("ada"), a.signIn("ada")
		id := devicesID(t, other)
		r := gin.New()
		r.Use(a.sessions.Load)
		r.Any("/list", a.sessions.List)
		r.Any("/revoke/:id", a.sessions.Revoke)
		r.Any("/others", a.sessions.RevokeOthers)
		signedIn := a.holding(r, own.Cookie(cookieName))
		for path, allow := range map[string]string{"/list": "GET", "/revoke/" + id: "DELETE, POST", "/others": "DELETE, POST"} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				if !slices.Contains(strings.Split(allow, ", "), method) {
					answer := signedIn.Do(method, path, "", nil)
					require.Equal(t, 405, answer.StatusCode, method+path)
					require.Equal(t, allow, answer.Header.Get("Allow"))
					continue
				}
				answer := ginsessiontest.NewClient(r).Do(method, path, "", nil)
				require.Equal(t, ginsession.ErrSessionNotFound, code(t, answer), method+path)
				if method == "GET" {
					continue
				}
				signedIn.Header.Set("Sec-Fetch-Site", "cross-site")
				require.Equal(t, ginsession.ErrCrossOrigin, code(t, signedIn.Do(method, path, "", nil)), method+path)
				require.Equal(t, ginsession.ErrCrossOrigin, code(t, signedIn.PostForm(path, nil)), method+path)
				signedIn.Header.Del("Sec-Fetch-Site")
			}
		}
		require.Equal(t, 2, a.live())
	})
}

func TestHandlersOfDevicesWithStorageFaults(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		own, other := a.signIn("ada"), a.signIn("ada")
		token := own.Cookie(cookieName)
		for name, request := range map[string]func() ginsessiontest.Response{
			"list": func() ginsessiontest.Response { return a.with(token).Get("/sessions") },
			"page": func() ginsessiontest.Response { return a.with(token).Get("/sessions?after=" + devicesID(t, other)) },
			"revoke": func() ginsessiontest.Response {
				return a.with(token).Do("DELETE", "/sessions/"+devicesID(t, other), "", nil)
			},
			"others": func() ginsessiontest.Response { return a.with(token).Do("DELETE", "/sessions", "", nil) },
		} {
			for n, broken := 1, true; broken; n++ { // at each statement that there is
				for _, fault := range []func(context.Context) error{fails, hangs} {
					a.wire.breakAt(n, false, fault)
					r := request()
					broken = len(a.wire.statements()) >= n
					a.wire.reset()
					if !broken {
						require.Equal(t, 200, r.StatusCode, "%s: %s", name, r.Text)
						require.Greater(t, n, 2)
						other = a.signIn("ada")
						break
					}
					require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), "%s at %d", name, n)
					require.NotEmpty(t, r.Header.Get("Retry-After"))
					require.Empty(t, r.Header["Set-Cookie"])
					require.Equal(t, 200, own.Get("/me").StatusCode)
					require.Equal(t, 200, other.Get("/me").StatusCode, "%s at %d has ended a session", name, n)
				}
			}
		}
	})
}

// The one who revokes his own session is signed out as by a logout: at once here,
// whatever the database says.
func TestRevokeOfTheOwnSessionWithAStorageFault(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		c := a.with(token)
		a.wire.breakAt(2, false, fails)
		r := c.Do("DELETE", "/sessions/"+devicesID(t, c), "", nil)
		a.wire.reset()
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r))
		require.Contains(t, setCookie(t, r), "Max-Age=0")
		a.requireStatus(401, token)
		other := a.signIn("ada")
		require.Len(t, devicesList(t, other, ""), 1, "nor is it listed")
	})
}

// C61: nobody learns from a token that he could not use why its session has ended.
func TestOnlyTheHolderOfTheSecretIsToldWhy(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		token := c.Cookie(cookieName)
		id := string(sessionOf(t, token))
		require.NoError(t, a.sessions.RevokeSession(t.Context(), id, "support call 4711"))
		devicesOut(t, c, ginsession.ErrSessionNotFound, "support call 4711")
		for name, raw := range map[string]string{
			"a wrong secret": forge(t, key1, id, strings.Repeat("A", 43), time.Now().Add(time.Hour)),
			"a wrong key":    forge(t, key2, id, secretOf(t, token), time.Now().Add(time.Hour)),
			"a wrong MAC":    token[:len(token)-4] + "AAAA",
		} {
			for _, path := range []string{"/me", "/session"} {
				text := a.with(raw).Get(path).Text
				require.NotContains(t, text, "endReason", name)
				require.NotContains(t, text, "4711", name)
			}
		}
	})
}

func TestSessionsPages(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		a.signIn("bob")
		var own models.Session
		require.NoError(t, a.db.Where("id = ?", sessionOf(t, c.Cookie(cookieName))).First(&own).Error)
		want := append(a.devicesMany(own, 249), own.ID)
		require.NoError(t, a.db.Model(&models.Session{}).Where("id IN ?", want[:100]).
			Updates(map[string]any{"ended_at": models.At(time.Now()), "end_reason": "logout"}).Error)
		for _, ended := range []bool{false, true} {
			for _, size := range []int{0, 1, 7, 249, 250, 1000} {
				if size == 1 && a.d.Kind != "sqlite" {
					continue // 250 queries
				}
				var got []models.Exact
				var last time.Time
				for after := ""; ; {
					page, err := a.sessions.Sessions(t.Context(), a.ada.UserID, ginsession.Page{Size: size, After: after, Ended: ended})
					require.NoError(t, err)
					if len(page) == 0 {
						break
					}
					if size != 0 {
						require.LessOrEqual(t, len(page), size)
					}
					for _, s := range page {
						require.True(t, last.IsZero() || !s.LastAccessed.After(last), "those used last come first")
						last = s.LastAccessed
						got = append(got, models.Exact(s.ID))
						require.Equal(t, ginsession.Identity{UserID: a.ada.UserID}, s.User)
					}
					after = page[len(page)-1].ID
				}
				if ended {
					require.ElementsMatch(t, want, got, "size %d", size)
				} else {
					require.ElementsMatch(t, want[100:], got, "size %d", size)
				}
			}
		}
		first, err := a.sessions.Sessions(t.Context(), a.ada.UserID)
		require.NoError(t, err)
		require.Len(t, first, 100)

		for name, page := range map[string]ginsession.Page{"negative": {Size: -1}, "too large": {Size: 1001}} {
			_, err := a.sessions.Sessions(t.Context(), a.ada.UserID, page)
			require.ErrorIs(t, err, ginsession.ErrRequestInvalid, name)
		}
		for _, after := range []string{"rubbish", "\x00", "\xff", strings.Repeat("x", 300)} {
			_, err := a.sessions.Sessions(t.Context(), a.ada.UserID, ginsession.Page{After: after})
			require.ErrorIs(t, err, ginsession.ErrNoSuchSession)
		}
		_, err = a.sessions.Sessions(t.Context(), a.bob.UserID, ginsession.Page{After: string(own.ID)})
		require.ErrorIs(t, err, ginsession.ErrNoSuchSession, "another user's")
		for _, user := range []string{"", "nobody", "\x00", "\xff", strings.Repeat("x", 300)} {
			list, err := a.sessions.Sessions(t.Context(), user)
			require.NoError(t, err)
			require.Equal(t, []ginsession.Session{}, list)
		}
		a.wire.breakAt(1, false, fails)
		_, err = a.sessions.Sessions(t.Context(), a.ada.UserID)
		require.ErrorIs(t, err, ginsession.ErrStoreUnavailable)
	})
}

// Nothing is left out or endless where accesses wait in memory while pages are read.
func TestSessionsPagesWithAccessesThatWait(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		var clients []*ginsessiontest.Client
		want := map[string]bool{}
		for range 15 {
			clients = append(clients, a.signIn("ada"))
			want[devicesID(t, clients[len(clients)-1])] = true
			time.Sleep(time.Second)
		}
		for i := 0; i < 15; i += 2 {
			require.Equal(t, 200, clients[i].Get("/me").StatusCode)
			time.Sleep(time.Second)
		}
		for size := 1; size < 17; size++ {
			got := map[string]bool{}
			for after, n := "", 0; ; n++ {
				require.Less(t, n, 30, "no end")
				page, err := a.sessions.Sessions(t.Context(), a.ada.UserID, ginsession.Page{Size: size, After: after})
				require.NoError(t, err)
				if len(page) == 0 {
					break
				}
				for i, s := range page {
					got[s.ID] = true
					require.True(t, i == 0 || !s.LastAccessed.After(page[i-1].LastAccessed), "those used last come first")
				}
				after = page[len(page)-1].ID
			}
			require.Equal(t, want, got, "size %d", size)
		}
	})
}

// How each session ended, when, and who did it if that was another user.
func TestSessionsThatHaveEnded(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.devicesAdmin()
		admin := a.signIn("ada")
		clara := a.user("clara", "viewer")
		idle, idleEngine := a.node(a.db, func(c *ginsession.Config) { c.IdleTimeout = time.Hour })
		_, limitEngine := a.node(a.db, func(c *ginsession.Config) { c.MaxSessions = 1 })
		remembered := func() *ginsessiontest.Client {
			c := a.client()
			require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": "clara", "password": password, "remember": true}).StatusCode)
			return c
		}
		plain := func() *ginsessiontest.Client { return a.signIn("clara") }
		for _, test := range []struct {
			reason ginsession.Reason
			by     string
			open   func() *ginsessiontest.Client
			end    func(c *ginsessiontest.Client)
		}{
			{"logout", "", plain, func(c *ginsessiontest.Client) { c.PostJSON("/logout", nil) }},
			{"revoked", "", plain, func(c *ginsessiontest.Client) {
				require.Equal(t, 200, a.signIn("clara").Do("DELETE", "/sessions/"+devicesID(t, c), "", nil).StatusCode)
			}},
			{"revoked", "", plain, func(*ginsessiontest.Client) { a.signIn("clara").Do("DELETE", "/sessions", "", nil) }},
			{"expired", "", plain, func(c *ginsessiontest.Client) { time.Sleep(DefaultMaxAge); c.Get("/me") }},
			{"idle", "", plain, func(c *ginsessiontest.Client) {
				time.Sleep(time.Hour)
				a.holding(idleEngine, c.Cookie(cookieName)).Get("/me")
			}},
			{"absolute", "", remembered, func(c *ginsessiontest.Client) {
				token := c.Cookie(cookieName) // which the browser forgets
				time.Sleep(ginsession.DefaultAbsoluteTimeout)
				a.with(token).Get("/me")
			}},
			{"limit", "", plain, func(*ginsessiontest.Client) {
				require.Equal(t, 200, ginsessiontest.NewClient(limitEngine).PostJSON("/login", gin.H{"username": "clara", "password": password}).StatusCode)
			}},
			{"password", "", plain, func(*ginsessiontest.Client) {
				require.NoError(t, a.sessions.Accounts().SetPassword(t.Context(), clara.UserID, password))
			}},
			{"disabled", "", plain, func(*ginsessiontest.Client) {
				require.NoError(t, a.sessions.Accounts().Disable(t.Context(), clara.UserID))
				require.NoError(t, a.sessions.Accounts().Enable(t.Context(), clara.UserID))
			}},
			{"reuse", "", plain, func(c *ginsessiontest.Client) {
				old := c.Cookie(cookieName)
				time.Sleep(time.Minute)
				c.PostJSON("/session/refresh", nil)
				c.Get("/me")
				time.Sleep(time.Minute)
				a.requireStatus(401, old)
			}},
			{"admin", a.ada.UserID, plain, func(c *ginsessiontest.Client) { admin.PostJSON("/admin/end/user/"+clara.UserID, nil) }},
			{"admin", a.ada.UserID, plain, func(c *ginsessiontest.Client) { admin.PostJSON("/admin/end/session/"+devicesID(t, c), nil) }},
			{"support", a.ada.UserID, plain, func(c *ginsessiontest.Client) {
				admin.PostJSON("/admin/end/session/"+devicesID(t, c)+"?reason=support", nil)
			}},
			{"admin", a.ada.UserID, plain, func(c *ginsessiontest.Client) { admin.PostJSON("/admin/end/all", nil) }},
		} {
			if admin.Get("/me").StatusCode != 200 {
				admin = a.signIn("ada")
			}
			c := test.open()
			id := devicesID(t, c)
			test.end(c)
			ended := time.Now()
			list, err := idle.Sessions(t.Context(), clara.UserID, ginsession.Page{Ended: true, Size: 1000})
			require.NoError(t, err)
			at := slices.IndexFunc(list, func(s ginsession.Session) bool { return s.ID == id })
			require.GreaterOrEqual(t, at, 0, test.reason)
			require.Equal(t, test.reason, list[at].EndReason)
			require.Equal(t, test.by, list[at].EndedBy, test.reason)
			require.True(t, ended.Equal(list[at].EndedAt), "%s: %v %v", test.reason, ended, list[at].EndedAt)
			left, err := a.sessions.Sessions(t.Context(), clara.UserID)
			require.NoError(t, err)
			for _, s := range left {
				require.NotEqual(t, id, s.ID, test.reason)
				require.Zero(t, s.EndedAt)
			}
		}
	})
}

// devicesAdmin adds what an admin page would have.
func (a *app) devicesAdmin() {
	admin := a.engine.Group("/admin/end", rbac.RequireRole("admin"))
	answer := func(c *gin.Context, n int, err error) {
		if err != nil {
			ginsession.Refuse(c, err)
			return
		}
		c.String(http.StatusOK, "%d", n)
	}
	admin.POST("/user/:id", func(c *gin.Context) {
		n, err := a.sessions.RevokeUser(c, c.Param("id"))
		answer(c, n, err)
	})
	admin.POST("/session/:id", func(c *gin.Context) {
		answer(c, 1, a.sessions.RevokeSession(c.Request.Context(), c.Param("id"), ginsession.Reason(c.Query("reason"))))
	})
	admin.POST("/all", func(c *gin.Context) {
		n, err := a.sessions.RevokeAll(c)
		answer(c, n, err)
	})
}

// C14, A73: an admin ends the sessions of one user, or of all. The audit row names him.
func TestAdminEndsSessions(t *testing.T) {
	var h heard
	onEach(t, func(t *testing.T, a *app) {
		a.devicesAdmin()
		a.run(a.sessions)
		time.Sleep(settled)
		admin := a.signIn("ada")
		require.Equal(t, 200, admin.Get("/admin").StatusCode)
		for _, test := range []struct {
			path string // with the user or the session in it
			n    string
		}{{"user", "2"}, {"session", "1"}, {"all", "3"}} {
			first, second := a.signIn("bob"), a.signIn("bob")
			require.Equal(t, 200, first.Get("/me").StatusCode)
			require.Equal(t, 200, second.Get("/me").StatusCode)
			path, session, user := "/admin/end/"+test.path, "", a.bob.UserID
			switch test.path {
			case "user":
				path += "/" + user
			case "session":
				session = devicesID(t, first)
				path += "/" + session
			default:
				user = ""
				a.sessions.RevokeUser(t.Context(), a.bob.UserID, devicesID(t, first), devicesID(t, second))
			}
			h.take()
			r := admin.PostJSON(path, nil)
			require.Equal(t, 200, r.StatusCode, r.Text)
			require.Equal(t, test.n, r.Text)
			var stored models.Event
			require.NoError(t, a.db.Order("id DESC").First(&stored).Error)
			for _, e := range append(h.take(), stored) {
				require.Equal(t, "authn_token_revoked", e.Name)
				require.Equal(t, models.Exact(a.ada.UserID), e.Actor)
				require.Equal(t, "admin", e.Reason)
				require.Equal(t, models.Exact(user), e.UserID)
				require.Equal(t, models.Exact(session), e.SessionID)
				require.Equal(t, "192.0.2.1", e.IPAddress)
			}
			devicesOut(t, first, ginsession.ErrSessionNotFound, "admin")
			if test.path != "session" {
				devicesOut(t, second, ginsession.ErrSessionNotFound, "admin")
			} else {
				require.Equal(t, 200, second.Get("/me").StatusCode)
			}
		}
		devicesOut(t, admin, ginsession.ErrSessionNotFound, "admin")
	}, h.listen)
}

// C14, A73: at once here, within a second there; whoever signs in afterwards is in.
func TestRevokeAll(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		there, thereEngine := a.otherProcess()
		a.run(a.sessions)
		a.run(there)
		time.Sleep(settled)
		ada, bob := a.signIn("ada"), a.signIn("bob")
		row := a.rows()[0]
		a.devicesMany(row, 1198)
		bobThere := a.holding(thereEngine, bob.Cookie(cookieName))
		for _, c := range []*ginsessiontest.Client{ada, bob, bobThere} {
			require.Equal(t, 200, c.Get("/me").StatusCode)
		}
		n, err := a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1200, n)
		require.Zero(t, a.live())
		devicesOut(t, ada, ginsession.ErrSessionNotFound, "revoked")
		devicesOut(t, bob, ginsession.ErrSessionNotFound, "revoked")
		require.Equal(t, 200, bobThere.Get("/me").StatusCode, "memory answers there, or this test shows nothing")
		time.Sleep(ginsession.DefaultSyncEvery)
		devicesOut(t, bobThere, ginsession.ErrSessionNotFound, "revoked")

		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		require.Equal(t, 200, a.holding(thereEngine, c.Cookie(cookieName)).Get("/me").StatusCode)
		n, err = a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		n, err = a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// Sessions that end by themselves while a batch is ended do not make it the last.
func TestRevokeAllBesideLogouts(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		ids := a.devicesMany(a.row(), 1199)
		var gone []models.Exact
		for i, id := range ids {
			if i%2 == 0 {
				gone = append(gone, id)
			}
		}
		a.wire.onRead("created_at <=", func() {
			require.NoError(t, a.aside().Model(&models.Session{}).Where("id IN ?", gone).
				Updates(map[string]any{"ended_at": models.At(time.Now()), "end_reason": "logout"}).Error)
		})
		n, err := a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		require.Zero(t, a.live())
		require.Equal(t, 600, n)
		devicesOut(t, c, ginsession.ErrSessionNotFound, "revoked")
	})
}

func TestRevokeAllStopsAtAFault(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		a.devicesMany(a.row(), 600)
		a.wire.breakAt(1, false, fails)
		n, err := a.sessions.RevokeAll(t.Context())
		require.ErrorIs(t, err, ginsession.ErrStoreUnavailable)
		a.wire.reset()
		require.Zero(t, n)
		require.Equal(t, 601, a.live())

		a.wire.breakAt(6, false, fails) // the first batch is read and ended in five
		n, err = a.sessions.RevokeAll(t.Context())
		a.wire.reset()
		require.ErrorIs(t, err, ginsession.ErrStoreUnavailable)
		require.Equal(t, 500, n)
		require.Equal(t, 101, a.live())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = a.sessions.RevokeAll(ctx)
		require.ErrorIs(t, err, context.Canceled)
		n, err = a.sessions.RevokeAll(t.Context())
		require.NoError(t, err)
		require.Equal(t, 101, n)
		a.requireStatus(401, c.Cookie(cookieName))
	})
}

// What has run out, and nobody has come with it since, is told as what it is.
func TestSessionsThatRanOutUnseen(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.signIn("bob")
		time.Sleep(48 * time.Hour)
		list, err := a.sessions.Sessions(t.Context(), a.bob.UserID, ginsession.Page{Ended: true})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, ginsession.ReasonExpired, list[0].EndReason)
		require.Equal(t, list[0].ExpiresAt, list[0].EndedAt)
	})
}
