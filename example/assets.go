// What pages load: stylesheet, icon, scripts.

package main

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession/browser"
)

//go:embed templates static
var files embed.FS

// static serves each file by its name: nothing else is there, and no list of them.
func static(r gin.IRoutes) {
	_ = fs.WalkDir(files, "static", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			r.StaticFileFS("/"+path, path, http.FS(files))
		}
		return err
	})
}

// imports says under which names the scripts of pages import modules. The map
// stands in every page, so the Content-Security-Policy allows it by its hash.
func (s *site) imports(client *browser.Modules) {
	text, _ := json.Marshal(gin.H{"imports": gin.H{ // strings only: it cannot fail
		"ginsession":       client.Path("auth.js"),
		"ginsession/react": client.Path("react.js"),
		// Preact does for React here: it comes as modules, so nothing has to be built.
		"preact":           "/static/preact/preact.js",
		"preact/hooks":     "/static/preact/hooks.js",
		"preact/compat":    "/static/preact/compat.js",
		"react":            "/static/preact/compat.js",
		"react-dom/client": "/static/preact/client.js",
	}})
	sum := sha256.Sum256(text)
	s.importMap = string(text)
	s.csp = contentSecurityPolicy("'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
}
