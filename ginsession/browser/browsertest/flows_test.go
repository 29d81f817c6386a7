// What people do with a session, in one browser and in several.

package browsertest

import (
	"testing"
)

func TestAReloadKeepsTheSession(t *testing.T) {
	t.Parallel()
	p := start(t)
	x := somebody(t, p).tab()
	x.login("viewer", false)
	x.reload()
	x.shows(who, "viewer")
	x.logout()
}
