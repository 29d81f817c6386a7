//go:build cgo

// SQLite where there is a C compiler.

package main

import (
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// sqliteFile opens a file, whose path is escaped as in a URL. WAL lets requests
// read while one writes, and writers wait for each other instead of failing.
func sqliteFile(path string) gorm.Dialector {
	return sqlite.Open("file:" + path + "?_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000")
}
