// The row of an event: the audit trail.

package models

import "gorm.io/gorm/schema"

// Event is a row of session_events: something that happened to a session or to
// a user. What changes something is written in the transaction that makes it true.
// Names are those of the OWASP Logging Vocabulary; the documentation of package
// ginsession lists them.
type Event struct {
	ID   int64  `gorm:"column:id;primaryKey;autoIncrement"`
	At   Time   `gorm:"column:at;not null"`
	Name string `gorm:"column:name;size:64;not null"`

	// SessionID is empty where an event concerns all sessions of the user.
	SessionID Exact `gorm:"column:session_id;size:26;not null"`
	UserID    Exact `gorm:"column:user_id;size:255;not null"`

	// Actor is the user who did it, where that is another than UserID.
	Actor Exact `gorm:"column:actor;size:255;not null;default:''"`

	Outcome   string `gorm:"column:outcome;size:16;not null;default:''"` // "success" or "failure"
	Reason    string `gorm:"column:reason;size:32;not null"`             // a ginsession.Reason or Code, a text of RevokeSession, or empty
	Detail    string `gorm:"column:detail;size:255;not null;default:''"` // of what was refused: the route, and what it needed
	IPAddress string `gorm:"column:ip_address;size:64;not null"`
	UserAgent string `gorm:"column:user_agent;size:256;not null"`
}

// TableName implements [schema.TablerWithNamer], so that a table prefix of the
// application holds for this table too.
func (Event) TableName(n schema.Namer) string { return n.TableName("SessionEvent") }
