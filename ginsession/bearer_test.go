// Bearer tokens: for clients that are no browsers, where the application wants them.

package ginsession_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

func bearerOn(c *ginsession.Config) { c.Bearer = true }

// bearerIn returns the token in the body of an answer that sets no cookie, and has
// log and rows searched for it when the test ends.
func (a *app) bearerIn(r ginsessiontest.Response) string {
	t := a.t.(*testing.T)
	t.Helper()
	require.Equal(t, 200, r.StatusCode, r.Text)
	require.Empty(t, r.Header["Set-Cookie"], "no cookie of any name")
	var body struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(r.Text), &body))
	if body.Token == "" {
		return ""
	}
	parts := strings.Split(body.Token, ".")
	require.Len(t, parts, 3)
	t.Cleanup(func() {
		stored := dump(t, a.db)
		for _, secret := range []string{body.Token, parts[1], parts[2], secretOf(t, body.Token)} {
			require.NotContains(t, a.logs.text(), secret)
			require.NotContains(t, stored, secret)
		}
	})
	return body.Token
}

func (a *app) bearerSignIn(name string) string {
	token := a.bearerIn(a.client().PostJSON("/login", gin.H{"username": name, "password": password, "token": true}))
	require.NotEmpty(a.t, token)
	return token
}

// bearerWith returns a client that sends a token in Authorization.
func (a *app) bearerWith(token string) *ginsessiontest.Client {
	c := a.client()
	c.Header.Set("Authorization", "Bearer "+token)
	return c
}

// bearerHeader adds a route that tells what is left of the header, and who is signed in.
func (a *app) bearerHeader() {
	a.engine.Any("/left", func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.String(http.StatusOK, "%s %q", s.User.Username, c.Request.Header["Authorization"])
	})
}

func TestBearerIsOffByDefault(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		c := a.bearerWith(token)
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, c.Get("/me")))
		left := 0
		a.engine.GET("/still", func(c *gin.Context) { left = len(c.Request.Header["Authorization"]) })
		c.Get("/still")
		require.Equal(t, 1, left)
		r := a.client().PostJSON("/login", gin.H{"username": "ada", "password": password, "token": true})
		require.Equal(t, ginsession.ErrRequestInvalid, code(t, r))
		require.Empty(t, r.Header["Set-Cookie"])
		require.Contains(t, c.Get("/session").Text, `"reason":null`)
		require.Equal(t, 1, a.live())
		c.PostJSON("/logout", nil)
		require.Equal(t, 1, a.live())
	})
}

func TestBearer(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.bearerHeader()
		a.run(a.sessions)
		time.Sleep(settled)
		token := a.bearerSignIn("ada")
		c := a.bearerWith(token)
		for range 2 { // from the row, from memory
			r := c.Get("/me")
			require.Equal(t, "ada", r.Text)
			require.Empty(t, r.Header["Set-Cookie"])
			require.Equal(t, "ada []", c.Get("/left").Text, "read, and removed")
		}
		r := c.Get("/session")
		require.Contains(t, r.Text, `"isAuthenticated":true`)
		require.NotContains(t, r.Text, `"token"`)
		list := devicesList(t, c, "")
		require.Len(t, list, 1)
		require.True(t, list[0].Current)
		require.Equal(t, string(sessionOf(t, token)), list[0].ID)
		require.Equal(t, 204, c.PostJSON("/act", nil).StatusCode)

		r = c.PostJSON("/logout", nil)
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, r.Header["Set-Cookie"])
		devicesOut(t, c, ginsession.ErrSessionNotFound, "logout")
		require.Zero(t, a.live())

		bad := token[:len(token)-4] + "AAAA"
		r = a.bearerWith(bad).Get("/me")
		require.Equal(t, ginsession.ErrTokenInvalid, code(t, r))
		require.Equal(t, " []", a.bearerWith(bad).Get("/left").Text)
		c = a.bearerWith(a.bearerSignIn("bob"))
		id := devicesList(t, c, "")[0].ID
		r = c.Do("DELETE", "/sessions/"+id, "", nil)
		require.Equal(t, `{"ended":1}`, r.Text)
		require.Empty(t, r.Header["Set-Cookie"])
		require.Zero(t, a.live())
	}, bearerOn)
}

// Each refresh that the client asks for gives it another token. The old one is good
// until that has been seen, and a while longer; what is lost is given again.
func TestBearerRefresh(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		old := a.bearerSignIn("ada")
		time.Sleep(time.Hour)
		next := a.bearerIn(a.bearerWith(old).PostJSON("/session/refresh", nil))
		require.NotEmpty(t, next)
		require.NotEqual(t, secretOf(t, old), secretOf(t, next))
		require.Equal(t, sessionOf(t, old), sessionOf(t, next))
		time.Sleep(time.Minute)
		require.Equal(t, 200, a.bearerWith(old).Get("/me").StatusCode)
		again := a.bearerIn(a.bearerWith(old).PostJSON("/session/refresh", nil))
		require.Equal(t, secretOf(t, next), secretOf(t, again), "the answer was lost")
		require.Equal(t, 200, a.bearerWith(next).Get("/me").StatusCode)
		require.Equal(t, 200, a.bearerWith(old).Get("/me").StatusCode)
		require.Empty(t, a.bearerIn(a.bearerWith(next).PostJSON("/session/refresh", nil)), "it has just been made")
		time.Sleep(30 * time.Second)
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.bearerWith(old).Get("/me")))
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, a.bearerWith(next).Get("/me")), "reuse")
	}, bearerOn)
}

// Load never replaces the token of a client who has not asked, because it would not
// look for another.
func TestBearerIsNeverReplacedUnasked(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		token := a.bearerSignIn("bob")
		c := a.bearerWith(token)
		require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.bob.UserID, "admin"))
		hash := a.row().SecretHash
		for _, wait := range []time.Duration{DefaultMaxAge - 20*time.Minute, 20 * time.Minute} {
			r := c.Get("/admin") // with another role, and when a refresh is due
			require.Equal(t, 200, r.StatusCode)
			require.Empty(t, r.Header["Set-Cookie"])
			time.Sleep(wait)
		}
		row := a.row()
		require.Equal(t, hash, row.SecretHash)
		require.Empty(t, row.PreviousHash)
		require.Equal(t, row.CreatedAt, row.RenewedAt)
		require.Equal(t, ginsession.ErrSessionExpired, code(t, c.Get("/admin")))

		c = a.bearerWith(a.bearerSignIn("bob"))
		time.Sleep(DefaultMaxAge - time.Minute)
		require.Equal(t, 200, c.Get("/admin").StatusCode)
		require.Contains(t, c.Get("/session").Text, `"refreshIn":0`)
		next := a.bearerIn(c.PostJSON("/session/refresh", nil))
		time.Sleep(time.Hour)
		require.Equal(t, 200, a.bearerWith(next).Get("/admin").StatusCode)
	}, bearerOn)
}

func TestBearerReauthenticates(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.stepupRoutes()
		old := a.bearerSignIn("ada")
		time.Sleep(time.Hour)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, a.bearerWith(old).Get("/fresh")))
		next := a.bearerIn(stepupProve(a.bearerWith(old)))
		require.NotEmpty(t, next)
		require.Equal(t, 200, a.bearerWith(next).Get("/fresh").StatusCode)
		require.Equal(t, ginsession.ErrReauthRequired, code(t, a.bearerWith(old).Get("/fresh")))
		another := a.bearerIn(stepupProve(a.bearerWith(next)))
		require.NotEqual(t, sessionOf(t, next), sessionOf(t, another), "another session in its place")
		require.Equal(t, 200, a.bearerWith(another).Get("/fresh").StatusCode)
		require.Equal(t, 1, a.live())
	}, bearerOn)
}

// A cookie counts for more than a token, because a browser sends it from wherever
// its user is led: then the origin is checked.
func TestBearerBesideACookie(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.bearerHeader()
		token := a.bearerSignIn("ada")
		alone := a.bearerWith(token)
		alone.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, 204, alone.PostJSON("/act", nil).StatusCode, "no page of another site can send that")
		require.Equal(t, 200, alone.PostJSON("/session/refresh", nil).StatusCode)

		both := a.signIn("bob")
		both.Header.Set("Authorization", "Bearer "+token)
		require.Equal(t, "bob", both.Get("/me").Text)
		require.Equal(t, fmt.Sprintf("bob %q", []string{"Bearer " + token}), both.Get("/left").Text)
		both.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, ginsession.ErrCrossOrigin, code(t, both.PostJSON("/act", nil)))
		require.Equal(t, ginsession.ErrCrossOrigin, code(t, both.PostJSON("/logout", nil)))
		both.Header.Del("Sec-Fetch-Site")
		require.Equal(t, 200, both.PostJSON("/logout", nil).StatusCode)
		require.Equal(t, 1, a.live(), "ada's is another")

		junk := a.with("junk")
		junk.Header.Set("Authorization", "Bearer "+token)
		require.Equal(t, ginsession.ErrTokenInvalid, code(t, junk.Get("/me")))
		for name, header := range map[string]string{"no token": "", "of others": "Bearer abc", "no bearer": "Basic " + token} {
			c := a.client()
			c.Header.Set("Sec-Fetch-Site", "cross-site")
			if header != "" {
				c.Header.Set("Authorization", header)
			}
			require.Equal(t, ginsession.ErrCrossOrigin, code(t, c.PostJSON("/login", gin.H{"username": "ada", "password": password, "token": true})), name)
		}
	}, bearerOn)
}

// What else may stand in the header belongs to others: it is left, and is nobody.
func TestBearerOfOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.bearerHeader()
		token := a.bearerSignIn("ada")
		for _, scheme := range []string{"bearer", "BEARER", "Bearer"} {
			c := a.client()
			c.Header.Set("Authorization", scheme+" "+token)
			require.Equal(t, "ada []", c.Get("/left").Text, scheme)
		}
		for name, lines := range map[string][]string{
			"another token":    {"Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA"},
			"opaque":           {"Bearer 0123456789"},
			"another scheme":   {"Basic " + token},
			"none":             {token},
			"scheme alone":     {"Bearer"},
			"empty":            {""},
			"two spaces":       {"Bearer  " + token},
			"a tab":            {"Bearer\t" + token},
			"two":              {"Bearer " + token, "Bearer " + token},
			"two, one others'": {"Bearer x", "Bearer " + token},
			"another key":      {"Bearer " + forge(t, key2, string(sessionOf(t, token)), secretOf(t, token), time.Now().Add(time.Hour))},
		} {
			c := a.client()
			c.Header["Authorization"] = lines
			require.Equal(t, fmt.Sprintf(" %q", lines), c.Get("/left").Text, name)
			r := c.Get("/me")
			require.Equal(t, ginsession.ErrSessionNotFound, code(t, r), name)
			require.Contains(t, c.Get("/session").Text, `"reason":null`, name)
		}
		require.Equal(t, models.Time(0), a.row().EndedAt)
		require.Equal(t, "ada", a.bearerWith(token).Get("/me").Text)
	}, bearerOn)
}

func TestBearerSignInOverASession(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		old := a.bearerSignIn("ada")
		next := a.bearerIn(a.bearerWith(old).PostJSON("/login", gin.H{"username": "ada", "password": password, "token": true}))
		require.NotEqual(t, sessionOf(t, old), sessionOf(t, next))
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, a.bearerWith(old).Get("/me")))
		require.Equal(t, 200, a.bearerWith(next).Get("/me").StatusCode)
		require.Equal(t, 1, a.live())

		// Whoever wants a cookie gets one, and no token.
		r := a.client().PostJSON("/login", gin.H{"username": "ada", "password": password, "token": false})
		require.NotContains(t, r.Text, `"token"`)
		require.Contains(t, setCookie(t, r), cookieName)
		for _, body := range []string{`"true"`, `1`, `null`} {
			r := a.client().Do("POST", "/login", "application/json", strings.NewReader(`{"username":"ada","password":"`+password+`","token":`+body+`}`))
			require.Equal(t, ginsession.ErrRequestInvalid, code(t, r), body)
		}
	}, bearerOn)
}

func TestBearerWithStorageFaults(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		token := a.bearerSignIn("ada")
		time.Sleep(time.Hour)
		for n, broken := 1, true; broken; n++ {
			a.wire.breakAt(n, false, fails)
			r := a.bearerWith(token).PostJSON("/session/refresh", nil)
			broken = len(a.wire.statements()) >= n
			a.wire.reset()
			if broken {
				require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), "at %d", n)
				require.NotContains(t, r.Text, `"token"`)
				require.Equal(t, 200, a.bearerWith(token).Get("/me").StatusCode, "at %d", n)
				continue
			}
			require.Greater(t, n, 3)
			require.NotEmpty(t, a.bearerIn(r))
		}
	}, bearerOn)
}

// A token that takes the place of a cookie takes it away: it would come first.
func TestATokenInPlaceOfACookie(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("bob")
		var st ginsession.Status
		require.NoError(t, json.Unmarshal([]byte(c.PostJSON("/login", gin.H{"username": "ada", "password": password, "token": true}).Text), &st))
		require.Empty(t, c.Cookie(cookieName))
		c.Header.Set("Authorization", "Bearer "+st.Token)
		require.Equal(t, "ada", c.Get("/me").Text)
		require.Equal(t, 1, a.live())
	}, func(c *ginsession.Config) { c.Bearer = true })
}
