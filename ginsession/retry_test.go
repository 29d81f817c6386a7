package ginsession_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models/modelstest"
)

// What the drivers return when a transaction is to be run again.
var collisions = map[string]error{
	"serialization failure": &pgconn.PgError{Code: "40001"},
	"deadlock, PostgreSQL":  &pgconn.PgError{Code: "40P01"},
	"deadlock, MariaDB":     &mysql.MySQLError{Number: 1213, SQLState: [5]byte{'4', '0', '0', '0', '1'}, Message: "Deadlock found"},
	"lock wait timeout":     &mysql.MySQLError{Number: 1205, Message: "Lock wait timeout exceeded"},
	"busy":                  errors.New("database is locked (5) (SQLITE_BUSY)"),
}

// collide lets the n-th call fail, the first times that it is reached.
func (w *wire) collide(n, times int, err error) {
	w.breakAt(1, false, func(context.Context) error { return nil })
	w.fault = func(_ context.Context, call int) error {
		if call < n || times == 0 {
			return nil
		}
		times--
		return err
	}
}

func TestCollisionsAreRunAgain(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for _, act := range acts {
			a.wire.reset()
			c := act.prepare(a)
			a.wire.reset()
			act.request(c)
			for n, step := range a.wire.statements() {
				for name, collision := range collisions {
					a.wire.reset()
					a.forgive()
					c := act.prepare(a)
					events := len(a.events())
					a.wire.collide(n+1, 3, collision)
					r := act.request(c)
					require.Equal(t, act.want, r.StatusCode, "%s: %s at %s: %s", act.name, name, step, r.Text)
					a.wire.reset()
					more := len(a.events()) - events
					require.LessOrEqual(t, more, 2, "%s: %s at %s: what was undone is told", act.name, name, step)
				}
			}
		}
	}, unlimited)
}

func TestCollisionsAreRunAgainWithinBounds(t *testing.T) {
	begins := func(a *app) (n int) {
		for _, s := range a.wire.statements() {
			if s == "BEGIN" {
				n++
			}
		}
		return n
	}
	inBubble(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		start := time.Now()
		a.wire.collide(3, -1, collisions["busy"])
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, c.Do("POST", "/logout", "", nil)))
		require.Equal(t, 18, begins(a), "not for ever")
		require.Less(t, time.Since(start), ginsession.DefaultStoreTimeout)

		c = a.signInAfresh()
		a.wire.collide(3, -1, errWire)
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, c.Do("POST", "/logout", "", nil)))
		require.Equal(t, 1, begins(a), "no other fault is tried again")

		c = a.signInAfresh()
		start = time.Now()
		a.wire.breakAt(3, false, func(context.Context) error {
			time.Sleep(time.Second)
			return collisions["busy"]
		})
		require.Equal(t, ginsession.ErrStoreUnavailable, code(t, c.Do("POST", "/logout", "", nil)))
		require.LessOrEqual(t, time.Since(start), ginsession.DefaultStoreTimeout+time.Second, "within the deadline")
	})
}

func (a *app) signInAfresh() *ginsessiontest.Client {
	a.wire.reset()
	return a.signIn("ada")
}

// Databases that make transactions collide as often as can be: nobody is turned
// away for that.
func TestManyAtOnceOnStrictDatabases(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		a := newApp(t, d)
		d.Strict = true
		_, engine := a.node(d.Open(t))
		var group sync.WaitGroup
		for i := range 8 {
			c := ginsessiontest.NewClient(engine)
			user := []string{"ada", "bob"}[i%2] // no more at once than failures are free
			group.Go(func() {
				for range 10 {
					r := c.PostJSON("/login", gin.H{"username": user, "password": password})
					require.Equal(t, 200, r.StatusCode, r.Text)
					r = c.Do("POST", "/logout", "", nil)
					require.Equal(t, 200, r.StatusCode, r.Text)
				}
			})
		}
		group.Wait()
		require.Zero(t, a.live())
		require.Len(t, a.rows(), 80)
	})
}
