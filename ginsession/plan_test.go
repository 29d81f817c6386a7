// The databases use an index for every query.

package ginsession_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/models"
)

func TestPlans(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.fill(6000)
		a.run(a.sessions)
		time.Sleep(settled)
		a.wire.reset()

		// Load, list and touch: a session is opened, found, used, refreshed, revoked.
		// The last part is the feed and the sweep.
		c := a.signIn("ada")
		c.Get("/me")
		time.Sleep(90 * time.Second)
		c.Get("/me")
		time.Sleep(2 * time.Second)
		c.Get("/me")
		c.PostJSON("/session/refresh", nil)
		_, err := a.sessions.RevokeUser(t.Context(), a.ada.UserID, "other")
		require.NoError(t, err)
		require.NoError(t, a.sessions.Accounts().SetRole(t.Context(), a.ada.UserID, "viewer"))
		a.signIn("ada").PostJSON("/logout", nil)
		time.Sleep(swept)

		seen := map[string]int{}
		calls, args := a.wire.sent()
		for i, call := range calls {
			verb, _, _ := strings.Cut(call, " ")
			if verb != "SELECT" && verb != "UPDATE" && verb != "DELETE" {
				continue
			}
			if seen[call]++; seen[call] == 1 {
				plan := explain(t, a.aside(), call, args[i])
				require.True(t, usesIndex(a.d.Kind, plan), "%s\n%s", call, plan)
			}
		}
		for _, needed := range []string{
			"LEFT JOIN",                      // load
			"SELECT `id`,`name`",             // feed
			"CASE WHEN id = ",                // touch, in batches
			"SET `ip_address`=",              // touch, at once
			"WHERE (user_id = ",              // the sessions of a user
			"WHERE expires_at >= ",           // sweep
			"WHERE ended_at >= ",             // sweep
			"SELECT `id`,`at`",               // sweep of events
			"DELETE FROM `session_events`",   // sweep of events
			"DELETE FROM `sessions` WHERE i", // sweep
		} {
			found := false
			for call := range seen {
				found = found || strings.Contains(strings.ReplaceAll(call, `"`, "`"), needed)
			}
			require.True(t, found, "no statement with %q", needed)
		}
	})
}

// fill adds users, sessions and events of every age, and tells the database to
// look at what it has.
func (a *app) fill(n int) {
	a.t.Helper()
	now := time.Now()
	users, rows, events := make([]models.User, n/3), make([]models.Session, n), make([]models.Event, n)
	attempts := make([]models.LoginAttempts, n)
	for i := range users {
		users[i] = models.User{ID: models.Exact(fmt.Sprint("user ", i)), UsernameKey: models.Exact(fmt.Sprint("user ", i))}
	}
	for i := range rows {
		at := now.Add(-100 * day / time.Duration(n) * time.Duration(i))
		rows[i] = models.Session{
			ID: models.Exact(fmt.Sprint("session ", i)), UserID: users[i%len(users)].ID, SecretHash: []byte("x"),
			CreatedAt: models.At(at), LastAccessed: models.At(at), ExpiresAt: models.At(at.Add(day)),
		}
		if i%2 == 0 {
			rows[i].EndedAt = models.At(at.Add(day / 2))
		}
		attempts[i] = models.LoginAttempts{ID: models.Exact(fmt.Sprint("attempt ", i)), ExpiresAt: models.At(now.Add(day + time.Duration(i)*time.Second))}
		events[n-1-i] = models.Event{At: models.At(at), Name: "session_created", SessionID: rows[i].ID, UserID: rows[i].UserID}
	}
	db := a.aside()
	require.NoError(a.t, db.CreateInBatches(users, 500).Error)
	require.NoError(a.t, db.CreateInBatches(rows, 500).Error)
	require.NoError(a.t, db.CreateInBatches(events, 500).Error)
	require.NoError(a.t, db.CreateInBatches(attempts, 500).Error)
	for _, table := range []string{"users", "sessions", "session_events", "login_attempts"} {
		analyze := "ANALYZE " + table
		if a.d.Kind == "mariadb" {
			analyze = "ANALYZE TABLE " + table
		}
		require.NoError(a.t, db.Exec(analyze).Error)
	}
}

// explain returns the plan of a statement, a line a row.
func explain(t *testing.T, db *gorm.DB, statement string, args []any) string {
	t.Helper()
	verb := "EXPLAIN "
	if db.Name() == "sqlite" {
		verb = "EXPLAIN QUERY PLAN "
	}
	pool, err := db.DB()
	require.NoError(t, err)
	tx, err := pool.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	if db.Name() == "postgres" { // for a large part of a table that is small it reads the table
		_, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off")
		require.NoError(t, err)
	}
	rows, err := tx.QueryContext(t.Context(), verb+statement, args...)
	require.NoError(t, err, statement)
	defer func() { require.NoError(t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		for i, value := range values {
			if b, ok := value.([]byte); ok {
				value = string(b)
			}
			fmt.Fprintf(&plan, "%s=%v ", columns[i], value)
		}
		plan.WriteByte('\n')
	}
	require.NoError(t, rows.Err())
	return plan.String()
}

// usesIndex reports whether a plan reads no table from end to end.
func usesIndex(kind, plan string) bool {
	switch kind {
	case "sqlite":
		return !strings.Contains(plan, "SCAN ") || strings.Contains(plan, "SCAN session_events USING INTEGER PRIMARY KEY")
	case "postgres":
		return !strings.Contains(plan, "Seq Scan")
	default:
		return !strings.Contains(plan, "type=ALL") && !strings.Contains(plan, "type=index ")
	}
}
