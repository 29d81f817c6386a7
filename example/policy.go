// Who may do what.

package main

import (
	"slices"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/rbac"
)

// roleNames are the roles, from the least to the one that includes all others.
func roleNames() []string { return []string{"viewer", "editor", "admin"} }

// newPolicy says what each role may do.
func newPolicy() (*rbac.Policy, error) {
	return rbac.NewPolicy(map[string]rbac.Role{
		"viewer": {Permissions: []string{"notes:write"}},
		"editor": {Inherits: []string{"viewer"}, Permissions: []string{"notes:read-all"}},
		"admin":  {Inherits: []string{"editor"}, Permissions: []string{"users:*", "events:read"}},
	})
}

// mayImpersonate lets nobody become more than he is.
func mayImpersonate(policy *rbac.Policy) func(actor, user ginsession.Identity) bool {
	return func(actor, user ginsession.Identity) bool {
		return policy.Allows(actor.Role, "users:impersonate") && policy.Includes(actor.Role, user.Role)
	}
}

func isRole(name string) bool { return slices.Contains(roleNames(), name) }
