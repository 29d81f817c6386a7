// Every page, as it looks, and without a word of the browser against it.

package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flaws are what a page of HTML should not have, whatever it shows.
const flaws = `(() => {
	const list = [], all = (s) => [...document.querySelectorAll(s)];
	if (all("h1").length !== 1) list.push(all("h1").length + " headings of the first level");
	if (!document.title || !document.documentElement.lang) list.push("no title, or no language");
	if (document.documentElement.scrollWidth > innerWidth) list.push("wider than the window: " + document.documentElement.scrollWidth);
	for (const e of all("input:not([type=hidden]), select, textarea"))
		if (e.checkVisibility() && !e.labels?.length && !e.ariaLabel) list.push("no label: " + e.outerHTML);
	for (const e of all("button, a")) if (!e.innerText.trim() && e.checkVisibility()) list.push("says nothing: " + e.outerHTML);
	for (const e of all("[id]")) if (all("#" + CSS.escape(e.id)).length > 1) list.push("twice: #" + e.id);
	return list;
})()`

func TestEveryPageIsSoundAndTheBrowserHasNothingAgainstIt(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("GINSESSION_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	p := start(t)
	x := somebody(t, p).tab()
	look := func(name, path string, width, height int64, scheme string) {
		t.Helper()
		_, err := chromedp.Call(x.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
		})
		require.NoError(t, err)
		_, err = chromedp.Call(x.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		require.NoError(t, err)
		x.open(path)
		x.until(`document.readyState === "complete"`)
		if path == "/dashboard" {
			x.until(`document.getElementById("clock").innerText.includes(":")`)
		}
		assert.Empty(t, eval[[]string](x, flaws), "%s, %d wide", path, width)
		ctx := x.ctx
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		file := filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
		require.NoError(t, os.WriteFile(file, picture, 0o600))
		for _, fault := range x.unforeseen() {
			t.Errorf("%s: %s", path, fault)
		}
	}
	name := func(path string) string {
		if path == "/" {
			return "home"
		}
		return strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
	}

	for _, path := range []string{"/", "/login", "/react"} {
		look(name(path)+"-anonymous", path, 1280, 800, "light")
		x.lacks(who)
	}
	look("login-anonymous", "/login", 1280, 800, "dark")
	look("login-anonymous", "/login", 390, 844, "light")
	x.foresee(forbidden, `^network: .* 404 `)
	x.login("admin", false)
	for _, path := range []string{
		"/", "/dashboard", "/notes", "/devices", "/settings", "/reauthenticate", "/editor",
		"/admin/users", "/admin/events", "/lab", "/react", "/no-such-page",
	} {
		look(name(path), path, 1280, 800, "light")
		x.shows(who, "admin")
	}
	look("dashboard", "/dashboard", 1280, 800, "dark")
	look("admin-users", "/admin/users", 1280, 800, "dark")
	for _, path := range []string{"/", "/dashboard", "/devices", "/admin/users", "/admin/events", "/settings"} {
		look(name(path), path, 390, 844, "light")
	}
	t.Logf("pictures are in %s", folder)
}

// The test of the tests: what the others rely on not to be there is seen if it is.
func TestViolationsAndErrorsAreSeen(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.open("/")
	require.Empty(t, x.unforeseen())
	for _, script := range []string{
		`{ const i = new Image(); i.src = "http://` + evil + `/"; document.body.append(i); undefined }`,
		`{ const s = document.createElement("script"); s.textContent = "window.injected = 1"; document.body.append(s); undefined }`,
		`fetch("http://` + evil + `/").catch(() => {}).then(() => {})`,
		`{ setTimeout(() => { throw new Error("on purpose") }); undefined }`,
		`console.error("on purpose")`,
		`fetch("/no-such-page").then(() => {})`,
	} {
		before := len(x.unforeseen())
		eval[chromedp.Void](x, script)
		within(t, patience, "not seen: "+script, func() bool { return len(x.unforeseen()) > before })
	}
	require.False(t, eval[bool](x, `"injected" in window`))
	x.foresee(`Content Security Policy`, `on purpose`, ` 404 `)
}
