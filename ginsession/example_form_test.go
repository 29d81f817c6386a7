// Story: a site whose pages sign in with an HTML form, without a script.

package ginsession_test

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
)

// signInPage is the sign-in page. What goes into it comes from the address bar, so it is
// html/template that puts it there.
const signInPage = `{{with .error}}<p>Please try again ({{.}}).</p>{{end}}
<form method="post" action="/login">
<input type="hidden" name="next" value="{{.next}}">
<input name="username"><input name="password" type="password"><button>Sign in</button>
</form>`

// formSite has the page at the path that Config.LoginURL names.
func formSite(sessions *ginsession.Manager) *gin.Engine {
	r := gin.New()
	r.SetHTMLTemplate(template.Must(template.New("login").Parse(signInPage)))
	r.Use(sessions.Load)
	r.GET("/login", func(c *gin.Context) {
		c.HTML(http.StatusOK, "login", gin.H{"next": c.Query("next"), "error": c.Query("error")})
	})
	r.POST("/login", sessions.Login)
	r.POST("/logout", sessions.Logout)
	r.GET("/orders", ginsession.Require, func(c *gin.Context) { c.String(http.StatusOK, "your orders") })
	return r
}

// Who is not signed in is sent to the page, and from there to where he wanted to be.
func Example_form() {
	sessions, done := exampleSessions(func(cfg *ginsession.Config) { cfg.LoginURL = "/login" })
	defer done()
	exampleUser(sessions, "ada", "viewer")

	browser := ginsessiontest.NewClient(formSite(sessions))
	browser.Header.Set("Accept", "text/html")
	show := func(r ginsessiontest.Response) { fmt.Println(r.StatusCode, r.Header.Get("Location")) }
	show(browser.Get("/orders"))

	form := url.Values{"username": {"ada"}, "password": {"wrong"}, "next": {"/orders"}}
	again := browser.PostForm("/login", form)
	show(again)
	fmt.Println(browser.Get(again.Header.Get("Location")).Text)

	form.Set("password", "correct horse battery")
	show(browser.PostForm("/login", form))
	fmt.Println(browser.Get("/orders").Text)
	show(browser.PostForm("/logout", nil))
	// Output:
	// 303 /login?next=%2Forders
	// 303 /login?error=CREDENTIALS_INVALID&next=%2Forders
	// <p>Please try again (CREDENTIALS_INVALID).</p>
	// <form method="post" action="/login">
	// <input type="hidden" name="next" value="/orders">
	// <input name="username"><input name="password" type="password"><button>Sign in</button>
	// </form>
	// 303 /orders
	// your orders
	// 303 /login
}
