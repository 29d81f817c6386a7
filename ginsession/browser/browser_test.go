// How the client gets to the browser: addresses, headers, and the first state in
// a page. What it does there is tested in test/, with Node.

package browser_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/browser"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

func TestModulesAreServed(t *testing.T) {
	r := gin.New()
	modules := browser.Mount(r.Group("/auth/js"))
	client := ginsessiontest.NewClient(r)

	for _, name := range []string{"auth.js", "react.js"} {
		for path, caching := range map[string]string{
			"/auth/js/" + name: "no-cache",
			modules.Path(name): "public, max-age=31536000, immutable",
		} {
			t.Run(path, func(t *testing.T) {
				got := client.Get(path)
				require.Equal(t, http.StatusOK, got.StatusCode)
				require.Equal(t, file(t, name), got.Text)
				require.Equal(t, "text/javascript; charset=utf-8", got.Header.Get("Content-Type"))
				require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
				require.Equal(t, caching, got.Header.Get("Cache-Control"))
				require.Regexp(t, `^"[0-9a-f]{20}"$`, got.Header.Get("ETag"))

				head := client.Do(http.MethodHead, path, "", nil)
				require.Equal(t, http.StatusOK, head.StatusCode)
				require.Empty(t, head.Text)
				require.Equal(t, got.Header, head.Header)

				again := ginsessiontest.NewClient(r)
				again.Header.Set("If-None-Match", got.Header.Get("ETag"))
				unchanged := again.Get(path)
				require.Equal(t, http.StatusNotModified, unchanged.StatusCode)
				require.Empty(t, unchanged.Text)
				require.Equal(t, caching, unchanged.Header.Get("Cache-Control"))
			})
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	r := gin.New()
	hash := strings.Split(browser.Mount(r.Group("/auth/js")).Path("auth.js"), "/")[3]
	client := ginsessiontest.NewClient(r)
	for _, path := range []string{
		"/", "/auth.d.ts", "/package.json", "/browser.go", "/testdata/rig.mjs", "/auth", "/AUTH.JS", "//auth.js", "/auth.js/",
		"/0123456789abcdef012/auth.js", "/0123456789ABCDEF0123/auth.js", "/0123456789abcdef0123/x.js", "/" + hash, "/" + hash + "/", "/" + hash + "/x.js", "/" + hash + "/" + hash + "/auth.js",
		"/../auth.js", "/%2e%2e/browser.go",
	} {
		got := client.Get("/auth/js" + path)
		require.Equal(t, http.StatusNotFound, got.StatusCode, path)
		require.Equal(t, "no-cache", got.Header.Get("Cache-Control"), path)
		require.Empty(t, got.Header.Get("ETag"), path)
	}
	require.NotEqual(t, http.StatusOK, client.Do(http.MethodPost, "/auth/js/auth.js", "", nil).StatusCode)
}

// A page of another build finds the modules of this one, and does not keep them.
func TestThePathOfAnotherBuild(t *testing.T) {
	r := gin.New()
	modules := browser.Mount(r.Group("/auth/js"))
	client := ginsessiontest.NewClient(r)
	for _, name := range []string{"auth.js", "react.js"} {
		got := client.Get("/auth/js/0123456789abcdef0123/" + name)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, client.Get(modules.Path(name)).Text, got.Text)
		require.Equal(t, "no-cache", got.Header.Get("Cache-Control"))
	}
}

// What react.js imports beside itself is there, at the hashed address as well.
func TestModulesFindEachOther(t *testing.T) {
	r := gin.New()
	modules := browser.Mount(r.Group("/auth/js"))
	found := regexp.MustCompile(`from "(\./[^"]+)"`).FindAllStringSubmatch(file(t, "react.js"), -1)
	require.NotEmpty(t, found)
	for _, match := range found {
		name := strings.TrimPrefix(match[1], "./")
		require.Equal(t, strings.TrimSuffix(modules.Path("react.js"), "react.js")+name, modules.Path(name))
		require.Equal(t, http.StatusOK, ginsessiontest.NewClient(r).Get(modules.Path(name)).StatusCode)
	}
}

func TestPath(t *testing.T) {
	r := gin.New()
	sum := sha256.Sum256([]byte(file(t, "auth.js") + file(t, "react.js"))) // what is in them names the folder
	require.Equal(t, "/js/"+hex.EncodeToString(sum[:10])+"/auth.js", browser.Mount(r.Group("/js")).Path("auth.js"))
	require.Regexp(t, `^/static/[0-9a-f]{20}/auth\.js$`, browser.Mount(r.Group("/static/")).Path("auth.js"))
	require.Regexp(t, `^/[0-9a-f]{20}/react\.js$`, browser.Mount(&gin.New().RouterGroup).Path("react.js"))
	require.PanicsWithValue(t, "browser: there is no module auth.ts", func() {
		browser.Mount(gin.New().Group("/js")).Path("auth.ts")
	})
}

func TestImportMap(t *testing.T) {
	modules := browser.Mount(gin.New().Group("/js"))
	want := `{"imports":{"ginsession":"` + modules.Path("auth.js") + `","ginsession/react":"` + modules.Path("react.js") + `"}}</script>`
	require.Equal(t, template.HTML(`<script type="importmap">`+want), modules.ImportMap(""))
	require.Equal(t, template.HTML(`<script type="importmap" nonce="a&#34;&gt;b">`+want), modules.ImportMap(`a">b`))
}

func TestAuthIsSmall(t *testing.T) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	require.NoError(t, err)
	_, err = w.Write([]byte(file(t, "auth.js")))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Less(t, packed.Len(), 4096)
}

// anybody lets everybody in, under any name.
type anybody struct{}

func (anybody) Authenticate(context.Context, string, string) (ginsession.Identity, error) {
	return ginsession.Identity{}, ginsession.ErrCredentialsInvalid
}

func (anybody) Identity(_ context.Context, userID string) (ginsession.Identity, error) {
	return ginsession.Identity{UserID: userID, Username: userID, Role: "viewer"}, nil
}

// site is an application with a page that holds the state. breakDown closes its
// database.
func site(t *testing.T, configure ...func(*ginsession.Config)) (r *gin.Engine, breakDown func()) {
	t.Helper()
	db := modelstest.SQLite(t).Open(t)
	require.NoError(t, models.Migrate(db))
	cfg := ginsession.Config{
		Keys:   []ginsession.Key{"an example key, which nobody must use"},
		Users:  anybody{},
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range configure {
		f(&cfg)
	}
	sessions, err := ginsession.New(db, cfg)
	require.NoError(t, err)
	r = gin.New()
	r.SetHTMLTemplate(template.Must(template.New("page").Parse(`<!doctype html><body>{{ .Session }}</body>`)))
	page := func(c *gin.Context) { c.HTML(http.StatusOK, "page", gin.H{"Session": browser.State(c, sessions)}) }
	r.GET("/unloaded", page)
	loaded := r.Group("", sessions.Load)
	loaded.GET("/page", page)
	loaded.GET("/private", func(c *gin.Context) { c.Header("Cache-Control", "private") }, page)
	loaded.GET("/open", func(c *gin.Context) {
		_, err := sessions.Open(c, ginsession.Identity{UserID: c.Query("as"), Role: "viewer"}, false)
		require.NoError(t, err)
	}, page)
	browser.Mount(loaded.Group("/js"))
	sessions.Routes(r.Group("/auth"))
	pool, err := db.DB()
	require.NoError(t, err)
	return r, func() { require.NoError(t, pool.Close()) }
}

var stateElement = regexp.MustCompile(`^<!doctype html><body><script type="application/json" id="ginsession-state">(.*)</script></body>$`)

// state returns what the element in a page holds.
func state(t *testing.T, page string) ginsession.Status {
	t.Helper()
	match := stateElement.FindStringSubmatch(page)
	require.NotNil(t, match, page)
	var status ginsession.Status
	require.NoError(t, json.Unmarshal([]byte(match[1]), &status))
	return status
}

func TestStateIsThatOfTheRequest(t *testing.T) {
	r, _ := site(t)
	client := ginsessiontest.NewClient(r)
	got := client.Get("/page")
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
	require.False(t, state(t, got.Text).IsAuthenticated)

	opened := state(t, client.Get("/open?as=ada").Text)
	require.True(t, opened.IsAuthenticated)
	for _, path := range []string{"/page", "/unloaded"} {
		got := state(t, client.Get(path).Text)
		require.Equal(t, "ada", got.User.Username)
		require.Equal(t, opened.Session.ID, got.Session.ID)
	}
	require.Equal(t, "private", client.Get("/private").Header.Get("Cache-Control"))

	// It is what the status handler says.
	var status map[string]any
	require.NoError(t, json.Unmarshal([]byte(client.Get("/auth/session").Text), &status))
	var inPage map[string]any
	require.NoError(t, json.Unmarshal([]byte(stateElement.FindStringSubmatch(client.Get("/page").Text)[1]), &inPage))
	for _, name := range []string{"serverTime", "remainingTime", "refreshIn"} {
		require.Contains(t, inPage, name)
		delete(status, name)
		delete(inPage, name)
	}
	require.Equal(t, status, inPage)
}

func TestStateLetsNoNameOut(t *testing.T) {
	for _, name := range []string{
		"</script><script>alert(1)</script>", "<!--<script>", "<!-- ", "-->", "]]>", "</ScRiPt >", "\u2028\u2029", `"};alert(1)//`, "&lt;", "{{.}}",
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := site(t)
			client := ginsessiontest.NewClient(r)
			client.Get("/open?as=" + template.URLQueryEscaper(name))
			page := client.Get("/page").Text
			require.Equal(t, name, state(t, page).User.Username)
			inside := stateElement.FindStringSubmatch(page)[1]
			require.NotRegexp(t, "[<>&\u2028\u2029]", inside)
		})
	}
}

func TestStateIsLeftOutWhenTheDatabaseIsSilent(t *testing.T) {
	r, breakDown := site(t)
	client := ginsessiontest.NewClient(r)
	client.Get("/open?as=ada")
	breakDown()
	got := client.Get("/unloaded")
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Equal(t, "<!doctype html><body></body>", got.Text)
}

// A module that is loaded when the session is refreshed carries a cookie. No cache
// may keep that.
func TestNoCacheKeepsACookie(t *testing.T) {
	now := time.Now()
	r, _ := site(t, func(c *ginsession.Config) { c.Now = func() time.Time { return now } })
	client := ginsessiontest.NewClient(r)
	client.Get("/open?as=ada")
	require.Equal(t, "no-cache", client.Get("/js/auth.js").Header.Get("Cache-Control"))
	now = now.Add(ginsession.DefaultMaxAge - time.Minute)
	got := client.Get("/js/auth.js")
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.NotEmpty(t, got.Header["Set-Cookie"])
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
}
