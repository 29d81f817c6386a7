// The line to the database, with a hand on it: it counts what is sent, and lets
// the n-th call fail, hang, come late, or come back empty.

package ginsession_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"
)

var (
	errWire   = errors.New("the wire is cut: secret-detail of the driver")
	errPanics = errors.New("the driver panics") // a fault with which the wire panics
)

// wire stands between GORM and database/sql. Begin, commit and rollback count as
// calls like every statement.
type wire struct {
	pool interface {
		gorm.ConnPool
		gorm.TxBeginner
	}
	mu    sync.Mutex
	calls []string
	args  [][]any                                // of calls
	fault func(ctx context.Context, n int) error // of the n-th call since reset, from 1
	late  bool                                   // the fault strikes after the call has been carried out
	once  bool                                   // breakAt meant the n-th call alone

	rewrite func(query string) string // of each that reads
	after   func()                    // the next that reads words has been carried out
	words   string

	endless []string // what the package has sent without a deadline
}

// tap puts a wire into db.
func tap(db *gorm.DB) *wire {
	w := &wire{pool: db.ConnPool.(*sql.DB)}
	db.ConnPool = w
	db.Statement.ConnPool = w
	return w
}

// reset forgets what was counted and heals every fault.
func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.args, w.fault, w.late, w.once, w.rewrite, w.after = nil, nil, nil, false, false, nil, nil
}

// breakAt lets the n-th call from now on meet a fault, and all that follow it.
func (w *wire) breakAt(n int, late bool, fault func(context.Context) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.args, w.late, w.once = nil, nil, late, false
	w.fault = func(ctx context.Context, call int) error {
		w.mu.Lock()
		over := w.once && call > n
		w.mu.Unlock()
		if call < n || over {
			return nil
		}
		return fault(ctx)
	}
}

// breakOn lets each call with some words in it meet a fault.
func (w *wire) breakOn(words string, late bool, fault func(context.Context) error) {
	w.breakAt(1, late, fault)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = func(ctx context.Context, n int) error {
		w.mu.Lock()
		meant := n <= len(w.calls) && strings.Contains(strings.Map(unquoted, w.calls[n-1]), words)
		w.mu.Unlock()
		if !meant {
			return nil
		}
		return fault(ctx)
	}
}

// carriedOut lets do run between the next statement that reads and its answer.
func (w *wire) carriedOut(do func()) { w.onRead("", do) }

// onRead is carriedOut for the next statement with some words in it.
func (w *wire) onRead(words string, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after, w.words = do, words
}

// rewriting lets f have a look at each statement that reads, and change it.
func (w *wire) rewriting(f func(query string) string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rewrite = f
}

// sent returns what was sent since reset, with its arguments.
func (w *wire) sent() (calls []string, args [][]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls), slices.Clone(w.args)
}

// failWrites lets the batches of accesses fail for some seconds of each minute.
func (w *wire) failWrites(fail bool) {
	if !fail {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = func(_ context.Context, n int) error {
		w.mu.Lock()
		batch := n <= len(w.calls) && strings.Contains(w.calls[n-1], "CASE WHEN")
		w.mu.Unlock()
		if batch && time.Now().Second()%15 < 8 {
			return errWire
		}
		return nil
	}
}

func fails(context.Context) error { return errWire }

func panics(context.Context) error { return errPanics }

// strike is how a fault comes out of the driver.
func strike(fault error) error {
	if errors.Is(fault, errPanics) {
		panic(errPanics)
	}
	return fault
}

// bounded notes a call that the package makes without a deadline. Those that a test
// makes itself need none.
func (w *wire) bounded(ctx context.Context, call string) {
	if _, ok := ctx.Deadline(); ok {
		return
	}
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		file := filepath.Base(frame.File)
		if file == "wire_test.go" || !strings.Contains(frame.Function, "gin-session/ginsession") {
			continue
		}
		if !strings.HasSuffix(file, "_test.go") {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.endless = append(w.endless, call)
		}
		return
	}
}

// check fails t if the package has sent anything without a deadline.
func (w *wire) check(t testing.TB) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, call := range w.endless {
		t.Errorf("sent without a deadline: %s", call)
	}
}

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// statements returns what was sent since reset, each by its first words.
func (w *wire) statements() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	short := make([]string, len(w.calls))
	for i, call := range w.calls {
		words := strings.Fields(call)
		switch words[0] {
		case "UPDATE":
			words = words[:2]
		case "INSERT", "DELETE":
			words = words[:3]
		case "SELECT":
			words = words[:1]
		}
		short[i] = strings.Map(unquoted, strings.Join(words, " "))
	}
	return short
}

func unquoted(r rune) rune {
	if r == '`' || r == '"' {
		return -1
	}
	return r
}

func (w *wire) meet(ctx context.Context, call string, args ...any) (fault error, late bool) {
	w.bounded(ctx, call)
	w.mu.Lock()
	w.calls, w.args = append(w.calls, call), append(w.args, args)
	n, f, late := len(w.calls), w.fault, w.late
	w.mu.Unlock()
	if f == nil {
		return nil, false
	}
	if late {
		return f(ctx, n), true
	}
	return f(ctx, n), false
}

func (w *wire) exec(ctx context.Context, to gorm.ConnPool, query string, args []any) (sql.Result, error) {
	fault, late := w.meet(ctx, query, args...)
	if fault != nil && !late {
		return nil, strike(fault)
	}
	result, err := to.ExecContext(context.WithoutCancel(ctx), query, args...)
	if fault != nil && ctx.Err() == nil {
		return nil, strike(fault)
	}
	return result, err // perhaps too late
}

func (w *wire) query(ctx context.Context, to gorm.ConnPool, query string, args []any) (*sql.Rows, error) {
	fault, late := w.meet(ctx, query, args...)
	if fault != nil && !late {
		return nil, strike(fault)
	}
	w.mu.Lock()
	rewrite := w.rewrite
	w.mu.Unlock()
	if rewrite != nil {
		query = rewrite(query)
	}
	rows, err := to.QueryContext(context.WithoutCancel(ctx), query, args...)
	w.mu.Lock()
	after := w.after
	if !strings.Contains(query, w.words) {
		after = nil
	} else {
		w.after = nil
	}
	w.mu.Unlock()
	if after != nil {
		after()
	}
	if err == nil && fault != nil && ctx.Err() == nil {
		_ = rows.Close()
		return nil, strike(fault)
	}
	return rows, err // perhaps too late
}

// GetDBConn implements [gorm.GetDBConnector].
func (w *wire) GetDBConn() (*sql.DB, error) { return w.pool.(*sql.DB), nil }

func (w *wire) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	w.bounded(ctx, query)
	return w.pool.PrepareContext(ctx, query)
}

func (w *wire) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return w.exec(ctx, w.pool, query, args)
}

func (w *wire) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return w.query(ctx, w.pool, query, args)
}

func (w *wire) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	w.bounded(ctx, query)
	return w.pool.QueryRowContext(ctx, query, args...)
}

func (w *wire) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	fault, late := w.meet(ctx, "BEGIN")
	if fault != nil && !late {
		return nil, strike(fault)
	}
	tx, err := w.pool.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	if fault != nil {
		_ = tx.Rollback()
		return nil, strike(fault)
	}
	return &wireTx{w, ctx, tx}, nil
}

type wireTx struct {
	w   *wire
	ctx context.Context
	tx  *sql.Tx
}

func (t *wireTx) Commit() error {
	fault, late := t.w.meet(t.ctx, "COMMIT")
	if fault != nil && !late {
		_ = t.tx.Rollback()
		return strike(fault)
	}
	if err := t.tx.Commit(); err != nil {
		return err
	}
	return strike(fault)
}

func (t *wireTx) Rollback() error { return t.tx.Rollback() }

func (t *wireTx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	t.w.bounded(ctx, query)
	return t.tx.PrepareContext(ctx, query)
}

func (t *wireTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.w.exec(ctx, t.tx, query, args)
}

func (t *wireTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.w.query(ctx, t.tx, query, args)
}

func (t *wireTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	t.w.bounded(ctx, query)
	return t.tx.QueryRowContext(ctx, query, args...)
}
