//go:build cgo

// SQLite where there is a C compiler.

package modelstest

import (
	"fmt"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

func sqliteNamed(name string) gorm.Dialector { return sqlite.Open(name) }

func sqliteDialector(file string, wait int) gorm.Dialector {
	return sqlite.Open(fmt.Sprintf("file:%s?_journal_mode=WAL&_synchronous=OFF&_busy_timeout=%d", file, wait))
}
