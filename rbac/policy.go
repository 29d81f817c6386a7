// Who may do what: roles, what they inherit, and what they permit.

package rbac

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Role is what a [Policy] says of a role.
type Role struct {
	// Inherits names the roles that this one includes: it passes where they pass,
	// and has their permissions.
	Inherits []string

	// Permissions are segments of ASCII letters, digits, '-' and '_', joined by
	// ':', such as posts:write. A last segment "*" stands for whatever may follow,
	// one segment or more: posts:* covers posts:write and posts:comments:write, but
	// not posts. "*" alone covers every permission.
	Permissions []string
}

// A Policy says what each role may do. All is worked out when it is made: what it
// is asked later costs a few look-ups in maps, and no memory. It may be used from
// many goroutines, also while it is replaced.
//
// Names of roles and permissions are compared exactly. Whoever has no role, or one
// that the policy does not have, may do nothing.
type Policy struct {
	table atomic.Pointer[table]

	mu     sync.Mutex        // held to replace the table, and to add to what is needed
	needed map[need]struct{} // by the guards
}

// NewPolicy makes a policy of roles, which are copied. Its error tells of every
// fault at once, with the name of the role: one that inherits an unknown role or,
// however far round, itself; a permission that is not written as one; a role
// without a name. A policy without roles is a fault too.
func NewPolicy(roles map[string]Role) (*Policy, error) {
	p := &Policy{}
	if err := p.Replace(roles); err != nil {
		return nil, err
	}
	return p, nil
}

// Replace puts other roles in the place of all that the policy had. A request
// that is looked at meanwhile is judged by the old roles or by the new ones, never
// by some of each, unless it passes several guards.
//
// Replace returns the errors of [NewPolicy]. It also refuses roles with which a
// guard would make no sense that has been made before: one that asks for a role
// they do not have, or for a permission that none of them has. Its error names all
// of these. After an error the policy is what it was.
func (p *Policy) Replace(roles map[string]Role) error {
	t, err := newTable(roles)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var faults []error
	for n := range p.needed {
		if err := t.lacks(n); err != nil {
			faults = append(faults, fmt.Errorf("rbac: a guard asks for %w", err))
		}
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return errors.Join(faults...)
	}
	p.table.Store(&t)
	return nil
}

// Allows reports whether the role has the permission. Nobody has one that is not
// written as one permission is: with an empty segment, or with a "*".
func (p *Policy) Allows(role, permission string) bool {
	return isPermission(permission) && p.current()[role].allows(permission)
}

// Includes reports whether role is the other one or inherits it.
func (p *Policy) Includes(role, other string) bool {
	return p.current()[role].includes[other]
}

// current returns the table that holds now. Whoever asks it twice asks one table.
func (p *Policy) current() table {
	if t := p.table.Load(); t != nil {
		return *t
	}
	return nil // of a Policy that NewPolicy has not made
}

// need notes what a guard asks for, so that no later table lacks it. It is an
// error if the present one does.
func (p *Policy) need(kind string, names []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.current()
	for _, name := range names {
		if err := t.lacks(need{kind, name}); err != nil {
			return err
		}
	}
	if p.needed == nil {
		p.needed = map[need]struct{}{}
	}
	for _, name := range names {
		p.needed[need{kind, name}] = struct{}{}
	}
	return nil
}

// A need is what a guard asks for.
type need struct{ kind, name string }

const (
	aRole       = "role"
	aPermission = "permission"
)

// A table has the grants of each role. It is never changed.
type table map[string]grants

// grants is what a role has, itself and by inheritance.
type grants struct {
	includes map[string]bool // roles, itself among them
	exact    map[string]bool // permissions
	below    map[string]bool // "posts" for posts:*
	all      bool            // for "*"
}

// allows asks for a permission that is written as one.
func (g grants) allows(permission string) bool {
	if g.all || g.exact[permission] {
		return true
	}
	for i := range len(permission) {
		if permission[i] == ':' && g.below[permission[:i]] {
			return true
		}
	}
	return false
}

// lacks returns an error that names what is needed, if nobody can have it.
func (t table) lacks(n need) error {
	_, defined := t[n.name]
	switch {
	case n.kind == aRole && !defined:
		return fmt.Errorf("the role %q, which the policy does not have", n.name)
	case n.kind == aPermission && !isPermission(n.name):
		return fmt.Errorf("the permission %q, which is not written like posts:write", n.name)
	case n.kind == aPermission && !t.anybody(n.name):
		return fmt.Errorf("the permission %q, which no role has", n.name)
	}
	return nil
}

// anybody reports whether a role has the permission.
func (t table) anybody(permission string) bool {
	for _, g := range t {
		if g.allows(permission) {
			return true
		}
	}
	return false
}

func newTable(roles map[string]Role) (table, error) {
	if err := check(roles); err != nil {
		return nil, err
	}
	t := make(table, len(roles))
	for name := range roles {
		t.add(name, roles)
	}
	return t, nil
}

// add works out the grants of a role, and before those of all that it inherits.
func (t table) add(name string, roles map[string]Role) grants {
	if g, ok := t[name]; ok {
		return g
	}
	g := grants{
		includes: map[string]bool{name: true},
		exact:    map[string]bool{},
		below:    map[string]bool{},
	}
	for _, permission := range roles[name].Permissions {
		if permission == "*" {
			g.all = true
		} else if above, ok := strings.CutSuffix(permission, ":*"); ok {
			g.below[above] = true
		} else {
			g.exact[permission] = true
		}
	}
	for _, other := range roles[name].Inherits {
		inherited := t.add(other, roles)
		maps.Copy(g.includes, inherited.includes)
		maps.Copy(g.exact, inherited.exact)
		maps.Copy(g.below, inherited.below)
		g.all = g.all || inherited.all
	}
	t[name] = g
	return g
}

// check returns every fault at once, in an order that is always the same.
func check(roles map[string]Role) error {
	if len(roles) == 0 {
		return errors.New("rbac: a policy needs at least one role")
	}
	var faults []error
	fault := func(role, format string, args ...any) {
		faults = append(faults, fmt.Errorf("rbac: role %q "+format, append([]any{role}, args...)...))
	}
	names := slices.Sorted(maps.Keys(roles))
	for _, name := range names {
		if name == "" {
			fault(name, "needs a name")
		}
		for _, other := range roles[name].Inherits {
			if _, ok := roles[other]; !ok {
				fault(name, "inherits %q, which is not defined", other)
			}
		}
		for _, permission := range roles[name].Permissions {
			if permission != "*" && !isPermission(strings.TrimSuffix(permission, ":*")) {
				fault(name, "has the permission %q, which is not written like posts:write, posts:* or *", permission)
			}
		}
	}
	for _, circle := range circles(roles, names) {
		fault(circle[0], "inherits itself: %s", strings.Join(circle, " > "))
	}
	return errors.Join(faults...)
}

// circles returns, for each inheritance that closes a circle, the way round from
// a role back to it.
func circles(roles map[string]Role, names []string) (found [][]string) {
	var path []string         // from where the search began to where it is
	open := map[string]bool{} // true on the path, false where it has been
	var search func(name string)
	search = func(name string) {
		path, open[name] = append(path, name), true
		for _, other := range roles[name].Inherits {
			if onPath, seen := open[other]; !seen {
				search(other)
			} else if onPath {
				circle := slices.Clone(path[slices.Index(path, other):])
				found = append(found, append(circle, other))
			}
		}
		path, open[name] = path[:len(path)-1], false
	}
	for _, name := range names {
		if _, seen := open[name]; !seen {
			search(name)
		}
	}
	return found
}

// isPermission reports whether s is written as the name of one permission.
func isPermission(s string) bool {
	empty := true // the segment so far
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			empty = false
		case c == ':' && !empty:
			empty = true
		default:
			return false
		}
	}
	return !empty
}
