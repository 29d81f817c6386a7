package browser_test

import (
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/browser"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// A page whose client knows at once who is signed in.
func ExampleState() {
	sessions, done := exampleSessions()
	defer done()
	r := gin.New()
	r.SetHTMLTemplate(template.Must(template.New("page.html").Parse(
		`<script type="module" src="{{.Script}}"></script>{{.Session}}`)))

	modules := browser.Mount(r.Group("/auth/js")) // before Load: to load a script is no activity
	r.Use(sessions.Load)
	r.GET("/", func(c *gin.Context) {
		c.HTML(http.StatusOK, "page.html", gin.H{"Session": browser.State(c, sessions), "Script": modules.Path("auth.js")})
	})

	page := ginsessiontest.NewClient(r).Get("/").Text
	fmt.Println(strings.HasPrefix(page, `<script type="module" src="`+modules.Path("auth.js")+`"></script>`))
	fmt.Println(strings.Contains(page, `id="ginsession-state">{"isAuthenticated":false`))
	// Output:
	// true
	// true
}

func exampleSessions() (sessions *ginsession.Manager, done func()) {
	folder, err := os.MkdirTemp("", "ginsession")
	must(err)
	db, err := modelstest.OpenSQLite(folder + "/example.db")
	must(err)
	must(models.Migrate(db))
	sessions, err = ginsession.New(db, ginsession.Config{
		Keys:   []ginsession.Key{"an example key, which nobody must use"},
		Logger: slog.New(slog.DiscardHandler),
	})
	must(err)
	return sessions, func() {
		pool, err := db.DB()
		must(err)
		must(pool.Close())
		must(os.RemoveAll(folder))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
