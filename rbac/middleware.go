// The guards.

package rbac

import (
	"errors"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

// RequireRole returns a gin.HandlerFunc that lets only users pass who have one
// of the roles, compared exactly: no role includes another. It answers 401
// without a session and 403 ROLE_REQUIRED without the role. It comes after
// [ginsession.Manager.Load]; without that it lets nobody pass and says so in the
// log.
//
// It panics if no role is given or one is empty: such a guard would mean
// nothing, or that users without a role may pass.
func RequireRole(roles ...string) gin.HandlerFunc {
	roles = given("RequireRole", aRole, roles)
	return guard(roleRequired(roles), func(user ginsession.Identity) bool {
		return slices.Contains(roles, user.Role)
	})
}

// RequireRole is the package's [RequireRole] by the policy: it lets users pass
// whose role is one of these or inherits one of them. It also panics if the policy
// does not have each of the roles.
func (p *Policy) RequireRole(roles ...string) gin.HandlerFunc {
	roles = p.mustKnow("RequireRole", aRole, roles)
	return guard(roleRequired(roles), func(user ginsession.Identity) bool {
		includes := p.current()[user.Role].includes
		return slices.ContainsFunc(roles, func(role string) bool { return includes[role] })
	})
}

// Require returns a gin.HandlerFunc that lets only users pass whose role has the
// permission. It answers 401 without a session and 403 PERMISSION_REQUIRED
// without the permission. It comes after [ginsession.Manager.Load]; without that
// it lets nobody pass and says so in the log.
//
// It panics if the permission is not written as one is, or if no role has it. A
// role that has "*" has every permission, also one that is misspelt.
func (p *Policy) Require(permission string) gin.HandlerFunc {
	return p.requireAll("Require", permission)
}

// RequireAll is [Policy.Require] for users whose role has all of the permissions.
// It also panics if none is given.
func (p *Policy) RequireAll(permissions ...string) gin.HandlerFunc {
	return p.requireAll("RequireAll", permissions...)
}

func (p *Policy) requireAll(name string, permissions ...string) gin.HandlerFunc {
	permissions = p.mustKnow(name, aPermission, permissions)
	return guard(permissionRequired(permissions), func(user ginsession.Identity) bool {
		grants := p.current()[user.Role]
		for _, permission := range permissions {
			if !grants.allows(permission) {
				return false
			}
		}
		return true
	})
}

// RequireOwner returns a gin.HandlerFunc that lets the owner pass of what the
// request is about, and users whose role has the permission. If that is "", the
// owner alone passes. All other users are answered 403 PERMISSION_REQUIRED. What
// [Policy.Require] says of requests without a session, and of a permission that
// makes it panic, holds here too.
//
// owner returns the id of the user whose it is. The id "" is nobody's; a thing that
// does not exist may have it, and then nobody learns that it does not. owner is
// asked only where the permission does not let the user pass, so whoever has that
// costs no query. Its error goes to [ginsession.Refuse] as it is: an
// *[ginsession.Error] or a [ginsession.Code] has a status of its own, any other is
// answered 500. If it has aborted the request, it has also answered it.
func (p *Policy) RequireOwner(permission string, owner func(c *gin.Context) (userID string, err error)) gin.HandlerFunc {
	if owner == nil {
		panic("rbac: RequireOwner needs a function that says who the owner is")
	}
	denied := denial(ginsession.ErrPermissionRequired, "only the owner may")
	if permission != "" {
		p.mustKnow("RequireOwner", aPermission, []string{permission})
		denied = denial(ginsession.ErrPermissionRequired, "it needs the permission "+permission+", unless it is your own")
	}
	return func(c *gin.Context) {
		user, ok := signedIn(c)
		if !ok || permission != "" && p.current()[user.Role].allows(permission) {
			return
		}
		id, err := owner(c)
		switch {
		case c.IsAborted():
		case err != nil:
			ginsession.Refuse(c, err)
		case id == "" || id != user.UserID:
			ginsession.Refuse(c, denied)
		}
	}
}

// guard returns the gin.HandlerFunc that turns everybody away but the users who
// may pass.
func guard(denied error, may func(user ginsession.Identity) bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		if user, ok := signedIn(c); ok && !may(user) {
			ginsession.Refuse(c, denied)
		}
	}
}

// signedIn returns the user of the request, or turns it away if it has none.
func signedIn(c *gin.Context) (ginsession.Identity, bool) {
	ginsession.Require(c)
	if c.IsAborted() {
		return ginsession.Identity{}, false
	}
	s, _ := ginsession.From(c) // it is there; nobody would have no role and no id, and so pass nowhere
	return s.User, true
}

// given returns a copy of the names of roles or permissions that a guard was
// given. That there are none is a mistake in the program.
func given(guard, kind string, names []string) []string {
	if len(names) == 0 {
		panic("rbac: " + guard + " needs at least one " + kind)
	}
	if slices.Contains(names, "") {
		panic("rbac: " + guard + " was given an empty " + kind)
	}
	return slices.Clone(names)
}

// mustKnow is given for a guard by the policy. That nobody could pass is a mistake too.
func (p *Policy) mustKnow(guard, kind string, names []string) []string {
	names = given(guard, kind, names)
	if err := p.need(kind, names); err != nil {
		panic("rbac: " + guard + " was given " + err.Error())
	}
	return names
}

// denial is the error for users who may not pass. needed ends the sentence that
// the words of the code begin.
func denial(code ginsession.Code, needed string) error {
	return &ginsession.Error{Code: code, Err: errors.New(needed)}
}

func roleRequired(roles []string) error {
	if len(roles) == 1 {
		return denial(ginsession.ErrRoleRequired, "it needs the role "+roles[0])
	}
	return denial(ginsession.ErrRoleRequired, "it needs one of the roles "+strings.Join(roles, ", "))
}

func permissionRequired(permissions []string) error {
	if len(permissions) == 1 {
		return denial(ginsession.ErrPermissionRequired, "it needs the permission "+permissions[0])
	}
	return denial(ginsession.ErrPermissionRequired, "it needs the permissions "+strings.Join(permissions, ", "))
}
