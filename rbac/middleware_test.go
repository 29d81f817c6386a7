// The guards, through HTTP.

package rbac_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

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

// A site has a route for each guard, whose handler answers "reached".
type site struct {
	t      testing.TB
	db     *gorm.DB
	users  byID
	engine *gin.Engine
}

type guards map[string][]gin.HandlerFunc

func newSite(t testing.TB, routes guards) *site {
	t.Helper()
	s := &site{t: t, db: modelstest.SQLite(t).Open(t), users: byID{roles: map[string]string{}}, engine: gin.New()}
	require.NoError(t, models.MigrateSessions(s.db))
	sessions, err := ginsession.New(s.db, ginsession.Config{
		Keys:         []ginsession.Key{"a key that is long enough for a test"},
		Users:        s.users,
		Logger:       slog.New(slog.DiscardHandler),
		Now:          func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) },
		StoreTimeout: time.Minute, // the machine may be busy
	})
	require.NoError(t, err)
	s.engine.Use(sessions.Load)
	s.engine.POST("/as", func(c *gin.Context) {
		_, err := sessions.Open(c, ginsession.Identity{UserID: c.Query("id")}, false)
		require.NoError(t, err)
	})
	for path, handlers := range routes {
		reached := func(c *gin.Context) { c.String(http.StatusOK, "reached") }
		s.engine.GET(path, append(handlers, reached)...)
	}
	return s
}

// as returns a browser in which a user is signed in who has the role.
func (s *site) as(id, role string) *ginsessiontest.Client {
	s.t.Helper()
	s.users.roles[id] = role
	c := ginsessiontest.NewClient(s.engine)
	require.Equal(s.t, 200, c.Do("POST", "/as?id="+url.QueryEscape(id), "", nil).StatusCode)
	return c
}

// denied returns the events of refusals, in their order.
func (s *site) denied() []models.Event {
	s.t.Helper()
	var events []models.Event
	require.NoError(s.t, s.db.Where("name = ?", "authz_fail").Order("id").Find(&events).Error)
	return events
}

// byID knows the roles of users.
type byID struct {
	ginsession.Users
	roles map[string]string
}

func (u byID) Identity(_ context.Context, id string) (ginsession.Identity, error) {
	return ginsession.Identity{UserID: id, Role: u.roles[id]}, nil
}

// is expects an answer: reached with 200, and otherwise the code and not reached.
func is(t *testing.T, want string, answer ginsessiontest.Response, about ...any) {
	t.Helper()
	switch want {
	case "reached":
		require.Equal(t, 200, answer.StatusCode, about...)
		require.Equal(t, "reached", answer.Text, about...)
	default:
		require.Equal(t, ginsession.Code(want).Status(), answer.StatusCode, about...)
		require.Contains(t, answer.Text, `"code":"`+want+`"`, about...)
		require.NotContains(t, answer.Text, "reached", about...)
	}
}

func noOwner(*gin.Context) (string, error) { return "", nil }

func TestRequireRole(t *testing.T) {
	s := newSite(t, guards{
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
		c := s.as("1", role)
		for path, status := range want {
			code := "reached"
			if status == 403 {
				code = "ROLE_REQUIRED"
			}
			is(t, code, c.Get(path), "%q at %s", role, path)
		}
	}
	for _, path := range []string{"/one", "/either", "/both"} {
		is(t, "SESSION_NOT_FOUND", ginsessiontest.NewClient(s.engine).Get(path))
	}
}

func TestRolesAreCopied(t *testing.T) {
	roles := []string{"admin"}
	permissions := []string{"posts:publish"}
	p := newPolicy(t, magazine())
	s := newSite(t, guards{
		"/x": {rbac.RequireRole(roles...)},
		"/y": {p.RequireRole(roles...)},
		"/z": {p.RequireAll(permissions...)},
	})
	roles[0], permissions[0] = "reader", "posts:read"
	c := s.as("1", "reader")
	is(t, "ROLE_REQUIRED", c.Get("/x"))
	is(t, "ROLE_REQUIRED", c.Get("/y"))
	is(t, "PERMISSION_REQUIRED", c.Get("/z"))
}

func TestGuardsWithoutSensePanicWhenTheyAreMade(t *testing.T) {
	p := newPolicy(t, map[string]rbac.Role{
		"writer": {Permissions: []string{"posts:write", "comments:*"}},
		"editor": {Inherits: []string{"writer"}},
	})
	for want, make := range map[string]func(){
		"rbac: RequireRole needs at least one role": func() { rbac.RequireRole() },
		"rbac: RequireRole was given an empty role": func() { rbac.RequireRole("admin", "") },

		"rbac: RequireRole needs at least one role ":                                                 func() { p.RequireRole() },
		"rbac: RequireRole was given an empty role ":                                                 func() { p.RequireRole("editor", "") },
		`rbac: RequireRole was given the role "admin", which the policy does not have`:               func() { p.RequireRole("editor", "admin") },
		`rbac: RequireRole was given the role "Editor", which the policy does not have`:              func() { p.RequireRole("Editor") },
		`rbac: RequireRole was given the role "*", which the policy does not have`:                   func() { p.RequireRole("*") },
		"rbac: Require was given an empty permission":                                                func() { p.Require("") },
		`rbac: Require was given the permission "posts:wriet", which no role has`:                    func() { p.Require("posts:wriet") },
		`rbac: Require was given the permission "comments", which no role has`:                       func() { p.Require("comments") },
		`rbac: Require was given the permission "comments:*", which is not written like posts:write`: func() { p.Require("comments:*") },
		`rbac: Require was given the permission "*", which is not written like posts:write`:          func() { p.Require("*") },
		"rbac: RequireAll needs at least one permission":                                             func() { p.RequireAll() },
		"rbac: RequireAll was given an empty permission":                                             func() { p.RequireAll("posts:write", "") },
		`rbac: RequireAll was given the permission "posts:read", which no role has`:                  func() { p.RequireAll("posts:write", "posts:read") },
		`rbac: RequireOwner was given the permission "posts:read", which no role has`:                func() { p.RequireOwner("posts:read", noOwner) },
		"rbac: RequireOwner needs a function that says who the owner is":                             func() { p.RequireOwner("posts:write", nil) },
	} {
		require.PanicsWithValue(t, strings.TrimSpace(want), make)
	}
	require.PanicsWithValue(t, "rbac: RequireRole was given an empty role", func() { rbac.RequireRole("") })
	for _, make := range []func(){
		func() { p.RequireRole("writer", "editor") },
		func() { p.Require("comments:delete:all") },
		func() { p.RequireAll("posts:write", "posts:write") },
		func() { p.RequireOwner("", noOwner) },
	} {
		require.NotPanics(t, make)
	}
}

func TestGuardsOfAPolicy(t *testing.T) {
	p := newPolicy(t, magazine())
	s := newSite(t, guards{
		"/writer":    {p.RequireRole("writer")},
		"/either":    {p.RequireRole("moderator", "writer")},
		"/both":      {p.RequireRole("moderator"), p.RequireRole("writer")},
		"/write":     {p.Require("posts:write")},
		"/delete":    {p.Require("comments:delete")},
		"/users":     {p.Require("users:delete")},
		"/all":       {p.RequireAll("comments:delete", "posts:write")},
		"/exact":     {rbac.RequireRole("writer")},
		"/exact-all": {rbac.RequireRole("writer"), p.Require("posts:write")},
	})
	everywhere := "/all /both /delete /either /exact /exact-all /users /write /writer"
	for role, passes := range map[string]string{
		"admin":     "/all /both /delete /either /users /write /writer",
		"editor":    "/all /both /delete /either /write /writer",
		"writer":    "/all /delete /either /exact /exact-all /write /writer",
		"moderator": "/delete /either",
		"reader":    "",
		"guest":     "",
		"":          "",
		"nobody":    "",
		"Admin":     "",
		" admin":    "",
		"admin\n":   "",
		"*":         "",
	} {
		c := s.as("1", role)
		for _, path := range strings.Fields(everywhere) {
			want := "reached"
			if !slices.Contains(strings.Fields(passes), path) {
				want = "PERMISSION_REQUIRED"
				if slices.Contains(strings.Fields("/both /either /exact /exact-all /writer"), path) {
					want = "ROLE_REQUIRED"
				}
			}
			is(t, want, c.Get(path), "%q at %s", role, path)
		}
	}
	for _, path := range strings.Fields(everywhere) {
		is(t, "SESSION_NOT_FOUND", ginsessiontest.NewClient(s.engine).Get(path))
	}
}

func TestOwners(t *testing.T) {
	p := newPolicy(t, magazine())
	asked := 0
	owner := func(c *gin.Context) (string, error) {
		asked++
		switch id := c.Query("of"); id {
		case "missing":
			return "ada", ginsession.ErrUserNotFound
		case "down":
			return "ada", &ginsession.Error{Code: ginsession.ErrStoreUnavailable, Err: errors.New("no connection")}
		case "bug":
			return "ada", errors.New("a bug")
		case "answered":
			c.String(http.StatusGone, "gone")
			c.Abort()
			return "", nil
		default:
			return id, nil
		}
	}
	s := newSite(t, guards{
		"/or":   {p.RequireOwner("comments:delete", owner)},
		"/only": {p.RequireOwner("", owner)},
	})
	ada, bob, root := s.as("ada", "reader"), s.as("bob", ""), s.as("root", "admin")
	for _, test := range []struct {
		name  string
		who   *ginsessiontest.Client
		path  string
		want  string
		asked int
	}{
		{"her own", ada, "/or?of=ada", "reached", 1},
		{"her own alone", ada, "/only?of=ada", "reached", 1},
		{"his own, without a role", bob, "/or?of=bob", "reached", 1},
		{"another's", ada, "/or?of=bob", "PERMISSION_REQUIRED", 1},
		{"another's alone", ada, "/only?of=bob", "PERMISSION_REQUIRED", 1},
		{"other case", ada, "/or?of=Ada", "PERMISSION_REQUIRED", 1},
		{"with a space", ada, "/or?of=ada+", "PERMISSION_REQUIRED", 1},
		{"nobody's", ada, "/or", "PERMISSION_REQUIRED", 1},
		{"nobody's alone", bob, "/only", "PERMISSION_REQUIRED", 1},
		{"permitted", root, "/or?of=ada", "reached", 0},
		{"permitted, nobody's", root, "/or", "reached", 0},
		{"permitted, whatever owner says", root, "/or?of=bug", "reached", 0},
		{"nothing overrides", root, "/only?of=ada", "PERMISSION_REQUIRED", 1},
		{"owner's own code", ada, "/or?of=missing", "USER_NOT_FOUND", 1},
		{"owner's own error", ada, "/only?of=down", "STORE_UNAVAILABLE", 1},
		{"owner fails", ada, "/or?of=bug", "INTERNAL", 1},
		{"not signed in", ginsessiontest.NewClient(s.engine), "/or?of=ada", "SESSION_NOT_FOUND", 0},
		{"not signed in, nobody's", ginsessiontest.NewClient(s.engine), "/only", "SESSION_NOT_FOUND", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked = 0
			is(t, test.want, test.who.Get(test.path))
			require.Equal(t, test.asked, asked)
		})
	}
	answer := ada.Get("/or?of=answered")
	require.Equal(t, http.StatusGone, answer.StatusCode)
	require.Equal(t, "gone", answer.Text)
}

func TestADenialSaysWhatWasNeeded(t *testing.T) {
	p := newPolicy(t, magazine())
	for name, test := range map[string]struct {
		guard         gin.HandlerFunc
		code, message string
		detail        string
	}{
		"exact role": {
			rbac.RequireRole("admin"),
			"ROLE_REQUIRED", "Your role does not allow this: it needs the role admin.", "it needs the role admin",
		},
		"role": {
			p.RequireRole("admin"),
			"ROLE_REQUIRED", "Your role does not allow this: it needs the role admin.", "it needs the role admin",
		},
		"roles": {
			p.RequireRole("writer", "editor"),
			"ROLE_REQUIRED", "Your role does not allow this: it needs one of the roles writer, editor.", "it needs one of the roles writer, editor",
		},
		"permission": {
			p.Require("posts:write"),
			"PERMISSION_REQUIRED", "Your role does not permit this: it needs the permission posts:write.", "it needs the permission posts:write",
		},
		"permissions": {
			p.RequireAll("posts:read", "posts:write"),
			"PERMISSION_REQUIRED", "Your role does not permit this: it needs the permissions posts:read, posts:write.", "it needs the permissions posts:read, posts:write",
		},
		"one of all": {
			p.RequireAll("posts:write"),
			"PERMISSION_REQUIRED", "Your role does not permit this: it needs the permission posts:write.", "it needs the permission posts:write",
		},
		"owner or permission": {
			p.RequireOwner("posts:delete", noOwner),
			"PERMISSION_REQUIRED", "Your role does not permit this: it needs the permission posts:delete, unless it is your own.", "it needs the permission posts:delete, unless it is your own",
		},
		"owner": {
			p.RequireOwner("", noOwner),
			"PERMISSION_REQUIRED", "Your role does not permit this: only the owner may.", "only the owner may",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, guards{"/x/:id": {test.guard}})
			answer := s.as("ada", "reader").Get("/x/7")
			require.Equal(t, 403, answer.StatusCode)
			require.Equal(t, fmt.Sprintf(`{"error":{"code":%q,"message":%q,"timestamp":"2030-01-01T00:00:00Z"}}`, test.code, test.message), answer.Text)
			events := s.denied()
			require.Len(t, events, 1)
			require.Equal(t, []string{"ada", "failure", test.code, "GET /x/:id: " + test.detail},
				[]string{string(events[0].UserID), events[0].Outcome, events[0].Reason, events[0].Detail})
			require.NotEmpty(t, events[0].SessionID)
		})
	}
}

func TestReplaceHoldsForTheNextRequest(t *testing.T) {
	p := newPolicy(t, magazine())
	s := newSite(t, guards{"/role": {p.RequireRole("writer")}, "/write": {p.Require("posts:write")}, "/own": {p.RequireOwner("posts:write", noOwner)}})
	c := s.as("1", "reader")
	for _, path := range []string{"/role", "/write", "/own"} {
		require.Equal(t, 403, c.Get(path).StatusCode)
	}
	roles := magazine()
	roles["reader"] = rbac.Role{Inherits: []string{"writer"}}
	roles["writer"] = rbac.Role{Permissions: []string{"posts:write"}}
	require.NoError(t, p.Replace(roles))
	for _, path := range []string{"/role", "/write", "/own"} {
		is(t, "reached", c.Get(path))
	}
	delete(roles, "writer")
	roles["reader"], roles["editor"] = rbac.Role{}, rbac.Role{Permissions: []string{"posts:write"}}
	require.ErrorContains(t, p.Replace(roles), `"writer"`)
	is(t, "reached", c.Get("/role"))
	roles["writer"] = rbac.Role{}
	require.NoError(t, p.Replace(roles))
	for _, path := range []string{"/role", "/write", "/own"} {
		require.Equal(t, 403, c.Get(path).StatusCode)
	}
}

// In each of the two policies the user has the first permission or the last, and
// in none both. The guard takes long to come from the one to the other.
func TestReplaceWhileRequestsRun(t *testing.T) {
	policies := []map[string]rbac.Role{
		{"mover": {Permissions: []string{"first", "way"}}, "all": {Permissions: []string{"*"}}},
		{"mover": {Permissions: []string{"last", "way"}}, "all": {Permissions: []string{"*"}}},
	}
	way := append([]string{"first"}, slices.Repeat([]string{"way"}, 10_000)...)
	p := newPolicy(t, policies[0])
	s := newSite(t, guards{"/both": {p.RequireAll(append(way, "last")...)}, "/role": {p.RequireRole("mover")}})
	var browsers []*ginsessiontest.Client
	for i := range 4 {
		browsers = append(browsers, s.as(fmt.Sprint(i), "mover"))
	}
	var requests sync.WaitGroup
	for _, c := range browsers {
		requests.Go(func() {
			for range 30 {
				if answer := c.Get("/both"); answer.StatusCode != 403 {
					t.Error(answer.StatusCode)
				}
				if answer := c.Get("/role"); answer.StatusCode != 200 {
					t.Error(answer.StatusCode)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { requests.Wait(); close(done) }()
	for i := 0; ; i++ {
		if err := p.Replace(policies[i%2]); err != nil {
			t.Error(err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestARoleChangedInTheDatabaseHoldsForTheNextRequest(t *testing.T) {
	db := modelstest.SQLite(t).Open(t)
	require.NoError(t, models.Migrate(db))
	sessions, err := ginsession.New(db, ginsession.Config{
		Keys:   []ginsession.Key{"a key that is long enough for a test"},
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	p := newPolicy(t, magazine())
	r := gin.New()
	r.Use(sessions.Load)
	ada, err := sessions.Accounts().Create(t.Context(), ginsession.NewUser{Username: "ada", Role: "reader"})
	require.NoError(t, err)
	r.POST("/as", func(c *gin.Context) {
		_, err := sessions.Open(c, ada, false)
		require.NoError(t, err)
	})
	reached := func(c *gin.Context) { c.String(http.StatusOK, "reached") }
	r.GET("/write", p.Require("posts:write"), reached)
	r.GET("/writer", p.RequireRole("writer"), reached)
	c := ginsessiontest.NewClient(r)
	c.Do("POST", "/as", "", nil)
	is(t, "PERMISSION_REQUIRED", c.Get("/write"))
	is(t, "ROLE_REQUIRED", c.Get("/writer"))
	require.NoError(t, sessions.Accounts().SetRole(t.Context(), ada.UserID, "editor"))
	is(t, "reached", c.Get("/write"))
	is(t, "reached", c.Get("/writer"))
	require.NoError(t, db.Model(&models.User{}).Where("id = ?", models.Exact(ada.UserID)).Update("role", "guest").Error)
	is(t, "PERMISSION_REQUIRED", c.Get("/write"))
	is(t, "ROLE_REQUIRED", c.Get("/writer"))
}

func TestGuardsWithoutLoadRefuseAndSaySo(t *testing.T) {
	p := newPolicy(t, magazine())
	for name, guard := range map[string]gin.HandlerFunc{
		"RequireRole":        rbac.RequireRole("admin"),
		"Policy.RequireRole": p.RequireRole("admin"),
		"Require":            p.Require("posts:read"),
		"RequireAll":         p.RequireAll("posts:read"),
		"RequireOwner":       p.RequireOwner("posts:read", noOwner),
		"owner only":         p.RequireOwner("", noOwner),
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			defer slog.SetDefault(before)
			r := gin.New()
			r.GET("/admin", guard, func(c *gin.Context) { c.String(200, "reached") })
			is(t, "INTERNAL", ginsessiontest.NewClient(r).Get("/admin"))
			require.Contains(t, log.String(), "level=ERROR")
			require.Contains(t, log.String(), "a guard runs without sessions.Load before it")
			require.Contains(t, log.String(), "route=/admin")
		})
	}
}

func TestAGuardThatPassesAllocatesNothing(t *testing.T) {
	p := newPolicy(t, magazine())
	owner := func(c *gin.Context) (string, error) { return "1", nil }
	for name, guard := range map[string]gin.HandlerFunc{
		"RequireRole":        rbac.RequireRole("reader", "editor"),
		"Policy.RequireRole": p.RequireRole("moderator", "writer"),
		"Require":            p.Require("posts:drafts:publish"),
		"RequireAll":         p.RequireAll("posts:read", "posts:write", "comments:delete"),
		"RequireOwner":       p.RequireOwner("posts:delete", owner),
		"owner":              p.RequireOwner("users:delete", owner),
	} {
		s := newSite(t, guards{"/x": {func(c *gin.Context) {
			require.Zero(t, testing.AllocsPerRun(100, func() { guard(c) }), name)
		}}})
		is(t, "reached", s.as("1", "editor").Get("/x"), name)
	}
}

func BenchmarkRequireRole(b *testing.B) {
	benchmark(b, rbac.RequireRole("admin", "editor"))
}

func BenchmarkPolicyRequireRole(b *testing.B) {
	benchmark(b, newPolicy(b, magazine()).RequireRole("admin", "writer"))
}

func BenchmarkPolicyRequire(b *testing.B) {
	benchmark(b, newPolicy(b, magazine()).Require("posts:drafts:publish"))
}

func BenchmarkPolicyRequireAll(b *testing.B) {
	benchmark(b, newPolicy(b, magazine()).RequireAll("posts:read", "posts:write", "comments:delete"))
}

func BenchmarkPolicyRequireOwner(b *testing.B) {
	benchmark(b, newPolicy(b, magazine()).RequireOwner("users:delete", func(*gin.Context) (string, error) { return "1", nil }))
}

// benchmark lets an editor pass again and again.
func benchmark(b *testing.B, guard gin.HandlerFunc) {
	s := newSite(b, guards{"/x": {func(c *gin.Context) {
		b.ReportAllocs()
		for b.Loop() {
			guard(c)
		}
	}}})
	if answer := s.as("1", "editor").Get("/x"); answer.StatusCode != 200 {
		b.Fatal(answer.Text)
	}
}
