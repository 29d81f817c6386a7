// The tables.

package models

import (
	"errors"

	"gorm.io/gorm"
)

// Migrate makes or completes the tables of [User], [Session], [Event] and
// [LoginAttempts]: users, sessions, session_events and login_attempts, unless the application's naming strategy calls
// them otherwise; a TablePrefix keeps them apart from tables it has already. It
// may be called at every start and by several processes at once; it never drops
// a column and never changes a row. It refuses a database of SQLite in memory of
// which each connection of the pool would have its own.
func Migrate(db *gorm.DB) error {
	return migrate(db, &User{}, &Session{}, &Event{}, &LoginAttempts{})
}

// MigrateSessions is [Migrate] without [User], for applications that keep
// their users in a table of their own.
func MigrateSessions(db *gorm.DB) error {
	return migrate(db, &Session{}, &Event{}, &LoginAttempts{})
}

// migrate tries again, because GORM looks for a table before it creates it: of
// two processes that start together one may find the table made in between.
// Each round gets at least one table further.
func migrate(db *gorm.DB, rows ...any) error {
	if db.Name() == "mysql" {
		// What a user's browser calls itself must find room, whatever the default of
		// the database is.
		db = db.Set("gorm:table_options", "DEFAULT CHARSET=utf8mb4")
	}
	var err error
	for range len(rows) + 1 {
		if err = db.AutoMigrate(rows...); err == nil {
			return oneDatabase(db)
		}
	}
	return err
}

// oneDatabase looks, where SQLite has its database in memory, whether a second
// connection finds the tables there. It would not if the database is ":memory:":
// then each connection has another, and all but the first an empty one.
func oneDatabase(db *gorm.DB) error {
	pool, err := db.DB()
	_, inTransaction := db.Statement.ConnPool.(gorm.TxCommitter)
	if db.Name() != "sqlite" || err != nil || inTransaction || pool.Stats().MaxOpenConnections == 1 {
		return nil
	}
	var file string
	err = db.Raw("SELECT COALESCE(file, '') FROM pragma_database_list WHERE name = 'main'").Scan(&file).Error
	if err != nil || file != "" {
		return err
	}
	return db.Connection(func(held *gorm.DB) error { // so that db takes another
		if !held.Migrator().HasTable(&Session{}) || !db.Migrator().HasTable(&Session{}) {
			return errors.New("models: each connection to this SQLite database in memory has a database of its own: call SetMaxOpenConns(1) of its sql.DB, or use a file")
		}
		return nil
	})
}
