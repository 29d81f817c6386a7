//go:build !cgo

// SQLite where there is no C compiler.

package modelstest

import (
	"fmt"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

func sqliteNamed(name string) gorm.Dialector {
	return sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: name})
}

func sqliteDialector(file string, wait int) gorm.Dialector {
	return sqlite.New(sqlite.Config{
		DriverName: "sqlite",
		DSN:        fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)", file, wait),
	})
}
