// The client for browsers, and how it gets there.

package browser

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

//go:embed auth.js react.js
var embedded embed.FS

// Modules are the JavaScript modules, auth.js and react.js, at a place where
// browsers find them.
type Modules struct {
	base  string // URL path of the group
	hash  string // of all modules
	files map[string][]byte
}

// Mount serves the modules under g, each at two addresses: under its plain name,
// for which a browser asks again each time, and at [Modules.Path], where it is
// kept for a year. At the Path of another build it is served too, and not kept: while
// one is rolled out, a page of one node may ask another.
//
// The group should be made before the engine uses [ginsession.Manager.Load],
// because to load a script is no activity of a user:
//
//	r := gin.New()
//	modules := browser.Mount(r.Group("/auth/js"))
//	r.Use(sessions.Load)
func Mount(g *gin.RouterGroup) *Modules {
	m := &Modules{base: strings.TrimSuffix(g.BasePath(), "/"), files: map[string][]byte{}}
	sum := sha256.New()
	for _, name := range []string{"auth.js", "react.js"} {
		text, err := embedded.ReadFile(name)
		if err != nil {
			panic("browser: " + err.Error()) // it was there when this was compiled
		}
		m.files[name] = text
		sum.Write(text)
	}
	m.hash = hex.EncodeToString(sum.Sum(nil))[:20]
	g.GET("/*file", m.serve)
	g.HEAD("/*file", m.serve)
	return m
}

// Path returns the URL path of a module, "auth.js" or "react.js", which changes
// when any of them does. It has a folder of its own for that, so that one finds
// the other beside it. Another name panics.
func (m *Modules) Path(name string) string {
	if m.files[name] == nil {
		panic("browser: there is no module " + name)
	}
	return m.base + "/" + m.hash + "/" + name
}

// ImportMap returns an import map, under which pages import "ginsession" and
// "ginsession/react" wherever they are. It stands before the first module of a
// page. A Content-Security-Policy without 'unsafe-inline' has to allow it: by
// the nonce, which may be empty, or by a hash of what is in it.
func (m *Modules) ImportMap(nonce string) template.HTML {
	text := encode(gin.H{"imports": gin.H{"ginsession": m.Path("auth.js"), "ginsession/react": m.Path("react.js")}})
	attribute := ""
	if nonce != "" {
		attribute = ` nonce="` + template.HTMLEscapeString(nonce) + `"`
	}
	return template.HTML(`<script type="importmap"` + attribute + `>` + text + `</script>`)
}

func (m *Modules) serve(c *gin.Context) {
	name := strings.TrimPrefix(c.Param("file"), "/")
	folder, plain, _ := strings.Cut(name, "/")
	if !isHash(folder) {
		folder, plain = "", name
	}
	text := m.files[plain]
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if text == nil {
		h.Set("Cache-Control", "no-cache")
		http.NotFound(c.Writer, c.Request)
		return
	}
	switch {
	case h["Set-Cookie"] != nil:
		// Load has refreshed the session. Its "no-store" has to stay.
	case folder == m.hash:
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		h.Set("Cache-Control", "no-cache")
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("ETag", `"`+m.hash+`"`)
	http.ServeContent(c.Writer, c.Request, plain, time.Time{}, bytes.NewReader(text))
}

// isHash reports whether a folder is named as those of [Modules.Path] are.
func isHash(folder string) bool {
	hash, err := hex.DecodeString(folder)
	return err == nil && len(hash) == 10 && strings.ToLower(folder) == folder
}

// State returns how the session of the request stands, as a script element that
// holds data and runs nothing. With it in a page the client knows at once who is
// signed in, and asks nothing. The template gets it as a value:
//
//	c.HTML(http.StatusOK, "page.html", gin.H{"Session": browser.State(c, sessions)})
//
// It is empty when the database does not answer: then the client asks for itself.
// Unless the handler has said otherwise, the page is marked as not to be stored.
func State(c *gin.Context, sessions *ginsession.Manager) template.HTML {
	if c.Writer.Header().Get("Cache-Control") == "" {
		c.Header("Cache-Control", "no-store")
	}
	status, err := sessions.Check(c)
	if err != nil {
		return ""
	}
	return template.HTML(`<script type="application/json" id="ginsession-state">` + encode(status) + `</script>`)
}

// encode writes JSON in which nothing ends or opens an element: encoding/json
// escapes <, >, &, U+2028 and U+2029.
func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic("browser: " + err.Error()) // strings, numbers and times only
	}
	return string(text)
}
