// The edge in odd company: several managers, engines within engines,
// middlewares that ask first, handlers that are wrapped.

package ginsession_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// holding returns a browser of another engine that holds a token.
func (a *app) holding(engine http.Handler, token string) *ginsessiontest.Client {
	c := ginsessiontest.NewClient(engine)
	c.Jar = a.with(token).Jar
	return c
}

func TestTwoManagersOnOneEngine(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		staff, _ := a.node(a.db, func(c *ginsession.Config) { c.CookieName, c.Audience = "staff", "staff" })
		who := func(c *gin.Context) {
			s, ok := ginsession.From(c)
			c.String(200, "%v %s", ok, s.User.Username)
		}
		r := gin.New()
		r.Use(a.sessions.Load, staff.Load)
		a.sessions.Routes(r.Group("/users"))
		staff.Routes(r.Group("/staff"))
		r.GET("/who", who)
		r.GET("/users/who", a.sessions.Load, who)

		c := ginsessiontest.NewClient(r)
		c.PostJSON("/users/login", gin.H{"username": "bob", "password": password})
		c.PostJSON("/staff/login", gin.H{"username": "ada", "password": password})
		require.Equal(t, "true ada", c.Get("/who").Text, "the last to load counts")
		require.Equal(t, "true bob", c.Get("/users/who").Text)
		require.Contains(t, c.Get("/users/session").Text, `"username":"bob"`)
		require.Contains(t, c.Get("/staff/session").Text, `"username":"ada"`)

		bob := c.Cookie(cookieName)
		require.Equal(t, 200, c.Do("POST", "/users/logout", "", nil).StatusCode)
		require.Equal(t, 401, a.with(bob).Get("/me").StatusCode, "logout has ended the session")
		require.Contains(t, c.Get("/staff/session").Text, `"username":"ada"`, "and the other's lives")
	})
}

func TestEnginesWithinEngines(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		inner := gin.New()
		inner.Use(a.sessions.Load)
		inner.GET("/inner/me", ginsession.Require, func(c *gin.Context) { c.Status(204) })
		a.sessions.Routes(inner.Group("/inner"))
		outer := gin.New()
		outer.Use(a.sessions.Load)
		outer.Any("/inner/*any", gin.WrapH(inner))
		outer.GET("/again", func(c *gin.Context) {
			c.Request.URL.Path = "/me"
			outer.HandleContext(c)
		})
		outer.GET("/me", ginsession.Require, func(c *gin.Context) { c.Status(204) })

		token := a.signIn("ada").Cookie(cookieName)
		a.wire.reset()
		require.Equal(t, 204, a.holding(outer, token).Get("/inner/me").StatusCode)
		require.Equal(t, []string{"SELECT"}, a.wire.statements(), "one load")
		require.Equal(t, 204, a.holding(outer, token).Get("/again").StatusCode)
		require.Equal(t, 401, ginsessiontest.NewClient(outer).Get("/inner/me").StatusCode)
		require.Equal(t, 401, ginsessiontest.NewClient(outer).Get("/again").StatusCode)

		require.Equal(t, 200, a.holding(outer, token).Do("POST", "/inner/logout", "", nil).StatusCode)
		require.Equal(t, 401, a.with(token).Get("/me").StatusCode)
	})
}

// A middleware before Load may ask for the session: Load does its work all the
// same.
func TestVerbsBeforeLoad(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := gin.New()
		r.Use(func(c *gin.Context) { _, _ = a.sessions.Check(c) }, a.sessions.Load)
		r.POST("/act", ginsession.Require, func(c *gin.Context) { c.Status(204) })
		r.GET("/open", func(c *gin.Context) { c.Status(204) })

		token := a.signIn("ada").Cookie(cookieName)
		c := a.holding(r, token)
		c.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, ginsession.ErrCrossOrigin, code(t, c.Do("POST", "/act", "", nil)))

		time.Sleep(23*time.Hour + 40*time.Minute)
		a.wire.reset()
		require.Len(t, a.holding(r, token).Get("/open").Header["Set-Cookie"], 1)
		require.Equal(t, []string{"SELECT", "BEGIN", "UPDATE sessions", "INSERT INTO session_events", "COMMIT"}, a.wire.statements())
		a.wire.breakAt(1, false, fails)
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, a.holding(r, token).Get("/open")))
	})
}

func TestCrossOriginIsRefusedBeforeAnyHandlerOfTheRoute(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		reached := false
		r := gin.New()
		r.POST("/login", a.sessions.Load, func(*gin.Context) { reached = true }, a.sessions.Login)
		c := ginsessiontest.NewClient(r)
		c.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, ginsession.ErrCrossOrigin, code(t, c.PostJSON("/login", gin.H{})))
		require.False(t, reached)
	})
}

// What the documentation of Status says: wrapped, it is taken for activity; a
// route without Load that calls Check is none.
func TestStatusThatIsWrapped(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := gin.New()
		loaded := r.Group("", a.sessions.Load)
		loaded.GET("/plain", a.sessions.Status)
		loaded.GET("/wrapped", func(c *gin.Context) { a.sessions.Status(c) })
		r.GET("/check", func(c *gin.Context) {
			st, err := a.sessions.Check(c)
			require.NoError(t, err)
			c.JSON(200, st)
		})
		token := a.signIn("ada").Cookie(cookieName)
		time.Sleep(23*time.Hour + 40*time.Minute)
		for _, path := range []string{"/plain", "/check"} {
			r := a.holding(r, token).Get(path)
			require.Contains(t, r.Text, `"isAuthenticated":true`)
			require.Empty(t, r.Header["Set-Cookie"], path)
		}
		require.Len(t, a.holding(r, token).Get("/wrapped").Header["Set-Cookie"], 1)
	})
}

func TestFromContextPrefersWhatItWasGiven(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		mine := ginsession.Session{User: ginsession.Identity{Username: "mine"}}
		name := func(ctx context.Context) string {
			s, _ := ginsession.FromContext(ctx)
			return s.User.Username
		}
		a.engine.GET("/contexts", func(c *gin.Context) {
			type key struct{}
			c.String(200, "%s %s %s %s %s", name(c), name(c.Request.Context()),
				name(context.WithValue(c, key{}, 1)), name(ginsession.NewContext(c, mine)), name(ginsession.NewContext(c.Request.Context(), mine)))
		})
		require.Equal(t, "ada ada ada mine mine", a.signIn("ada").Get("/contexts").Text)
		require.Equal(t, "   mine mine", a.client().Get("/contexts").Text)
	})
}

func TestContextPrintsNoSecret(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		a.engine.GET("/dump", func(c *gin.Context) {
			c.String(200, "%v %+v %#v %s", c.Keys, c.Keys, c.Request.Context(), any(c.Request))
		})
		c := a.signIn("ada")
		answer := c.Get("/dump").Text
		require.Contains(t, answer, "ginsession.visit")
		require.NotContains(t, answer, secretOf(t, c.Cookie(cookieName)))
	})
}

// The answer of a refresh is lost, or late, when the old cookie has little time
// left.
func TestRefreshShortBeforeTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		old := a.signIn("ada").Cookie(cookieName)
		time.Sleep(24*time.Hour - 5*time.Millisecond)
		require.Len(t, cookies(a.with(old).Get("/me")), 1)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, 200, a.with(old).Get("/me").StatusCode, "sent beside the first, it came later")
		time.Sleep(time.Minute)
		require.Equal(t, 401, a.with(old).Get("/me").StatusCode)
	})
	inBubble(t, func(t *testing.T, a *app) {
		old := a.signIn("ada").Cookie(cookieName)
		time.Sleep(31 * time.Second)
		require.Len(t, cookies(a.with(old).Get("/me")), 1, "and it is lost")
		time.Sleep(14 * time.Second)
		require.Empty(t, cookies(a.with(old).Get("/me")))
		time.Sleep(time.Second)
		again := cookies(a.with(old).Get("/me"))
		require.Len(t, again, 1, "in good time before the old one ends")
		time.Sleep(20 * time.Second)
		require.Equal(t, 200, a.with(again[0]).Get("/me").StatusCode)
	}, func(c *ginsession.Config) { c.MaxAge = time.Minute })
}

func TestContentTypeOfOthersDoesNotMatter(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		r := gin.New()
		r.Use(func(c *gin.Context) { c.Header("Content-Type", "text/html") }, a.sessions.Load)
		r.GET("/session", a.sessions.Status)
		require.Equal(t, "application/json; charset=utf-8", ginsessiontest.NewClient(r).Get("/session").Header.Get("Content-Type"))
	})
}

func TestClientWhoHangsUpIsNoErrorOfTheServer(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.wire.breakAt(1, false, hangs)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/me", nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: token})
		a.engine.ServeHTTP(httptest.NewRecorder(), r)
		require.NotContains(t, a.logs.text(), `"level":"ERROR"`)
		a.wire.breakAt(1, false, fails)
		a.with(token).Get("/me")
		require.Contains(t, a.logs.text(), `"level":"ERROR"`)
	})
}

func TestGormsLoggerIsNotAsked(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		var out bytes.Buffer
		talkative := a.db.Session(&gorm.Session{Logger: logger.New(log.New(&out, "", 0), logger.Config{LogLevel: logger.Info})})
		require.NoError(t, talkative.Exec("SELECT 1").Error)
		require.NotZero(t, out.Len())
		out.Reset()
		_, a.engine = a.node(talkative)
		for _, act := range acts {
			act.request(act.prepare(a))
		}
		a.wire.breakAt(1, false, fails)
		login(a.client())
		require.Empty(t, out.String(), "it would print the values of statements")
	})
}

func TestTablesNamedByTheApplication(t *testing.T) {
	for name, naming := range map[string]schema.NamingStrategy{
		"prefix":     {TablePrefix: "app_"},
		"singular":   {SingularTable: true},
		"mixed case": {NoLowerCase: true},
	} {
		t.Run(name, func(t *testing.T) {
			modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
				a := &app{t: t, d: d, logs: &capture{}}
				a.db = d.Open(t, &gorm.Config{Logger: logger.Discard, NamingStrategy: naming})
				require.NoError(t, models.Migrate(a.db))
				a.sessions, a.engine = a.node(a.db)
				a.ada = a.user("ada", "admin")
				c := a.signIn("ada")
				require.Equal(t, 200, c.Get("/admin").StatusCode)
				require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.ada.UserID))
				require.Equal(t, 401, c.Get("/admin").StatusCode)
			})
		})
	}
}

func TestWhatUsersWriteHasRoom(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		c := a.client()
		c.Header.Set("User-Agent", "Browser ☃ 🦊")
		r := c.PostJSON("/login", gin.H{"username": "ada", "password": password})
		require.Equal(t, 200, r.StatusCode, r.Text)
		require.Contains(t, r.Text, "Browser ☃ 🦊")
		for i, name := range []string{"Λ", "名前", "🦊", strings.Repeat("u\u0308\u0304", 60)} {
			_, err := a.sessions.Accounts().Create(t.Context(), ginsession.NewUser{Username: name, Email: fmt.Sprintf("%d@münchen.example", i)})
			require.NoError(t, err, name)
		}
	})
}

// The server removes the files of a form once it has been answered, also behind
// Load, which gives the request another context.
func TestFilesOfAFormAreRemoved(t *testing.T) {
	a := newApp(t, modelstest.SQLite(t))
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	kept := 0
	a.engine.MaxMultipartMemory = 1 << 10
	a.engine.POST("/upload", func(c *gin.Context) {
		_, err := c.FormFile("file")
		require.NoError(t, err)
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		kept = len(files)
		_, ok := ginsession.From(c)
		require.False(t, ok)
		c.Status(http.StatusNoContent)
	})
	server := httptest.NewServer(a.engine)
	defer server.Close()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "large")
	require.NoError(t, err)
	_, err = part.Write(make([]byte, 12<<20))
	require.NoError(t, err)
	require.NoError(t, form.Close())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/upload", &body)
	require.NoError(t, err)
	request.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := server.Client().Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	require.Equal(t, 1, kept, "or this test shows nothing")
	server.Close() // waits for the request to be over
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestContextWithoutRequest(t *testing.T) {
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	_, ok := ginsession.From(c)
	require.False(t, ok)
	_, ok = ginsession.FromContext(c)
	require.False(t, ok)
}
