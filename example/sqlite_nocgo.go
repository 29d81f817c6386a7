//go:build !cgo

// SQLite where there is no C compiler.

package main

import (
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// sqliteFile opens a file, whose path is escaped as in a URL. WAL lets requests
// read while one writes, and writers wait for each other instead of failing.
func sqliteFile(path string) gorm.Dialector {
	return sqlite.New(sqlite.Config{
		DriverName: "sqlite",
		DSN: "file:" + path +
			"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)",
	})
}
