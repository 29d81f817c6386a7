// The column types: text that compares byte for byte, and instants.

package models

import (
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// Exact is text that every database compares byte for byte. MySQL and MariaDB
// would otherwise find "ádmin" when asked for "ADMIN ", so there the column is
// VARBINARY. The size tag of the field is its limit in bytes.
type Exact string

// GormDataType implements [schema.GormDataTypeInterface].
func (Exact) GormDataType() string { return "string" }

// GormDBDataType implements [gorm.io/gorm/migrator.GormDataTypeInterface].
func (Exact) GormDBDataType(db *gorm.DB, field *schema.Field) string {
	switch db.Name() {
	case "mysql":
		return fmt.Sprintf("varbinary(%d)", field.Size)
	case "postgres":
		return fmt.Sprintf("varchar(%d)", field.Size)
	default:
		return "text"
	}
}

// Time is an instant: milliseconds since 1970 in UTC. Zero means "not yet",
// "never" or "unknown", as the field says.
type Time int64

// At returns t as a column value. The zero [time.Time] becomes 0.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Time returns the instant in UTC, and the zero [time.Time] for 0.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// MarshalJSON implements [encoding/json.Marshaler]: RFC 3339, and null for 0.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return t.Time().MarshalJSON()
}

// IsZero reports whether t is 0, that is, whether nothing has happened.
func (t Time) IsZero() bool { return t == 0 }

// String returns the instant as RFC 3339, and "never" for 0.
func (t Time) String() string {
	if t == 0 {
		return "never"
	}
	return t.Time().Format(time.RFC3339Nano)
}
