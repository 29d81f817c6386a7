// What people do with a session, in one browser and in several.

package browsertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// What the browser says on its console of an answer that a test provokes.
const (
	unauthorized = `^network: .* 401 `
	forbidden    = `^network: .* 403 `
	unavailable  = `^network: .* 503 `
	noConnection = `^network: .*net::ERR_`
)

// One browser, closed and opened again. Cookies belong to a host, so it is two
// people under two names of the machine.
func TestASessionOutlivesAReloadAndWithRememberTheBrowser(t *testing.T) {
	t.Parallel()
	file := chromium(t)
	p := start(t)
	folder := t.TempDir()
	other := strings.Replace(p.url, "127.0.0.1", home, 1)

	ctx, err := launch(file, folder)
	require.NoError(t, err)
	remembers := &person{t, p, p.url, ctx}
	forgets := &person{t, p, other, ctx}
	x, y := remembers.tab(), forgets.tab()
	x.login("viewer", true)
	y.login("editor", false)
	for range 2 {
		x.reload()
		y.reload()
	}
	x.shows(who, "viewer")
	y.shows(who, "editor")
	require.Equal(t, []bool{false, true}, []bool{x.jar()["session"].Session, y.jar()["session"].Session}, "goes with the browser")
	x.closed, y.closed = true, true
	require.NoError(t, quit(ctx))

	ctx, err = launch(file, folder)
	require.NoError(t, err)
	t.Cleanup(func() { _ = quit(ctx) })
	remembers.ctx, forgets.ctx = ctx, ctx
	x, y = remembers.tab(), forgets.tab()
	x.open("/dashboard")
	x.shows(who, "viewer")
	y.open("/dashboard")
	y.at("/login")
	require.NotContains(t, y.jar(), "session")
	x.closed, y.closed = true, true
}

// seen keeps what each page shows when it is first shown, also out of the
// back/forward cache.
const seen = `addEventListener("pageshow", (e) => {
	const list = JSON.parse(sessionStorage.getItem("seen") ?? "[]");
	list.push({ path: location.pathname, cached: e.persisted, who: !!document.getElementById("who"), text: document.body.innerText });
	sessionStorage.setItem("seen", JSON.stringify(list));
})`

func TestALogoutReachesTheOtherTabAndTheBackButtonShowsNothing(t *testing.T) {
	t.Parallel()
	p := start(t)
	b := somebody(t, p)
	x, y := b.tab(), b.tab()
	y.inject(seen)
	x.login("viewer", false)
	y.open("/notes")
	y.fill("textarea[name=text]", "a private note")
	y.click("main form button")
	y.shows(".notes", "a private note")
	y.open("/devices")
	y.shows(who, "viewer")

	x.click(signOutForm + " button")
	from := time.Now()
	y.at("/login")
	t.Logf("the other tab follows after %v", time.Since(from).Round(10*time.Millisecond))
	x.at("/login")

	cached := 0
	for range 2 {
		eval[chromedp.Void](y, `sessionStorage.removeItem("seen")`)
		y.back()
		y.until(`sessionStorage.getItem("seen") && document.readyState === "complete"`)
		y.lacks(who)
		for _, page := range eval[[]struct {
			Path   string
			Cached bool
			Who    bool
			Text   string
		}](y, `JSON.parse(sessionStorage.getItem("seen"))`) {
			if page.Cached {
				cached++
			}
			require.False(t, page.Who, "%+v", page)
			require.NotContains(t, page.Text, "private")
		}
	}
	t.Logf("%d pages came out of the back/forward cache", cached)
	require.NotContains(t, eval[string](y, "document.body.innerText"), "private")
	require.NotContains(t, y.jar(), "session")
}

func TestAnotherUserInAnotherTabReplacesTheFormersPage(t *testing.T) {
	t.Parallel()
	p := start(t)
	b := somebody(t, p)
	x, y := b.tab(), b.tab()
	x.login("viewer", false)
	x.open("/devices") // where no stream tells that the session has ended
	y.open("/notes")
	y.fill("textarea", "of the viewer")
	// Without a logout in between, of which the other tab would hear.
	require.Equal(t, 200, eval[int](x, fmt.Sprintf(`fetch("/auth/login", { method: "POST", headers: { "Content-Type": "application/json" },
		body: JSON.stringify({ username: "editor", password: %q }) }).then((r) => r.status)`, p.password)))
	x.reload()
	x.shows(who, "editor")
	y.shows(who, "editor")
	y.at("/notes")
	require.Empty(t, eval[string](y, `document.querySelector("textarea").value`))
}

func TestPollingDoesNotKeepASessionThatIsNotUsed(t *testing.T) {
	t.Parallel()
	p := start(t, "-max-age", "12s")
	x := somebody(t, p).tab()
	x.login("viewer", false)
	x.open("/notes")
	before := x.cookies()
	eval[chromedp.Void](x, `{ window.polls = 0; setInterval(() => fetch("/auth/session").then(() => polls++), 250); undefined }`)
	x.until(`polls > 8`)
	x.shows(who, "viewer")
	x.at("/login") // it has left by itself
	x.shows("[role=alert]", "")
	t.Logf("the page says: %s", x.text("[role=alert]"))
	s := x.status()
	require.False(t, s.IsAuthenticated)
	require.Equal(t, before, x.cookies(), "polling sets no cookie")
	p.logs("session_expired")
}

// due has the lab make the session as if most of its time had passed.
func (x *tab) due() {
	x.t.Helper()
	require.Equal(x.t, 200, eval[int](x, `fetch("/lab/due", { method: "POST" }).then((r) => r.status)`))
}

func TestActivityInTheWindowSetsOneCookie(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.login("viewer", false)
	x.open("/dashboard")
	require.Equal(t, 1, x.cookies())
	// batch sends ten requests at once that are activity.
	batch := func() {
		t.Helper()
		got := eval[[]int](x, `Promise.all(Array.from({ length: 10 }, () => fetch("/api/activity", { method: "POST" }).then((r) => r.status)))`)
		require.Equal(t, []int{200, 200, 200, 200, 200, 200, 200, 200, 200, 200}, got)
	}
	batch()
	x.click("#activity")
	x.shows("#log", "the cookie stays")
	require.Equal(t, 1, x.cookies(), "before the window nothing changes")
	old := x.jar()["session"].Value

	x.due()
	for range 5 {
		batch()
	}
	within(t, patience, "no new cookie", func() bool { return x.cookies() > 1 })
	x.click("#activity")
	x.until(`document.querySelectorAll("#log li").length > 1`)
	require.Equal(t, 2, x.cookies(), "once, not with each request")
	require.NotEqual(t, old, x.jar()["session"].Value)
	x.shows(who, "viewer")
	require.Equal(t, 1, strings.Count(p.log.String(), "ginsession: session_renewed"))
}

func TestInputExtendsTheSessionInOneOfThreeTabs(t *testing.T) {
	t.Parallel()
	p := start(t)
	front := front(t, p)
	b := somebody(t, p)
	b.url = front.url
	var tabs []*tab
	for i := range 3 {
		x := b.tab()
		if i == 0 {
			x.login("viewer", false)
		}
		x.open("/notes")
		x.fill("textarea", "some input") // with the keyboard
		tabs = append(tabs, x)
	}
	tabs[0].due()
	// One of them comes to know of it, and tells the others.
	within(t, patience, "nobody extends it", func() bool {
		eval[chromedp.Void](tabs[0], `{ dispatchEvent(new Event("online")); undefined }`)
		return front.passed("POST /auth/session/refresh") > 0
	})
	for _, x := range tabs {
		x.until(`fetch("/auth/session").then((r) => r.json()).then((s) => (window.left = s.remainingTime)) && window.left > 80000`)
		x.lacks("#expiring")
		x.shows(who, "viewer")
	}
	require.Equal(t, 1, front.passed("POST /auth/session/refresh"))
	require.Equal(t, 1, strings.Count(p.log.String(), "ginsession: session_renewed"))
	require.Equal(t, "some input", eval[string](tabs[2], `document.querySelector("textarea").value`), "the form is as it was")
}

func TestASessionEndedFromAnotherBrowserFallsOutWithAReason(t *testing.T) {
	t.Parallel()
	p := start(t)
	x, y := somebody(t, p).tab(), somebody(t, p).tab()
	x.login("viewer", false)
	y.login("viewer", true)
	y.open("/notes")
	x.open("/devices")
	require.Equal(t, 2, eval[int](x, `document.querySelectorAll("#devices tr[data-session]").length`))
	require.Equal(t, x.status().Session.ID, eval[string](x, `document.querySelector("#devices tr.current").dataset.session`))
	x.shows("#devices tr.current", "Linux")
	x.click(fmt.Sprintf(`tr[data-session=%q] button`, y.status().Session.ID))
	x.until(`document.querySelectorAll("#devices tr[data-session]").length === 1`)
	x.shows(who, "viewer")

	y.click(`nav a[href="/devices"]`)
	y.at("/login")
	y.shows("[role=alert]", "signed out from another device")
	y.lacks(who)
	x.reload()
	x.shows(who, "viewer")
}

func TestANewPasswordEndsTheOtherBrowsersAndNotThisOne(t *testing.T) {
	t.Parallel()
	p := start(t)
	x, y := somebody(t, p).tab(), somebody(t, p).tab()
	x.login("editor", false)
	y.login("editor", false)
	y.open("/notes")
	x.open("/settings")
	const next = "nine green bottles hanging"
	x.fill("#change-password [name=current]", p.password)
	x.fill("#change-password [name=new]", next)
	x.click("#change-password button")
	x.shows("[role=status]", "changed")
	x.shows(who, "editor")
	y.click(`nav a[href="/devices"]`)
	y.at("/login")
	y.shows("[role=alert]", "password was changed")
	y.signIn("editor", p.password, false)
	y.shows("[role=alert]", "password is wrong")
	y.lacks(who)
	y.signIn("editor", next, false)
	y.shows(who, "editor")
	x.reload()
	x.shows(who, "editor")
}

func TestARoleTakenAwayHoldsForTheNextClick(t *testing.T) {
	t.Parallel()
	p := start(t)
	x, y := somebody(t, p).tab(), somebody(t, p).tab()
	x.login("admin", false)
	y.login("editor", false)
	y.open("/editor")
	y.shows("h1", "Editor")
	x.open("/admin/users")
	eval[chromedp.Void](x, `{ document.querySelector("tr[data-user=editor] select[name=role]").value = "viewer"; undefined }`)
	x.click("tr[data-user=editor] form[action$=role] button")
	x.until(`document.querySelector("tr[data-user=editor] select[name=role]").value === "viewer" && performance.getEntriesByType("navigation")[0].name.endsWith("/admin/users")`)
	p.logs("authz_change")

	y.foresee(forbidden)
	require.Equal(t, 403, eval[int](y, `fetch("/editor").then((r) => r.status)`))
	y.reload()
	y.shows("h1", "Forbidden")
	y.shows(who, "editor") // still signed in
	require.Equal(t, "viewer", y.status().User.Role)
	y.lacks(`nav a[href="/editor"]`)
}

// kid names the key under which a cookie is signed.
func (x *tab) kid() string {
	x.t.Helper()
	head, _, _ := strings.Cut(x.jar()["session"].Value, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	require.NoError(x.t, err)
	var header struct{ Kid string }
	require.NoError(x.t, json.Unmarshal(text, &header))
	require.NotEmpty(x.t, header.Kid)
	return header.Kid
}

func TestARestartAndANewKeySignNobodyOut(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.login("viewer", false)
	x.open("/notes")
	x.foresee(noConnection) // the picture of a page may come while nobody is there
	session, kid := x.status().Session.ID, x.kid()

	p.restart()
	x.reload()
	x.shows(who, "viewer")
	require.Equal(t, kid, x.kid())

	p.restart("JWT_SECRET=" + keyNew + "," + keyOld)
	// A cookie rests for half a minute after it was made.
	within(t, 2*patience, "the cookie stays under the old key", func() bool {
		x.reload()
		x.shows(who, "viewer")
		return x.kid() != kid
	})
	p.logs("key_rotated")

	p.restart("JWT_SECRET=" + keyNew)
	x.reload()
	x.shows(who, "viewer")
	require.Equal(t, session, x.status().Session.ID)
}

func TestThePasswordIsAskedForInTheMiddleAndTheRequestGoesOn(t *testing.T) {
	t.Parallel()
	p := start(t, "-fresh", "8s")
	x := somebody(t, p).tab()
	x.login("viewer", false)
	old := `fetch("/auth/session").then((r) => r.json()).then((s) => (window.age = Date.parse(s.serverTime) - Date.parse(s.session.authenticatedAt))) && window.age > 8500`
	x.until(old)
	x.open("/settings")
	x.at("/reauthenticate")
	x.fill("#reauthenticate [name=password]", p.password)
	x.click("#reauthenticate button")
	x.at("/settings")
	before := x.jar()["session"].Value

	x.until(old)
	x.foresee(forbidden, unauthorized)
	x.click("#sensitive")
	x.click("#reauth-cancel")
	x.shows("#sensitive-result", "Not done.")
	x.click("#sensitive")
	x.fill("#reauth [name=password]", "not the password")
	x.click("#reauth-form button:not([type=button])")
	x.has("#reauth-problem")
	x.fill("#reauth [name=password]", p.password)
	x.click("#reauth-form button:not([type=button])")
	x.shows("#sensitive-result", "Done.")
	x.lacks("#reauth")
	x.shows(who, "viewer")
	require.NotEqual(t, before, x.jar()["session"].Value, "another proof, another secret")
}

func TestImpersonationIsSeenOnEveryPageUntilItStops(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.login("admin", false)
	x.open("/admin/users")
	x.click("tr[data-user=viewer] form[action$=impersonate] button")
	x.shows(who, "viewer")
	for _, path := range []string{"/", "/dashboard", "/devices", "/notes", "/react"} {
		x.open(path)
		x.shows("#impersonating", "admin")
	}
	x.foresee(forbidden)
	x.open("/settings")
	x.shows("h1", "Forbidden")
	x.shows("#impersonating", "admin")
	x.click("#impersonating button")
	x.at("/admin/users")
	x.shows(who, "admin")
	x.lacks("#impersonating")
}

func TestTheHookOfReactShowsWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.open("/react")
	x.shows("#visitor", "Nobody is signed in")
	x.click("#visitor a")
	x.at("/login")
	x.signIn("viewer", p.password, false)
	x.at("/react")
	x.shows("#profile", "viewer")
	x.click("#profile button.quiet")
	x.lacks("#profile")
	require.False(t, x.status().IsAuthenticated)
}
