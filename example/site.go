// What the handlers work with, and how it is made.

package main

import (
	"time"

	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/rbac"
)

// site is what the handlers work with.
type site struct {
	sessions *ginsession.Manager
	db       *gorm.DB
	policy   *rbac.Policy
	fresh    time.Duration   // how long a proof of who the user is counts, for what matters
	warn     time.Duration   // how long before its end a session says so
	stopping <-chan struct{} // closed when the program ends: streams end then

	importMap string // see assets.go
	csp       string // see headers.go
}

// newSite makes the manager of a site too. Its settings are those of config, and
// what depends on the site.
func newSite(db *gorm.DB, config ginsession.Config, set settings, stopping <-chan struct{}) (*site, error) {
	policy, err := newPolicy()
	if err != nil {
		return nil, err
	}
	s := &site{db: db, policy: policy, fresh: set.fresh, warn: set.warn(), stopping: stopping}
	config.LoginURL = "/login"
	config.Refuse = s.refuse
	config.MayImpersonate = mayImpersonate(policy)
	s.sessions, err = ginsession.New(db, config)
	return s, err
}
