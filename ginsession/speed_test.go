// Benchmarks that need to look inside: first sight, many rows, the sweep.

package ginsession

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// manyRows is how many rows the benchmarks of large tables use: a million where
// GINSESSION_BENCH_ROWS says so, few otherwise.
func manyRows(b *testing.B) int {
	rows := os.Getenv("GINSESSION_BENCH_ROWS")
	if rows == "" {
		return 5000
	}
	n, err := strconv.Atoi(rows)
	require.NoError(b, err)
	return n
}

func eachDatabase(b *testing.B, run func(b *testing.B, m *Manager, db *gorm.DB)) {
	for _, kind := range []struct {
		name string
		make func(testing.TB) modelstest.Database
	}{{"sqlite", modelstest.SQLite}, {"postgres", modelstest.Postgres}, {"mariadb", modelstest.MariaDB}} {
		b.Run(kind.name, func(b *testing.B) {
			db := kind.make(b).Open(b)
			require.NoError(b, models.Migrate(db))
			m, err := New(db, Config{
				Keys: []Key{"a key of the benchmarks, of at least 32 bytes"}, Logger: slog.New(slog.DiscardHandler), MaxSessions: -1,
			})
			require.NoError(b, err)
			require.NoError(b, db.Create(&models.User{ID: "ada", Username: "ada", UsernameKey: "ada", Role: "admin", Epoch: 1}).Error)
			run(b, m, db)
		})
	}
}

const benchSecret = "0123456789012345678901234567890123456789012"

// fill adds sessions of ada, of which the first ends at an instant and the others
// one after the other within three weeks, as sessions do that are opened one after
// the other. It returns some of their tokens.
func fill(b *testing.B, m *Manager, db *gorm.DB, n int, expires time.Time) (tokens []string) {
	b.Helper()
	now := m.now()
	const batch = 1000
	for begin := 0; begin < n; begin += batch {
		rows := make([]models.Session, min(batch, n-begin))
		for i := range rows {
			expires := expires.Add(21 * 24 * time.Hour / time.Duration(n) * time.Duration(begin+i))
			rows[i] = models.Session{
				ID: newID(), UserID: "ada", SecretHash: hashSecret(benchSecret), RoleMark: roleMark("admin"),
				CreatedAt: models.At(now), AuthenticatedAt: models.At(now), LastAccessed: models.At(now), RenewedAt: models.At(now),
				ExpiresAt: models.At(expires.Truncate(time.Second)), AbsoluteExpiresAt: models.At(expires.Add(24 * time.Hour).Truncate(time.Second)),
				IPAddress: "203.0.113.195", UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
			}
			rows[i].OwnerMark = ownerMark(m.keys, rows[i])
		}
		require.NoError(b, db.CreateInBatches(rows, 500).Error)
		for range min(1000, max(1, 1000*batch/n)) {
			_, raw, err := m.sign(found{row: rows[rand.IntN(len(rows))]}, benchSecret, now)
			require.NoError(b, err)
			tokens = append(tokens, raw)
		}
	}
	return tokens
}

// BenchmarkFirstSight is a whole request of a session that is not known yet, and
// beside it what it has to do at the least: the query and the signature.
func BenchmarkFirstSight(b *testing.B) {
	eachDatabase(b, func(b *testing.B, m *Manager, db *gorm.DB) {
		raw := fill(b, m, db, 1, m.now().Add(24*time.Hour))[0]
		engine := gin.New()
		engine.GET("/", m.Load, func(c *gin.Context) {
			if _, ok := From(c); !ok {
				b.Error("no session")
			}
		})
		request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
		b.Run("query and signature", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				claims, err := m.keys.Verify(raw, m.now())
				if err != nil {
					b.Fatal(err)
				}
				if _, ok, err := m.store.find(request.Context(), claims.SessionID); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
		b.Run("whole request", func(b *testing.B) {
			b.ReportAllocs()
			m.activity.accept(true)
			for b.Loop() {
				now := m.cfg.Now()
				m.synced.Store(&now)
				m.live.forget()
				request.Header["Cookie"] = []string{m.cookie.name + "=" + raw}
				engine.ServeHTTP(httptest.NewRecorder(), request)
			}
		})
	})
}

// BenchmarkLoadOfMany reads one session by lot out of few and out of many.
func BenchmarkLoadOfMany(b *testing.B) {
	eachDatabase(b, func(b *testing.B, m *Manager, db *gorm.DB) {
		for _, n := range []int{1000, manyRows(b)} {
			var have int64
			require.NoError(b, db.Model(&models.Session{}).Count(&have).Error)
			tokens := fill(b, m, db, n-int(have), m.now().Add(24*time.Hour))
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				for b.Loop() {
					if _, err := m.find(b.Context(), tokens[rand.IntN(len(tokens))], m.now(), false); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// BenchmarkSweep removes expired rows, half as many as there are in the other
// benchmarks, beside 200 logins and 500 loads a second. It reports how long these
// took, and without a sweep for comparison. All logins are those of one user.
func BenchmarkSweep(b *testing.B) {
	eachDatabase(b, func(b *testing.B, m *Manager, db *gorm.DB) {
		tokens := fill(b, m, db, 1000, m.now().Add(24*time.Hour))
		b.Run("none", func(b *testing.B) {
			for b.Loop() {
				beside(b, m, tokens, func() { time.Sleep(5 * time.Second) })
			}
		})
		b.Run(fmt.Sprint(manyRows(b)/2), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				fill(b, m, db, manyRows(b)/2, m.now().Add(-365*24*time.Hour))
				// What has been over for a month was written to the disk a month ago.
				if db.Name() == "postgres" {
					_ = db.Exec("CHECKPOINT").Error // not everybody may
				}
				time.Sleep(time.Duration(manyRows(b)/2) * 40 * time.Microsecond)
				b.StartTimer()
				beside(b, m, tokens, func() { require.NoError(b, m.sweep(b.Context())) })
			}
			var left int64
			require.NoError(b, db.Model(&models.Session{}).Where("expires_at < ?", models.At(m.now())).Count(&left).Error)
			require.Zero(b, left)
		})
	})
}

// beside does something beside logins and loads.
func beside(b *testing.B, m *Manager, tokens []string, do func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	again := func(what string, every time.Duration, act func() error) (report func()) {
		var took []time.Duration
		group.Go(func() {
			for sleep(ctx, every) {
				began := time.Now()
				if err := act(); err != nil {
					b.Error(err)
				}
				took = append(took, time.Since(began))
			}
		})
		return func() {
			slices.Sort(took)
			if len(took) == 0 {
				return
			}
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(ms(took[len(took)/2]), "ms-median-"+what)
			b.ReportMetric(ms(took[len(took)*999/1000]), "ms-p99.9-"+what)
			b.ReportMetric(ms(took[len(took)-1]), "ms-longest-"+what)
		}
	}
	login := again("login", time.Second/200, func() error {
		_, _, err := m.open(context.WithoutCancel(ctx), signIn{user: Identity{UserID: "ada", Role: "admin"}, knownDevice: true}, m.now(), client{})
		return err
	})
	load := again("load", time.Second/500, func() error {
		_, err := m.find(context.WithoutCancel(ctx), tokens[rand.IntN(len(tokens))], m.now(), false)
		return err
	})
	do()
	cancel()
	group.Wait()
	login()
	load()
}
