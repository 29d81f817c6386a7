// Package modelstest gives tests an empty database of each kind that
// gin-session is tested on. Only tests import it.
package modelstest

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// A Database is an empty database that lives as long as the test it was made for.
type Database struct {
	Kind string // sqlite, postgres or mariadb
	dial func(strict bool) gorm.Dialector
	// Strict makes the connections collide as often as can be: PostgreSQL and
	// MariaDB isolate transactions as if one ran after the other, and SQLite does
	// not wait for its lock.
	Strict bool
}

// Open connects to the database with a pool of its own, as one more process of
// the application would, and closes the pool when t ends. Inside a synctest
// bubble it must be called with the bubble's t.
func (d Database) Open(t testing.TB, opts ...gorm.Option) *gorm.DB {
	t.Helper()
	if len(opts) == 0 {
		opts = []gorm.Option{&gorm.Config{Logger: logger.Discard}}
	}
	db, err := gorm.Open(d.dial(d.Strict), opts...)
	if err != nil {
		t.Fatalf("open %s: %v", d.Kind, err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatalf("open %s: %v", d.Kind, err)
	}
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	t.Cleanup(func() { _ = pool.Close() })
	return db
}

// Each runs test as a subtest for every kind of database: always on SQLite, on
// PostgreSQL and MariaDB where GINSESSION_TEST_POSTGRES (a URL) and
// GINSESSION_TEST_MYSQL (a DSN of go-sql-driver) say where they are.
func Each(t *testing.T, test func(t *testing.T, d Database)) {
	t.Helper()
	for _, kind := range []struct {
		name string
		make func(t testing.TB) Database
	}{
		{"sqlite", SQLite}, {"postgres", Postgres}, {"mariadb", MariaDB},
	} {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.make(t)) })
	}
}

// SQLite makes a database in a file of the test's temporary folder.
func SQLite(t testing.TB) Database {
	file := filepath.ToSlash(filepath.Join(t.TempDir(), "test.db"))
	return Database{Kind: "sqlite", dial: func(strict bool) gorm.Dialector {
		if strict {
			return sqliteDialector(file, 0)
		}
		return sqliteDialector(file, 5000)
	}}
}

// OpenSQLite opens a database in a file, for examples, which have no t.
func OpenSQLite(file string) (*gorm.DB, error) {
	return gorm.Open(sqliteDialector(file, 5000), &gorm.Config{Logger: logger.Discard})
}

// SQLiteInMemory opens a database by what SQLite itself calls it.
func SQLiteInMemory(t testing.TB, name string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(sqliteNamed(name), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return db
}

// Postgres makes a schema, or skips t where there is no server.
func Postgres(t testing.TB) Database {
	t.Helper()
	const variable = "GINSESSION_TEST_POSTGRES"
	dsn, err := url.Parse(server(t, variable))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	name := randomName()
	admin(t, postgres.Open(dsn.String()), "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
	query := dsn.Query()
	query.Set("search_path", name)
	return Database{Kind: "postgres", dial: func(strict bool) gorm.Dialector {
		if strict {
			query.Set("default_transaction_isolation", "serializable")
		}
		dsn.RawQuery = query.Encode()
		return postgres.Open(dsn.String())
	}}
}

// MariaDB makes a database, or skips t where there is no server.
func MariaDB(t testing.TB) Database {
	t.Helper()
	const variable = "GINSESSION_TEST_MYSQL"
	cfg, err := mysqldriver.ParseDSN(server(t, variable))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	name := randomName()
	// The default of older servers, in which not all that users write has room.
	admin(t, mysql.Open(cfg.FormatDSN()), "CREATE DATABASE "+name+" CHARACTER SET latin1", "DROP DATABASE "+name)
	cfg.DBName = name
	return Database{Kind: "mariadb", dial: func(strict bool) gorm.Dialector {
		cfg := cfg.Clone()
		if strict {
			cfg.Params = map[string]string{"tx_isolation": "'SERIALIZABLE'"}
		}
		return mysql.Open(cfg.FormatDSN())
	}}
}

func server(t testing.TB, variable string) string {
	t.Helper()
	dsn := os.Getenv(variable)
	if dsn == "" {
		t.Skipf("%s is not set", variable)
	}
	return dsn
}

func randomName() string { return "ginsession_" + strings.ToLower(rand.Text()[:12]) }

// admin runs one statement now and one when t has ended, each on a connection
// of its own.
func admin(t testing.TB, dialector gorm.Dialector, before, after string) {
	t.Helper()
	run := func(statement string) error {
		db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
		if err != nil {
			return err
		}
		pool, err := db.DB()
		if err != nil {
			return err
		}
		defer func() { _ = pool.Close() }()
		return db.Exec(statement).Error
	}
	if err := run(before); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", before, err))
	}
	t.Cleanup(func() {
		if err := run(after); err != nil {
			t.Errorf("%s: %v", after, err)
		}
	})
}
