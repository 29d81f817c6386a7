//go:build cgo

// SQLite where there is a C compiler.

package ginsessiontest

import (
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

func inMemory() gorm.Dialector { return sqlite.Open(":memory:") }
