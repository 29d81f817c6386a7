package models_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"

	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

func TestMigrateTwiceChangesNothing(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		var log statements
		db := d.Open(t, &gorm.Config{Logger: &log})
		require.NoError(t, models.Migrate(db))
		require.NotEmpty(t, log.with("CREATE TABLE"), "the recorder must see the statements")

		log.reset()
		require.NoError(t, models.Migrate(db))
		for _, change := range []string{"CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"} {
			if got := log.with(change); len(got) > 0 {
				t.Errorf("the second Migrate ran %q", got)
			}
		}
	})
}

func TestMigrateByFourProcessesAtOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		var group sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			db := d.Open(t)
			group.Go(func() { errs[i] = models.Migrate(db) })
		}
		group.Wait()
		require.NoError(t, errors.Join(errs...))
		require.NoError(t, d.Open(t).Create(&models.User{ID: "1", UsernameKey: "a"}).Error)
	})
}

// A169: a table that was made in one database in memory would be missing in the
// next, under load, and not before.
func TestMigrateRefusesManyDatabasesInMemory(t *testing.T) {
	memory := func(settings string, connections int) *gorm.DB {
		db := modelstest.SQLiteInMemory(t, settings)
		pool, err := db.DB()
		require.NoError(t, err)
		pool.SetMaxOpenConns(connections)
		return db
	}
	for name, test := range map[string]struct {
		settings    string
		connections int
		refused     bool
	}{
		"as many connections as it likes": {":memory:", 0, true},
		"a pool":                          {":memory:", 8, true},
		"one connection":                  {":memory:", 1, false},
		"a shared cache":                  {"file:" + rand.Text() + "?mode=memory&cache=shared", 8, false},
		"a file that is thrown away":      {"", 8, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, migrate := range []func(*gorm.DB) error{models.Migrate, models.MigrateSessions} {
				err := migrate(memory(test.settings, test.connections))
				if test.refused {
					require.ErrorContains(t, err, "SetMaxOpenConns(1)")
				} else {
					require.NoError(t, err)
				}
			}
		})
	}
	t.Run("in a transaction it is not asked", func(t *testing.T) {
		require.NoError(t, memory(":memory:", 8).Transaction(models.Migrate))
	})
}

func TestMigrateSessionsMakesNoUsersTable(t *testing.T) {
	db := modelstest.SQLite(t).Open(t)
	require.NoError(t, models.MigrateSessions(db))
	tables, err := db.Migrator().GetTables()
	require.NoError(t, err)
	slices.Sort(tables)
	require.Equal(t, []string{"login_attempts", "session_events", "sessions"}, without(tables, "sqlite_sequence"))
}

func TestTablesAreNamedByTheApplication(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		db := d.Open(t, &gorm.Config{Logger: logger.Discard, NamingStrategy: schema.NamingStrategy{TablePrefix: "app_", SingularTable: true}})
		require.NoError(t, models.Migrate(db))
		for _, table := range []string{"app_user", "app_session", "app_session_event"} {
			require.True(t, db.Migrator().HasTable(table), table)
		}
	})
}

func TestIDsCompareByteForByte(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		db := d.Open(t)
		require.NoError(t, models.Migrate(db))
		hash := []byte{0, 1, 'a', 0xff, 0x80, ' '}
		require.NoError(t, db.Create(&models.Session{ID: "abcDEF", UserID: "admin", SecretHash: hash}).Error)
		require.NoError(t, db.Create(&models.User{ID: "u", UsernameKey: "admin"}).Error)

		for _, other := range []string{"ABCDEF", "abcdef", "abcDEF ", " abcDEF", "abcDÉF", "abcDEF\u200b", "%", "abc___"} {
			require.Zero(t, count(t, db.Model(&models.Session{}).Where("id = ?", models.Exact(other))), other)
		}
		for _, other := range []string{"Admin", "ádmin", "admin ", "ａｄｍｉｎ", "0"} {
			require.Zero(t, count(t, db.Model(&models.Session{}).Where("user_id = ?", models.Exact(other))), other)
			require.Zero(t, count(t, db.Model(&models.User{}).Where("username_key = ?", models.Exact(other))), other)
		}
		for _, other := range [][]byte{{0, 1, 'A', 0xff, 0x80, ' '}, {0, 1, 'a', 0xff, 0x80}, {}} {
			require.Zero(t, count(t, db.Model(&models.Session{}).Where("secret_hash = ?", other)), other)
		}
		require.EqualValues(t, 1, count(t, db.Model(&models.Session{}).
			Where("id = ? AND user_id = ? AND secret_hash = ?", models.Exact("abcDEF"), models.Exact("admin"), hash)))
	})
}

func TestUsersWithoutEmailDoNotCollide(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		db := d.Open(t)
		require.NoError(t, models.Migrate(db))
		require.NoError(t, db.Create(&models.User{ID: "1", UsernameKey: "a"}).Error)
		require.NoError(t, db.Create(&models.User{ID: "2", UsernameKey: "b"}).Error)
		require.Error(t, db.Create(&models.User{ID: "3", UsernameKey: "b"}).Error)
	})
}

func TestRowsComeBackAsTheyWere(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		db := d.Open(t)
		require.NoError(t, models.Migrate(db))
		zone := time.FixedZone("east", 5*3600)
		at := models.At(time.Date(2026, 10, 25, 2, 30, 59, 999_000_000, zone)) // an hour that clocks show twice
		email := models.Exact("ada@example.com")
		user := models.User{
			ID: "u1", Username: "Ada Λ", UsernameKey: "ada λ", Email: "Ada@example.com", EmailKey: &email, Role: "admin",
			PasswordHash: "$argon2id$", Epoch: 3, Revision: 4, LastLogin: at, DisabledAt: at + 1, CreatedAt: at - 1,
		}
		session := models.Session{
			ID: "s1", UserID: "u1", SecretHash: slices.Repeat([]byte{0xfe}, 32), Remember: true,
			PreviousHash: slices.Repeat([]byte{0}, 32), Salt: slices.Repeat([]byte{0xff}, 32), SeenAt: at + 7, RoleMark: "mark",
			CreatedAt: at, AuthenticatedAt: at + 1, LastAccessed: at + 2, RenewedAt: at + 3, ExpiresAt: at + 4,
			AbsoluteExpiresAt: at + 5, EndedAt: at + 6, EndReason: "logout", IPAddress: "2001:db8::1", UserAgent: "agent ☃",
		}
		event := models.Event{At: at, Name: "session_created", SessionID: "s1", UserID: "u1", Reason: "r", IPAddress: "::1", UserAgent: "a"}
		require.NoError(t, db.Create(&user).Error)
		require.NoError(t, db.Create(&session).Error)
		require.NoError(t, db.Create(&event).Error)
		require.NotZero(t, event.ID)

		var gotUser models.User
		var gotSession models.Session
		var gotEvent models.Event
		require.NoError(t, db.First(&gotUser).Error)
		require.NoError(t, db.First(&gotSession).Error)
		require.NoError(t, db.First(&gotEvent).Error)
		require.Equal(t, user, gotUser)
		require.Equal(t, session, gotSession)
		require.Equal(t, event, gotEvent)
		require.Equal(t, "2026-10-24T21:30:59.999Z", gotSession.CreatedAt.String())
	})
}

func TestEventIDsOnlyGrow(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		db := d.Open(t)
		require.NoError(t, models.Migrate(db))
		first, second := models.Event{Name: "a"}, models.Event{Name: "b"}
		require.NoError(t, db.Create(&first).Error)
		require.NoError(t, db.Where("id = ?", first.ID).Delete(&models.Event{}).Error)
		require.NoError(t, db.Create(&second).Error)
		require.Greater(t, second.ID, first.ID)
	})
}

func TestTime(t *testing.T) {
	if got := models.At(time.Time{}); got != 0 || !got.IsZero() || !got.Time().IsZero() || got.String() != "never" {
		t.Errorf("the zero time became %d, %v, %q", got, got.Time(), got.String())
	}
	want := time.Date(2106, 2, 7, 6, 28, 16, 123_000_000, time.UTC)
	if got := models.At(want.Add(999 * time.Microsecond)).Time(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	encoded, err := json.Marshal([]models.Time{0, models.At(want)})
	require.NoError(t, err)
	require.Equal(t, `[null,"2106-02-07T06:28:16.123Z"]`, string(encoded))
}

func count(t *testing.T, query *gorm.DB) int64 {
	t.Helper()
	var n int64
	require.NoError(t, query.Count(&n).Error)
	return n
}

func without(all []string, unwanted string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == unwanted })
}

// statements is a GORM logger that keeps what was run.
type statements struct {
	mu  sync.Mutex
	all []string
}

func (l *statements) LogMode(logger.LogLevel) logger.Interface      { return l }
func (l *statements) Info(context.Context, string, ...interface{})  {}
func (l *statements) Warn(context.Context, string, ...interface{})  {}
func (l *statements) Error(context.Context, string, ...interface{}) {}
func (l *statements) Trace(_ context.Context, _ time.Time, fc func() (string, int64), _ error) {
	sql, _ := fc()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, sql)
}

func (l *statements) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}

func (l *statements) with(word string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, sql := range l.all {
		if strings.HasPrefix(sql, word) {
			found = append(found, sql)
		}
	}
	return found
}

func TestIndexes(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		db := d.Open(t)
		require.NoError(t, models.Migrate(db))
		for _, want := range []struct {
			row     any
			columns []string
		}{
			{&models.Session{}, []string{"id"}},
			{&models.Session{}, []string{"user_id", "ended_at"}}, // the live ones of a user
			{&models.Session{}, []string{"expires_at"}},
			{&models.Session{}, []string{"ended_at"}},
			{&models.Event{}, []string{"id"}},
			{&models.User{}, []string{"username_key"}},
			{&models.User{}, []string{"email_key"}},
		} {
			require.True(t, hasIndex(t, db, want.row, want.columns), "%T by %v", want.row, want.columns)
		}
	})
}

// hasIndex reports whether a table has an index of these columns. SQLite does
// not list the primary key of an integer column as one.
func hasIndex(t *testing.T, db *gorm.DB, row any, columns []string) bool {
	t.Helper()
	indexes, err := db.Migrator().GetIndexes(row)
	require.NoError(t, err)
	for _, index := range indexes {
		if slices.Equal(index.Columns(), columns) {
			return true
		}
	}
	types, err := db.Migrator().ColumnTypes(row)
	require.NoError(t, err)
	for _, column := range types {
		if primary, ok := column.PrimaryKey(); ok && primary && slices.Equal(columns, []string{column.Name()}) {
			return true
		}
	}
	return false
}
