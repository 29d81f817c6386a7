package rbac_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

// newEngine has a route /as/ROLE that signs in a user of that role, and one for
// each guard.
func newEngine(t testing.TB, guards map[string][]gin.HandlerFunc) *gin.Engine {
	t.Helper()
	db := modelstest.SQLite(t).Open(t)
	require.NoError(t, models.MigrateSessions(db))
	users := &byRole{}
	sessions, err := ginsession.New(db, ginsession.Config{
		Keys:   []ginsession.Key{"a key that is long enough for a test"},
		Users:  users,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	r := gin.New()
	r.Use(sessions.Load)
	r.POST("/as", func(c *gin.Context) {
		users.role = c.Query("role")
		_, err := sessions.Open(c, ginsession.Identity{UserID: "1"}, false)
		require.NoError(t, err)
	})
	for path, guard := range guards {
		r.GET(path, append(guard, func(c *gin.Context) { c.String(http.StatusOK, "reached") })...)
	}
	return r
}

// byRole knows one user, who has the role that was last asked for.
type byRole struct {
	ginsession.Users
	role string
}

func (u *byRole) Identity(_ context.Context, id string) (ginsession.Identity, error) {
	return ginsession.Identity{UserID: id, Role: u.role}, nil
}

func TestRequireRole(t *testing.T) {
	r := newEngine(t, map[string][]gin.HandlerFunc{
		"/one":    {rbac.RequireRole("admin")},
		"/either": {rbac.RequireRole("editor", "admin")},
		"/both":   {rbac.RequireRole("editor", "admin"), rbac.RequireRole("admin")},
	})
	for role, want := range map[string]map[string]int{
		"admin":        {"/one": 200, "/either": 200, "/both": 200},
		"editor":       {"/one": 403, "/either": 200, "/both": 403},
		"":             {"/one": 403, "/either": 403, "/both": 403},
		"Admin":        {"/one": 403, "/either": 403, "/both": 403},
		" admin":       {"/one": 403, "/either": 403, "/both": 403},
		"admin\n":      {"/one": 403, "/either": 403, "/both": 403},
		"admin,editor": {"/one": 403, "/either": 403, "/both": 403},
		"*":            {"/one": 403, "/either": 403, "/both": 403},
	} {
		c := ginsessiontest.NewClient(r)
		require.Equal(t, 200, c.Do("POST", "/as?role="+url.QueryEscape(role), "", nil).StatusCode)
		for path, status := range want {
			answer := c.Get(path)
			require.Equal(t, status, answer.StatusCode, "%q at %s", role, path)
			if status == 403 {
				require.Contains(t, answer.Text, `"code":"ROLE_REQUIRED"`)
				require.NotContains(t, answer.Text, "reached")
			}
		}
	}
	for _, path := range []string{"/one", "/either", "/both"} {
		answer := ginsessiontest.NewClient(r).Get(path)
		require.Equal(t, 401, answer.StatusCode)
		require.Contains(t, answer.Text, `"code":"SESSION_NOT_FOUND"`)
		require.NotContains(t, answer.Text, "reached")
	}
}

func TestRolesAreCopied(t *testing.T) {
	roles := []string{"admin"}
	r := newEngine(t, map[string][]gin.HandlerFunc{"/x": {rbac.RequireRole(roles...)}})
	roles[0] = "viewer"
	c := ginsessiontest.NewClient(r)
	c.Do("POST", "/as?role=viewer", "", nil)
	require.Equal(t, 403, c.Get("/x").StatusCode)
}

func TestRequireRoleWithoutRolesPanicsAtRegistration(t *testing.T) {
	require.PanicsWithValue(t, "rbac: RequireRole needs at least one role", func() { rbac.RequireRole() })
	require.PanicsWithValue(t, "rbac: RequireRole was given an empty role", func() { rbac.RequireRole("") })
	require.PanicsWithValue(t, "rbac: RequireRole was given an empty role", func() { rbac.RequireRole("admin", "") })
}

func TestRequireRoleWithoutLoadRefusesAndSaysSo(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	r := gin.New()
	r.GET("/admin", rbac.RequireRole("admin"), func(c *gin.Context) { c.String(200, "reached") })
	answer := ginsessiontest.NewClient(r).Get("/admin")
	require.Equal(t, 500, answer.StatusCode)
	require.NotContains(t, answer.Text, "reached")
	require.Contains(t, log.String(), "level=ERROR")
	require.Contains(t, log.String(), "a guard runs without sessions.Load before it")
	require.Contains(t, log.String(), "route=/admin")
}

func BenchmarkRequireRole(b *testing.B) {
	guard := rbac.RequireRole("editor", "admin")
	r := newEngine(b, map[string][]gin.HandlerFunc{"/x": {func(c *gin.Context) {
		b.ReportAllocs()
		for b.Loop() {
			guard(c)
		}
	}}})
	c := ginsessiontest.NewClient(r)
	c.Do("POST", "/as?role=admin", "", nil)
	if answer := c.Get("/x"); answer.StatusCode != 200 {
		b.Fatal(answer.Text)
	}
}
