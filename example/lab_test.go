// The lab: what it breaks, and that it is there in development only.

package main

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func labStory(t *testing.T, p program) {
	c := signedIn(t, p, "viewer")
	c.accept = script
	require.Equal(t, 401, newCaller(t, p, script).post("/lab/database", "").status)

	// Twenty at once when a refresh is due: one new cookie, and nobody is signed out.
	require.Equal(t, 200, c.post("/lab/due", "").status)
	answers := make([]answer, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = c.post("/api/activity", "") })
	}
	all.Wait()
	renewed := 0
	for _, a := range answers {
		require.Equal(t, 200, a.status, a.body)
		if strings.Contains(a.body, `"renewed":true`) {
			renewed++
		}
	}
	require.Equal(t, 1, renewed)

	// Another key: signed in still, with one new cookie.
	require.Contains(t, c.post("/lab/key", "").body, `"keys":2`)
	require.Contains(t, c.post("/api/activity", "").body, `"renewed":true`)
	require.Contains(t, c.post("/api/activity", "").body, `"renewed":false`)

	// Too many devices, and again when there are as many as may be: this one stays.
	for range 2 {
		var limit struct {
			Limit, SignedIn, Live int
			Ended                 []string
		}
		require.NoError(t, json.Unmarshal([]byte(c.post("/lab/limit", "").body), &limit))
		require.Equal(t, [3]int{20, 22, 20}, [3]int{limit.Limit, limit.SignedIn, limit.Live})
		require.GreaterOrEqual(t, len(limit.Ended), 3)
		require.Equal(t, 200, c.get("/api/me").status)
	}

	// An old cookie ends the session, when it comes too late to be an accident.
	var replay struct{ Steps []string }
	require.NoError(t, json.Unmarshal([]byte(c.post("/lab/replay", "").body), &replay))
	require.Equal(t, []string{
		"a refresh is due, and the old cookie is replaced: 200",
		"the new cookie: 200",
		"the old one beside it, as a request does that was under way: 200",
		"the old one a minute later, so somebody has a copy: 401 SESSION_INVALID",
		"the new one, whose session has ended too: 401 SESSION_INVALID reuse",
	}, replay.Steps)
	c.accept = visitor
	c.get("/dashboard").leads(t, "/login?error=SESSION_INVALID&next=%2Fdashboard")
	c.get("/login?error=SESSION_INVALID").shows(t, 200, "because an old copy of your cookie was used")
}

// A database that does not answer signs nobody out.
func TestLabDatabase(t *testing.T) {
	p := start(t, "-db", temporary(t))
	c, other := signedIn(t, p, "viewer"), newCaller(t, p, script)
	c.accept = script
	require.NotContains(t, c.post("/lab/database", "").body, `"databaseBrokenFor":0,`)
	for _, a := range []answer{other.login("viewer", demoPassword), c.get("/api/editor")} {
		require.Contains(t, []int{503, 403}, a.status)
	}
	require.Equal(t, "STORE_UNAVAILABLE", other.login("viewer", demoPassword).code(t))
	require.Equal(t, 200, other.get("/lab/state").status)
	c.accept = visitor
	c.get("/notes").shows(t, 503, "The session store does not answer.")
}

func TestLabIsForDevelopment(t *testing.T) {
	t.Setenv("JWT_SECRET", someSecret)
	inReleaseMode(t)
	p := start(t, "-db", temporary(t))
	c := newCaller(t, p, visitor)
	for _, path := range []string{"/lab", "/lab/state"} {
		require.Equal(t, 404, c.get(path).status, path)
	}
	for _, path := range []string{"/lab/database", "/lab/key", "/lab/due", "/lab/replay", "/lab/limit"} {
		require.Equal(t, 404, c.form(path).status, path)
	}
	require.NotContains(t, c.get("/").body, `"/lab"`)
}
