// Chromium: one process for all tests, a profile of its own for each person, and
// what people do in its tabs.

package browsertest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long something may take on a busy machine. Nobody waits so long
// for what happens.
const patience = 30 * time.Second

// scratch is a folder for the whole run.
var scratch string

func TestMain(m *testing.M) {
	// The tests wait for clocks more than they compute.
	_ = flag.Set("test.parallel", "6")
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "browsertest"); err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(scratch) }()
		defer func() { stopShared() }()
		return m.Run()
	}())
}

// chromium is where the browser is; the test is skipped where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	t.Skip("there is no chromium, chromium-browser or google-chrome")
	return ""
}

// Hosts on loopback: that of the program, where it must not be 127.0.0.1, and
// another site.
const (
	home = "app.example"
	evil = "evil.example"
)

// launch starts a Chromium.
func launch(file, folder string) (context.Context, error) {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(file),
		chromedp.UserDataDir(folder),
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		chromedp.WindowSize(1280, 800),
		chromedp.WSURLReadTimeout(time.Minute),
	}
	for name, value := range map[string]any{
		"headless":                            "new",
		"no-sandbox":                          true,
		"disable-gpu":                         true,
		"disable-quic":                        true,
		"disable-background-networking":       true,
		"disable-component-update":            true,
		"disable-sync":                        true,
		"disable-dev-shm-usage":               true,
		"disable-background-timer-throttling": true,
		"disable-renderer-backgrounding":      true,
		"password-store":                      "basic",
		"host-resolver-rules":                 "MAP *.example 127.0.0.1",
		"ignore-certificate-errors-spki-list": certificate().pin,
		"disable-extensions":                  true,
		"disable-default-apps":                true,
		"disable-breakpad":                    true,
		"disable-software-rasterizer":         true,
		"metrics-recording-only":              true,
		"mute-audio":                          true,
		"disable-features":                    "Translate,OptimizationHints,MediaRouter",
	} {
		options = append(options, chromedp.Flag(name, value))
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	return ctx, chromedp.Do(ctx)
}

func quit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return chromedp.Cancel(ctx)
}

var (
	shared struct {
		sync.Mutex
		ctx context.Context
	}
)

func stopShared() {
	if shared.ctx != nil {
		_ = quit(shared.ctx)
	}
}

// person is somebody with a browser of his own: no cookie is shared with others.
type person struct {
	t   *testing.T
	p   *program
	url string
	ctx context.Context // of the first tab, which goes last
}

// somebody opens a browser.
func somebody(t *testing.T, p *program) *person {
	t.Helper()
	file := chromium(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx == nil {
		ctx, err := launch(file, scratch+"/profile")
		require.NoError(t, err)
		shared.ctx = ctx
	}
	return &person{t: t, p: p, url: p.url}
}

// tab is one that is visible: it has a window of its own.
type tab struct {
	t      *testing.T
	p      *program
	url    string
	ctx    context.Context
	mu     sync.Mutex
	sent   map[network.RequestID]string
	faults []string
	cookie []string // the lines with which the session's cookie was set
	seen   []string // requests: method and path
	fine   []*regexp.Regexp
	closed bool
}

// tab opens one. When the test ends it must not have had a fault that was not
// foreseen: an error on the console, an exception, a violation of the policy.
func (b *person) tab() *tab {
	b.t.Helper()
	x := &tab{t: b.t, p: b.p, url: b.url, sent: map[network.RequestID]string{}}
	var cancel context.CancelFunc
	if b.ctx != nil {
		x.ctx, cancel = chromedp.NewContext(b.ctx, chromedp.WithListener(x.hear))
	} else { // the first tab brings the profile with it
		x.ctx, cancel = chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(x.hear))
		b.ctx = x.ctx
	}
	_, err := chromedp.Call(x.ctx, network.Enable, network.EnableParams{})
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		if b.t.Failed() && !x.closed {
			x.describe()
		}
		cancel()
		for _, fault := range x.unforeseen() {
			b.t.Errorf("in the browser: %s", fault)
		}
	})
	return x
}

func (x *tab) hear(event any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		x.faults = append(x.faults, fmt.Sprintf("exception: %s at %s:%d", text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			text := "console." + string(e.Type) + ":"
			for _, arg := range e.Args {
				text += " " + string(arg.Value) + arg.Description
			}
			x.faults = append(x.faults, text)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			x.faults = append(x.faults, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		x.seen = append(x.seen, e.Request.Method+" "+e.Request.URL)
	case *network.EventResponseReceivedExtraInfo:
		for name, value := range e.Headers {
			if !strings.EqualFold(name, "Set-Cookie") {
				continue
			}
			for line := range strings.SplitSeq(fmt.Sprint(value), "\n") {
				if strings.HasPrefix(line, "session=") || strings.HasPrefix(line, "__Host-session=") {
					x.cookie = append(x.cookie, line)
				}
			}
		}
	}
}

// foresee names faults that the test provokes, by regular expressions.
func (x *tab) foresee(patterns ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range patterns {
		x.fine = append(x.fine, regexp.MustCompile(p))
	}
}

func (x *tab) unforeseen() (faults []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, fault := range x.faults {
		if !slices.ContainsFunc(x.fine, func(p *regexp.Regexp) bool { return p.MatchString(fault) }) {
			faults = append(faults, fault)
		}
	}
	return faults
}

// cookies is how often the session's cookie was set.
func (x *tab) cookies() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.cookie)
}

// requests are those since the last call.
func (x *tab) requests() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	seen := x.seen
	x.seen = nil
	return seen
}

// do limits what a browser may take, so that a test never hangs.
func (x *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		x.t.Fatalf("%s: %v", what, err)
	}
}

// open goes to a path and waits for the page.
func (x *tab) open(path string) {
	x.t.Helper()
	to := path
	if strings.HasPrefix(path, "/") {
		to = x.url + path
	}
	x.do("open "+path, chromedp.Navigate(to))
}

// reload loads the page again, which must have been loaded.
func (x *tab) reload() {
	x.t.Helper()
	x.until(`document.readyState === "complete"`)
	x.do("reload", chromedp.Reload())
}

// back presses the button. It does not wait: a page from the back/forward cache is
// not loaded.
func (x *tab) back() {
	x.t.Helper()
	x.do("back", chromedp.Evaluate[chromedp.Void](`setTimeout(() => history.back())`))
}

func (x *tab) close() {
	x.t.Helper()
	x.closed = true
	require.NoError(x.t, chromedp.Cancel(x.ctx))
}

// eval is the value of an expression, which may be a promise.
func eval[T any](x *tab, expression string) T {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		x.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits for an expression to be true, on whatever page comes.
func (x *tab) until(expression string) {
	x.t.Helper()
	x.untilWithin(patience, expression)
}

func (x *tab) untilWithin(limit time.Duration, expression string) {
	x.t.Helper()
	var last error
	within(x.t, limit, "never true: "+expression, func() bool {
		ctx, cancel := context.WithTimeout(x.ctx, 5*time.Second)
		defer cancel()
		var yes bool
		yes, last = chromedp.Run(ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		return yes && last == nil
	}, func() string { return fmt.Sprint(last, "\n", x.describe()) })
}

// at waits for a page by its path.
func (x *tab) at(path string) {
	x.t.Helper()
	x.until(fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, path))
}

// shows waits for a text on the page, in what is visible of an element.
func (x *tab) shows(selector, text string) {
	x.t.Helper()
	x.until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text))
}

// has waits for an element that can be seen, on a page that is there as a whole.
func (x *tab) has(selector string) {
	x.t.Helper()
	x.until(`document.readyState === "complete" && ` + visible(selector))
}

// lacks waits until there is none.
func (x *tab) lacks(selector string) {
	x.t.Helper()
	x.until(`!(` + visible(selector) + `)`)
}

func visible(selector string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility())`, selector)
}

func (x *tab) text(selector string) string {
	x.t.Helper()
	return eval[string](x, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// click uses the mouse.
func (x *tab) click(selector string) {
	x.t.Helper()
	x.has(selector)
	x.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// fill writes into a field with the keyboard.
func (x *tab) fill(selector, value string) {
	x.t.Helper()
	x.has(selector)
	eval[chromedp.Void](x, fmt.Sprintf(`{ const e = document.querySelector(%q); e.focus(); e.value = ""; undefined }`, selector))
	x.do("fill "+selector, chromedp.SendKeys(chromedp.CSS(selector), value))
}

// jar is what a URL would be sent.
func (x *tab) jar(urls ...string) map[string]*network.Cookie {
	x.t.Helper()
	if urls == nil {
		urls = []string{x.url + "/"}
	}
	got, err := chromedp.Call(x.ctx, network.GetCookies, network.GetCookiesParams{URLs: urls})
	require.NoError(x.t, err)
	cookies := map[string]*network.Cookie{}
	for _, c := range got.Cookies {
		cookies[c.Name] = c
	}
	return cookies
}

// status is what GET session answers in this browser: a request that is no activity.
func (x *tab) status() status {
	x.t.Helper()
	var s status
	body := eval[string](x, `fetch("/auth/session").then((r) => r.text())`)
	require.NoError(x.t, json.Unmarshal([]byte(body), &s), body)
	return s
}

type status struct {
	IsAuthenticated bool
	Reason          string
	RemainingTime   int
	User            struct{ Username, Role string }
	Session         struct{ ID string }
}

// login signs in with the form of the page.
func (x *tab) login(username string, remember bool) {
	x.t.Helper()
	x.open("/login")
	x.signIn(username, x.p.password, remember)
	x.until(`location.pathname !== "/login"`)
	x.shows(who, username)
}

func (x *tab) signIn(username, password string, remember bool) {
	x.t.Helper()
	x.fill(signInForm+` [name=username]`, username)
	x.fill(signInForm+` [name=password]`, password)
	if remember {
		x.click(signInForm + ` [name=remember]`)
	}
	x.click(signInForm + ` button:not([type=button])`)
}

// logout uses the form of the page.
func (x *tab) logout() {
	x.t.Helper()
	x.click(signOutForm + ` button`)
	x.lacks(who)
}

// inject runs a script in each page before those of the page.
func (x *tab) inject(script string) {
	x.t.Helper()
	_, err := chromedp.Call(x.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	require.NoError(x.t, err)
}

// offline pulls the plug, or puts it in again.
func (x *tab) offline(off bool) {
	x.t.Helper()
	_, err := chromedp.Call(x.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1, Offline: off}},
	})
	require.NoError(x.t, err)
	_, err = chromedp.Call(x.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: off, DownloadThroughput: -1, UploadThroughput: -1,
	})
	require.NoError(x.t, err)
}

// describe says for a failed test where it was, and leaves a picture.
func (x *tab) describe() string {
	ctx, cancel := context.WithTimeout(x.ctx, 5*time.Second)
	defer cancel()
	where, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body?.innerText ?? "").slice(0, 1500)`))
	if err != nil {
		return err.Error()
	}
	x.t.Logf("the tab is at %s", where)
	return where
}

// within asks for a condition until it holds; what is said is said when it does not.
func within(t *testing.T, limit time.Duration, otherwise string, holds func() bool, more ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, say := range more {
				otherwise += "\n" + say()
			}
			t.Fatal(otherwise)
		}
	}
}

const (
	who         = "#who"
	signInForm  = "#sign-in"
	signOutForm = "#sign-out"
)

// stream is where the page's clock comes from.
const stream = "/api/clock"

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), v), text)
}
