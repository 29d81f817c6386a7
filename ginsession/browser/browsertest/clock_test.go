// What time does to a page that is open, and a network that goes.

package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

func TestAWarningComesBeforeTheEndAndTheSessionCanBeExtended(t *testing.T) {
	t.Parallel()
	p := start(t, "-max-age", "20s") // the warning comes five seconds before the end
	x := somebody(t, p).tab()
	x.login("viewer", false)
	x.open("/notes")
	x.lacks("#expiring")
	x.has("#expiring")
	require.True(t, x.status().IsAuthenticated)
	cookies := x.cookies()
	x.click("#stay")
	x.lacks("#expiring")
	within(t, patience, "no new cookie", func() bool { return x.cookies() == cookies+1 })
	require.Greater(t, x.status().RemainingTime, 10)

	x.has("#expiring") // nobody moves
	x.at("/login")
	require.Contains(t, x.text("main"), "not used for a while")
	require.False(t, x.status().IsAuthenticated)
}

func TestWhoIsOfflineStaysSignedIn(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.login("viewer", false)
	x.open("/dashboard")
	x.foresee(noConnection)
	x.until(`document.getElementById("clock").innerText.includes(":")`)
	x.offline(true)
	x.until(`!navigator.onLine`)
	x.click("#extend")
	x.has("#problem")
	x.shows(who, "viewer")
	x.shows("#client", `"isAuthenticated": true`)
	x.offline(false)
	x.lacks("#problem")
	x.shows("#client", `"error": null`)
	x.shows(who, "viewer")
	x.reload()
	x.shows(who, "viewer")
}

func TestTheStreamEndsWithTheSession(t *testing.T) {
	t.Parallel()
	p := start(t)
	x, y := somebody(t, p).tab(), somebody(t, p).tab()
	x.login("viewer", false)
	y.login("viewer", false)
	y.open("/dashboard")
	y.until(`document.getElementById("clock").innerText.includes(":")`)
	first := y.text("#clock")
	y.until(`document.getElementById("clock").innerText !== "` + first + `"`)
	eval[chromedp.Void](y, `{ const clock = new EventSource("/api/clock"); clock.addEventListener("ended", (e) => { clock.close(); sessionStorage.setItem("ended", e.data); }); undefined }`)
	x.open("/devices")
	x.click("#end-others")
	x.until(`document.querySelectorAll("#devices tr[data-session]").length === 1`)
	y.at("/login") // by itself
	y.shows("[role=alert]", "signed out from another device")
	require.JSONEq(t, `{"code":"SESSION_NOT_FOUND","reason":"revoked"}`, eval[string](y, `sessionStorage.getItem("ended")`))
	x.shows(who, "viewer")
}

// fast makes the clock of a page run thirty times as fast.
const fast = `(() => {
	const N = 30, start = Date.now(), now = Date.now.bind(Date), later = setTimeout.bind(window), every = setInterval.bind(window);
	Date.now = () => start + (now() - start) * N;
	window.setTimeout = (fn, ms, ...args) => later(fn, (ms ?? 0) / N, ...args);
	window.setInterval = (fn, ms, ...args) => every(fn, (ms ?? 0) / N, ...args);
	window.passed = () => (Date.now() - start) / 60e3;
})()`

func TestThreeIdleTabsAskNothingInTenMinutes(t *testing.T) {
	t.Parallel()
	p := start(t)
	front := front(t, p)
	b := somebody(t, p)
	b.url = front.url
	var tabs []*tab
	for i := range 3 {
		x := b.tab()
		x.inject(fast)
		if i == 0 {
			x.login("viewer", false)
		}
		tabs = append(tabs, x)
	}
	for i, path := range []string{"/dashboard", "/notes", "/react"} {
		tabs[i].open(path)
		tabs[i].shows(who, "viewer")
	}
	tabs[0].until(`document.getElementById("clock").innerText.includes(":")`)
	front.all()
	for _, x := range tabs {
		x.until(`passed() > 10`)
	}
	seen := slices.DeleteFunc(front.all(), func(line string) bool { return strings.HasPrefix(line, "GET /static/") }) // late pictures
	t.Logf("in ten minutes of the pages three tabs ask: %q", seen)
	require.LessOrEqual(t, len(seen), 3)
	for _, x := range tabs {
		x.shows(who, "viewer")
	}
}
