// The lab of the example: what a session makes of what goes wrong.

package browsertest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// problem remembers that the page has told of one, however shortly.
const problem = `setInterval(() => { if (document.getElementById("problem")?.checkVisibility()) window.problem = true; }, 20)`

func TestALostDatabaseSignsNobodyOut(t *testing.T) {
	t.Parallel()
	p := start(t)
	b := somebody(t, p)
	x, y := b.tab(), b.tab()
	for _, tab := range []*tab{x, y} {
		tab.inject(problem)
		tab.foresee(unavailable)
	}
	x.login("viewer", false)
	x.open("/lab")
	y.open("/react")
	y.shows("#profile", "viewer")
	cookie := x.jar()["session"].Value

	x.click("#lab-database")
	y.click("#profile button") // extend
	y.until(`window.problem`)
	y.shows("#profile", "viewer")
	x.until(`window.problem`)
	x.shows(who, "viewer")
	x.shows("#lab-state", "it answers") // ten seconds later
	x.lacks("#problem")
	y.lacks("#problem")
	y.shows("#profile", "viewer")

	// A page has to be loaded while it lasts.
	within(t, patience, "no page tells of it", func() bool {
		x.click("#lab-database")
		y.open("/notes")
		return strings.Contains(y.text("h1"), "Unavailable")
	})
	require.False(t, eval[bool](y, visible(signInForm)), "nobody is asked to sign in")
	x.shows("#lab-state", "it answers")
	y.open("/notes")
	y.shows(who, "viewer")
	require.Equal(t, cookie, x.jar()["session"].Value)
}

func TestTheLabShowsWhatASessionStands(t *testing.T) {
	t.Parallel()
	p := start(t, "-max-sessions", "5")
	x := somebody(t, p).tab()
	result := func(button string, v any) {
		t.Helper()
		x.click(button)
		x.until(`document.getElementById("lab-result").innerText.startsWith("{") && !document.querySelector("` + button + `").disabled`)
		unmarshal(t, x.text("#lab-result"), v)
	}
	x.login("viewer", false)
	x.open("/lab")

	kid := x.kid()
	var key struct {
		Keys          int
		First, Second struct {
			Status    int
			NewCookie bool
		}
	}
	result("#lab-key", &key)
	require.Equal(t, 2, key.Keys)
	require.Equal(t, []any{200, true, 200, false}, []any{key.First.Status, key.First.NewCookie, key.Second.Status, key.Second.NewCookie})
	require.NotEqual(t, kid, x.kid())

	var parallel struct {
		Requests, Answered200, NewCookies int
		SignedIn                          bool
	}
	before := x.cookies()
	result("#lab-parallel", &parallel)
	require.Equal(t, []any{20, 20, 1, true}, []any{parallel.Requests, parallel.Answered200, parallel.NewCookies, parallel.SignedIn})
	require.Equal(t, before+1, x.cookies())

	var limit struct {
		Limit, SignedIn, Live int
		Ended                 []any
	}
	result("#lab-limit", &limit)
	require.Equal(t, []int{5, 7, 5}, []int{limit.Limit, limit.SignedIn, limit.Live})
	require.NotEmpty(t, limit.Ended)
	require.True(t, x.status().IsAuthenticated)

	var replay struct {
		Steps    []string
		SignedIn bool
	}
	result("#lab-replay", &replay)
	var statuses []string
	for _, step := range replay.Steps {
		_, status, _ := strings.Cut(step, ": ")
		statuses = append(statuses, status)
	}
	require.Equal(t, []string{"200", "200", "200", "401 SESSION_INVALID", "401 SESSION_INVALID reuse"}, statuses)
	require.False(t, replay.SignedIn)
	p.logs("authn_token_reuse")
	x.open("/lab")
	x.at("/login")
	x.shows("[role=alert]", "old copy of your cookie")
}
