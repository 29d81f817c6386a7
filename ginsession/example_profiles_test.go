package ginsession_test

import (
	"fmt"
	"time"

	"github.com/ginsession/gin-session/ginsession"
)

// Profiles to copy: of NIST SP 800-63B-4, and for an office.
func ExampleConfig_profiles() {
	db, done := exampleDB()
	defer done()
	personal := ginsession.Config{} // AAL1: 24 hours unused, 30 days at all
	sensitive := ginsession.Config{ // AAL2, with a second factor: an hour idle, a day at all
		IdleTimeout: time.Hour, AbsoluteTimeout: 24 * time.Hour, MinPassword: 8,
	}
	critical := ginsession.Config{ // AAL3, with a hardware key: 15 minutes idle, 12 hours at all
		MaxAge: 12 * time.Hour, IdleTimeout: 15 * time.Minute, AbsoluteTimeout: 12 * time.Hour, MinPassword: 8,
	}
	office := ginsession.Config{ // a working day, half an hour idle
		MaxAge: 8 * time.Hour, IdleTimeout: 30 * time.Minute, AbsoluteTimeout: 8 * time.Hour,
	}
	for _, profile := range []ginsession.Config{personal, sensitive, critical, office} {
		profile.Keys = []ginsession.Key{"a-key-for-this-example-0123456789abcdef"}
		_, err := ginsession.New(db, profile)
		fmt.Println(err == nil)
	}
	// Output:
	// true
	// true
	// true
	// true
}
