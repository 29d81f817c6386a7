// Transactions that the database asks to run again.

package ginsession

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	maxAttempts = 18 // in less than the default of Config.StoreTimeout
	firstPause  = 5 * time.Millisecond
	maxPause    = 200 * time.Millisecond
)

// retry runs attempt until it succeeds, meets an error that another run would
// meet again, has run maxAttempts times, or ctx ends before the next run. The
// pauses double, and are drawn by lot, so that those who collided part.
func retry(ctx context.Context, attempt func() error) error {
	pause := firstPause
	for n := 1; ; n++ {
		err := attempt()
		if err == nil || n == maxAttempts || !retryable(err) {
			return err
		}
		wait := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // no secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// retryable reports whether the database has undone a transaction only because
// it could not run beside another. The drivers are not imported, since which is
// used is the application's choice: those of PostgreSQL give the SQLSTATE by a
// method, the others in their words.
func retryable(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		// Serialization failure, deadlock. CockroachDB and YugabyteDB use them too.
		return state.SQLState() == "40001" || state.SQLState() == "40P01"
	}
	text := err.Error()
	for _, words := range []string{
		"Error 1213",               // MySQL, MariaDB, Galera: deadlock, or a conflict found at commit
		"Error 1205",               // lock wait timeout
		"Error 1020",               // MariaDB: the record has changed since it was read
		"Error 9007", "Error 8028", // TiDB: write conflict, schema changed meanwhile
		"database is locked", "database table is locked", // SQLite
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
