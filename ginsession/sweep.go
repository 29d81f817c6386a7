// What is over for long is removed.

package ginsession

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ginsession/gin-session/models"
)

const (
	// sweepEvery is how often every process sweeps, more or less: by lot, so that
	// they do not all do so at once.
	sweepEvery = time.Hour

	sweepBatch = 200
	sweepRest  = 10 * time.Millisecond // between batches, at least
)

// sweep removes the sessions that ended or expired longer ago than KeepSessions,
// the attempts to sign in that count no more, and the events that are older than
// KeepEvents. A batch holds the locks on its rows for a few milliseconds; then others
// have their turn for as long as the batch took.
func (m *Manager) sweep(ctx context.Context) error {
	sessions := models.At(m.now().Add(-m.cfg.KeepSessions))
	events := models.At(m.now().Add(-m.cfg.KeepEvents))
	for _, column := range []string{"ended_at", "expires_at"} {
		last := models.Time(1) // 0 is never
		err := inBatches(ctx, func() (more bool, err error) {
			var n int
			last, n, err = m.store.sweepSessions(ctx, column, last, sessions, sweepBatch)
			return n == sweepBatch, err
		})
		if err != nil {
			return err
		}
	}
	err := inBatches(ctx, func() (more bool, err error) {
		n, err := m.store.sweepAttempts(ctx, models.At(m.now()), sweepBatch)
		return n == sweepBatch, err
	})
	if err != nil {
		return err
	}
	var last int64
	return inBatches(ctx, func() (more bool, err error) {
		last, more, err = m.store.sweepEvents(ctx, last, events, models.At(m.now()), sweepBatch)
		return more, err
	})
}

// inBatches calls batch until there is no more, or ctx ends.
func inBatches(ctx context.Context, batch func() (more bool, err error)) error {
	for {
		began := time.Now()
		more, err := batch()
		if err != nil || !more {
			return err
		}
		if !sleep(ctx, byLot(max(sweepRest, time.Since(began)))) {
			return nil
		}
	}
}

// byLot returns between three and five quarters of d.
func byLot(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // no secret
}
