//go:build !cgo

// SQLite where there is no C compiler.

package ginsessiontest

import (
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

func inMemory() gorm.Dialector {
	return sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: ":memory:"})
}
