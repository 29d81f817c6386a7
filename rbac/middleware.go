// The guards.

package rbac

import (
	"fmt"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

// RequireRole returns a gin.HandlerFunc that lets only users pass who have one
// of the roles, compared exactly. It answers 401 without a session and 403
// ROLE_REQUIRED without the role. It comes after [ginsession.Manager.Load];
// without that it lets nobody pass and says so in the log.
//
// It panics if no role is given or one is empty: such a guard would mean
// nothing, or that users without a role may pass.
func RequireRole(roles ...string) gin.HandlerFunc {
	if len(roles) == 0 {
		panic("rbac: RequireRole needs at least one role")
	}
	if slices.Contains(roles, "") {
		panic("rbac: RequireRole was given an empty role")
	}
	roles = slices.Clone(roles)
	return func(c *gin.Context) {
		ginsession.Require(c)
		if c.IsAborted() {
			return
		}
		if s, ok := ginsession.From(c); !ok || !slices.Contains(roles, s.User.Role) {
			ginsession.Refuse(c, &ginsession.Error{
				Code: ginsession.ErrRoleRequired,
				Err:  fmt.Errorf("needs one of the roles %q", roles),
			})
		}
	}
}
