// The row that counts attempts to sign in.

package models

import "gorm.io/gorm/schema"

// LoginAttempts is a row of login_attempts: how many attempts failed in a row, on
// an account, from a source, or on an account from a source. Its id is a MAC, so
// that the table tells no names and no addresses.
type LoginAttempts struct {
	ID        Exact `gorm:"column:id;size:43;primaryKey"`
	Failures  int64 `gorm:"column:failures;not null"`
	Until     Time  `gorm:"column:until;not null"`            // no attempt before; 0 for none
	ExpiresAt Time  `gorm:"column:expires_at;not null;index"` // when it is forgotten; 0 for never
}

// TableName implements [schema.TablerWithNamer], so that a table prefix of the
// application holds for this table too.
func (LoginAttempts) TableName(n schema.Namer) string { return n.TableName("LoginAttempt") }
