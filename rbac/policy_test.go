// What a policy allows, against tables and against a plain reading of its rules.

package rbac_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/rbac"
)

// magazine is the policy of most tests.
func magazine() map[string]rbac.Role {
	return map[string]rbac.Role{
		"reader":    {Permissions: []string{"posts:read", "comments:read"}},
		"writer":    {Inherits: []string{"reader"}, Permissions: []string{"posts:write", "comments:*"}},
		"moderator": {Inherits: []string{"reader"}, Permissions: []string{"comments:*"}},
		"editor":    {Inherits: []string{"writer", "moderator"}, Permissions: []string{"posts:*", "ads:print:*"}},
		"admin":     {Inherits: []string{"editor"}, Permissions: []string{"*"}},
		"guest":     {},
	}
}

func newPolicy(t testing.TB, roles map[string]rbac.Role) *rbac.Policy {
	t.Helper()
	p, err := rbac.NewPolicy(roles)
	require.NoError(t, err)
	return p
}

func TestAllows(t *testing.T) {
	p := newPolicy(t, magazine())
	for permission, want := range map[string]string{ // the roles that have it
		"posts:read":           "admin editor moderator reader writer",
		"posts:write":          "admin editor writer",
		"posts:publish":        "admin editor",
		"posts:drafts:publish": "admin editor",
		"posts":                "admin",
		"post":                 "admin",
		"postscript":           "admin",
		"posts-old:read":       "admin",
		"Posts:read":           "admin",
		"posts:Read":           "admin editor",
		"read":                 "admin",
		"comments:delete":      "admin editor moderator writer",
		"comments":             "admin",
		"ads":                  "admin",
		"ads:print":            "admin",
		"ads:print:sell":       "admin editor",
		"ads:web:sell":         "admin",
		"users:delete":         "admin",
		"0-_Z":                 "admin",

		// Not the name of one permission.
		"":              "",
		"*":             "",
		"posts:*":       "",
		"posts:":        "",
		":posts":        "",
		"posts::read":   "",
		"posts:read:":   "",
		" posts:read":   "",
		"posts:read ":   "",
		"posts:read\n":  "",
		"posts:re*":     "",
		"posts.read":    "",
		"pósts:read":    "",
		"posts:\x00":    "",
		"posts:read,ad": "",
		"posts:\xff":    "",
	} {
		t.Run(permission, func(t *testing.T) {
			var got []string
			for _, role := range slices.Sorted(maps.Keys(magazine())) {
				if p.Allows(role, permission) {
					got = append(got, role)
				}
			}
			require.Equal(t, want, strings.Join(got, " "))
		})
	}
	for _, role := range []string{"", "nobody", "Admin", "ADMIN", " admin", "admin ", "admin\n", "admin\x00", "admin,editor", "*"} {
		require.False(t, p.Allows(role, "posts:read"), "%q", role)
	}
}

func TestIncludes(t *testing.T) {
	p := newPolicy(t, magazine())
	for role, want := range map[string]string{
		"admin":     "admin editor moderator reader writer",
		"editor":    "editor moderator reader writer",
		"moderator": "moderator reader",
		"writer":    "reader writer",
		"reader":    "reader",
		"guest":     "guest",
		"":          "",
		"Admin":     "",
		" admin":    "",
		"nobody":    "",
	} {
		var got []string
		for _, other := range slices.Sorted(maps.Keys(magazine())) {
			if p.Includes(role, other) {
				got = append(got, other)
			}
		}
		require.Equal(t, want, strings.Join(got, " "), "%q", role)
	}
	require.False(t, p.Includes("", ""))
	require.False(t, p.Includes("nobody", "nobody"))
}

func TestAPolicyThatWasNotMadeAllowsNothing(t *testing.T) {
	var p rbac.Policy
	require.False(t, p.Allows("admin", "posts:read"))
	require.False(t, p.Includes("admin", "admin"))
	require.Panics(t, func() { p.Require("posts:read") })
	require.NoError(t, p.Replace(magazine()))
	require.True(t, p.Allows("admin", "posts:read"))
}

func TestNewPolicyTellsOfEveryFaultAtOnce(t *testing.T) {
	p, err := rbac.NewPolicy(map[string]rbac.Role{
		"":       {},
		"alone":  {Inherits: []string{"alone"}},
		"good":   {Permissions: []string{"a", "a:*", "*", "a:b-c:D_0:*"}},
		"writer": {Inherits: []string{"good", "reader", "Good"}, Permissions: []string{"posts:", "a:*:b"}},
		"x":      {Inherits: []string{"y"}},
		"y":      {Inherits: []string{"x"}, Permissions: []string{""}},
	})
	require.Nil(t, p)
	require.EqualError(t, err, `rbac: role "" needs a name
rbac: role "writer" inherits "reader", which is not defined
rbac: role "writer" inherits "Good", which is not defined
rbac: role "writer" has the permission "posts:", which is not written like posts:write, posts:* or *
rbac: role "writer" has the permission "a:*:b", which is not written like posts:write, posts:* or *
rbac: role "y" has the permission "", which is not written like posts:write, posts:* or *
rbac: role "alone" inherits itself: alone > alone
rbac: role "x" inherits itself: x > y > x`)

	for _, none := range []map[string]rbac.Role{nil, {}} {
		_, err := rbac.NewPolicy(none)
		require.EqualError(t, err, "rbac: a policy needs at least one role")
	}
	for _, permission := range []string{"**", "*:a", "*:*", "a:**", "a*", "a:b*", ":*", "a::*", "a:*:*", "a b", "a:* ", "ä", "a.b", "a/b"} {
		_, err := rbac.NewPolicy(map[string]rbac.Role{"r": {Permissions: []string{permission}}})
		require.ErrorContains(t, err, fmt.Sprintf(`role "r" has the permission %q`, permission))
	}
}

func TestCircles(t *testing.T) {
	for name, test := range map[string]struct {
		inherits map[string]string
		want     string
	}{
		"none":    {map[string]string{"a": "b", "b": "c", "c": ""}, ""},
		"diamond": {map[string]string{"a": "b c", "b": "d", "c": "d", "d": ""}, ""},
		"twice":   {map[string]string{"a": "b b", "b": ""}, ""},
		"self":    {map[string]string{"a": "a"}, `rbac: role "a" inherits itself: a > a`},
		"two":     {map[string]string{"a": "b", "b": "a"}, `rbac: role "a" inherits itself: a > b > a`},
		"three":   {map[string]string{"a": "b", "b": "c", "c": "a"}, `rbac: role "a" inherits itself: a > b > c > a`},
		"further": {map[string]string{"a": "b", "b": "c", "c": "b"}, `rbac: role "b" inherits itself: b > c > b`},
		"eight": {
			map[string]string{"a": "b c", "b": "a", "c": "a"},
			`rbac: role "a" inherits itself: a > b > a` + "\n" + `rbac: role "a" inherits itself: a > c > a`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			roles := map[string]rbac.Role{}
			for role, others := range test.inherits {
				roles[role] = rbac.Role{Inherits: strings.Fields(others)}
			}
			_, err := rbac.NewPolicy(roles)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.want)
			}
		})
	}
}

func TestTheRolesOfAPolicyAreCopied(t *testing.T) {
	roles := magazine()
	p := newPolicy(t, roles)
	roles["reader"].Permissions[0] = "users:delete"
	roles["editor"].Inherits[0] = "guest"
	roles["guest"] = rbac.Role{Permissions: []string{"*"}}
	delete(roles, "admin")
	require.True(t, p.Allows("reader", "posts:read"))
	require.False(t, p.Allows("reader", "users:delete"))
	require.True(t, p.Includes("editor", "writer"))
	require.False(t, p.Allows("guest", "posts:read"))
	require.True(t, p.Allows("admin", "posts:read"))
}

func TestReplace(t *testing.T) {
	p := newPolicy(t, magazine())
	require.NoError(t, p.Replace(map[string]rbac.Role{"guest": {Permissions: []string{"posts:read"}}}))
	require.True(t, p.Allows("guest", "posts:read"))
	require.False(t, p.Allows("admin", "posts:read"))
	require.False(t, p.Includes("admin", "editor"))

	require.ErrorContains(t, p.Replace(map[string]rbac.Role{"a": {Inherits: []string{"b"}}}), `role "a" inherits "b"`)
	require.Error(t, p.Replace(nil))
	require.True(t, p.Allows("guest", "posts:read"), "what is refused changes nothing")
}

func TestReplaceRefusesWhatLeavesAGuardWithoutSense(t *testing.T) {
	p := newPolicy(t, magazine())
	p.RequireRole("writer", "moderator")
	p.Require("posts:write")
	p.RequireAll("posts:write", "comments:read")
	p.RequireOwner("comments:delete", noOwner)
	p.RequireOwner("", noOwner)
	require.Panics(t, func() { p.RequireRole("admin", "nobody") })
	require.Panics(t, func() { p.RequireAll("ads:web:sell", "ads:") }, "of a guard that is not made nothing is needed")

	require.EqualError(t, p.Replace(map[string]rbac.Role{"writer": {Permissions: []string{"comments:read"}}}),
		`rbac: a guard asks for the permission "comments:delete", which no role has
rbac: a guard asks for the permission "posts:write", which no role has
rbac: a guard asks for the role "moderator", which the policy does not have`)
	require.True(t, p.Allows("editor", "posts:publish"), "nothing has changed")
	require.True(t, p.Includes("editor", "moderator"))

	require.NoError(t, p.Replace(map[string]rbac.Role{
		"writer":    {Permissions: []string{"posts:write"}},
		"moderator": {Permissions: []string{"comments:*"}},
	}), "all of it is there, whoever has it")
}

// Of a mixture of the two policies "a" would have the permission "x".
func TestReplaceWhileOthersAsk(t *testing.T) {
	policies := []map[string]rbac.Role{
		{"a": {Inherits: []string{"b"}}, "b": {}, "c": {Permissions: []string{"x"}}},
		{"a": {}, "b": {Permissions: []string{"x"}}, "c": {Permissions: []string{"x"}}},
	}
	p := newPolicy(t, policies[0])
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				if p.Allows("a", "x") || !p.Allows("c", "x") || !p.Includes("b", "b") {
					t.Error("an answer that neither policy gives")
				}
			}
		})
	}
	for i := range 501 {
		if err := p.Replace(policies[i%2]); err != nil {
			t.Error(err)
		}
		p.RequireRole("a") // guards may be made meanwhile
	}
	all.Wait()
	require.True(t, p.Includes("a", "b"))
}

func TestAllowsAllocatesNothing(t *testing.T) {
	p := newPolicy(t, magazine())
	for _, role := range []string{"admin", "editor", "reader", "", "nobody"} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			p.Allows(role, "posts:drafts:publish")
			p.Allows(role, "posts:*")
			p.Includes(role, "writer")
		}), role)
	}
}

// A reference is a policy that works nothing out beforehand.
type reference map[string]rbac.Role

var (
	onePermission  = regexp.MustCompile(`^[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)*$`)
	somePermission = regexp.MustCompile(`^(\*|[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)*(:\*)?)$`)
)

// sound reports whether a policy may be made of it.
func (r reference) sound() bool {
	for name, role := range r {
		if name == "" || slices.ContainsFunc(role.Permissions, func(p string) bool { return !somePermission.MatchString(p) }) {
			return false
		}
		for _, other := range role.Inherits {
			if _, ok := r[other]; !ok || slices.Contains(r.family(other), name) {
				return false
			}
		}
	}
	return len(r) > 0
}

// family returns a role and all that it inherits.
func (r reference) family(role string) []string {
	family := []string{role}
	for i := 0; i < len(family); i++ {
		for _, other := range r[family[i]].Inherits {
			if !slices.Contains(family, other) {
				family = append(family, other)
			}
		}
	}
	return family
}

func (r reference) allows(role, permission string) bool {
	if !onePermission.MatchString(permission) {
		return false
	}
	for _, member := range r.family(role) {
		for _, has := range r[member].Permissions {
			if has == permission || has == "*" ||
				strings.HasSuffix(has, ":*") && strings.HasPrefix(permission, strings.TrimSuffix(has, "*")) {
				return true
			}
		}
	}
	return false
}

// compare makes a policy of r, and asks both for each role.
func (r reference) compare(t *testing.T, permissions ...string) (made bool) {
	t.Helper()
	p, err := rbac.NewPolicy(r)
	if (err == nil) != r.sound() {
		t.Fatalf("%v: sound is %v, the error is %v", r, r.sound(), err)
	}
	if err != nil {
		return false
	}
	roles := append(slices.Sorted(maps.Keys(r)), "", "nobody")
	for _, role := range roles {
		for _, permission := range permissions {
			if got, want := p.Allows(role, permission), r.allows(role, permission); got != want {
				t.Errorf("%v: Allows(%q, %q) = %v", r, role, permission, got)
			}
		}
		for _, other := range roles {
			_, defined := r[role]
			if got, want := p.Includes(role, other), defined && slices.Contains(r.family(role), other); got != want {
				t.Errorf("%v: Includes(%q, %q) = %v", r, role, other, got)
			}
		}
	}
	return true
}

func TestPoliciesByLot(t *testing.T) {
	var all []string // permissions of up to three segments
	for _, a := range []string{"a", "b"} {
		all = append(all, a)
		for _, b := range []string{"a", "b", "c"} {
			all = append(all, a+":"+b, a+":"+b+":a", a+":"+b+":b")
		}
	}
	made, refused := 0, 0
	for seed := range uint64(1500) {
		lot := rand.New(rand.NewPCG(seed, 1))
		pick := func() string {
			permission := all[lot.IntN(len(all))]
			switch lot.IntN(8) {
			case 0:
				return "*"
			case 1, 2, 3:
				return permission + ":*"
			}
			return permission
		}
		r := reference{}
		n := 1 + lot.IntN(7)
		name := func(i int) string { return string(rune('a' + i)) }
		for i := range n {
			var role rbac.Role
			for range lot.IntN(3) {
				switch {
				case lot.IntN(20) == 0:
					role.Inherits = append(role.Inherits, name(lot.IntN(8))) // perhaps unknown, perhaps a circle
				case i > 0:
					role.Inherits = append(role.Inherits, name(lot.IntN(i)))
				}
			}
			for range lot.IntN(3) {
				role.Permissions = append(role.Permissions, pick())
			}
			r[name(i)] = role
		}
		if r.compare(t, append(all, pick(), "*")...) {
			made++
		} else {
			refused++
		}
	}
	require.Greater(t, made, 500)
	require.Greater(t, refused, 100)
}

// FuzzAllows: a policy is made of what is sound, and answers as the reference
// does. A line is a role, what it inherits and what it permits.
func FuzzAllows(f *testing.F) {
	f.Add("reader||posts:read\neditor|reader|posts:*\nadmin|editor|*", "posts:write")
	f.Add("a|b|\nb|c|x:y:*\nc||x", "x:y:z")
	f.Add("a|b|\nb|a|", "x")
	f.Add("a|a|x", "x")
	f.Add("a|b c|\nb|d|\nc|d|\nd||x:*", "x")
	f.Add("a||*", "*")
	f.Add("a||x: :x x::y **", "x:")
	f.Add("|a|\n", "")
	f.Fuzz(func(t *testing.T, text, permission string) {
		r := reference{}
		for line := range strings.SplitSeq(text, "\n") {
			if len(r) == 32 {
				break
			}
			name, rest, _ := strings.Cut(line, "|")
			inherits, permissions, _ := strings.Cut(rest, "|")
			r[name] = rbac.Role{Inherits: strings.Fields(inherits), Permissions: strings.Fields(permissions)}
		}
		r.compare(t, permission)
	})
}

func BenchmarkAllows(b *testing.B) {
	p := newPolicy(b, magazine())
	for name, ask := range map[string][2]string{
		"exact":    {"writer", "posts:write"},
		"wildcard": {"editor", "posts:drafts:publish"},
		"all":      {"admin", "users:delete"},
		"denied":   {"reader", "posts:drafts:publish"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Allows(ask[0], ask[1])
			}
		})
	}
}
