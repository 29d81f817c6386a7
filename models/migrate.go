// The tables.

package models

import "gorm.io/gorm"

// Migrate makes or completes the tables of [User], [Session], [Event] and
// [LoginAttempts]: users, sessions, session_events and login_attempts, unless the application's naming strategy calls
// them otherwise; a TablePrefix keeps them apart from tables it has already. It
// may be called at every start and by several processes at once; it never drops
// a column and never changes a row.
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
			return nil
		}
	}
	return err
}
