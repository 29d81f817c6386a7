// The row of a user who signs in with a password.

package models

// User is a row of users. Applications with a users table of their own do not
// need it; see MigrateSessions.
type User struct {
	// ID is random text, so that no later user inherits the id of a deleted one.
	ID Exact `gorm:"column:id;primaryKey;size:26"`

	// Username and Email are as the user wrote them. Their keys are the
	// canonical forms by which the user is found; no two users share one.
	Username    string `gorm:"column:username;size:255;not null"`
	UsernameKey Exact  `gorm:"column:username_key;size:255;not null;uniqueIndex"`
	Email       string `gorm:"column:email;size:255;not null"`
	EmailKey    *Exact `gorm:"column:email_key;size:255;uniqueIndex"` // NULL without an e-mail

	Role string `gorm:"column:role;size:64;not null"`

	// PasswordHash is in the PHC string format, or empty: then no password opens
	// the account.
	PasswordHash string `gorm:"column:password_hash;size:255;not null"`

	// Epoch counts the changes after which a sign-in begun before must not
	// succeed, such as a new password. It starts at 1.
	Epoch int64 `gorm:"column:epoch;not null"`

	// Revision counts the updates of the row. Without it an update that sets
	// what is there already would look, on databases that count only rows whose
	// values changed, as if the row were not there.
	Revision int64 `gorm:"column:revision;not null"`

	LastLogin  Time `gorm:"column:last_login;not null"`
	DisabledAt Time `gorm:"column:disabled_at;not null"` // 0 while the user may sign in
	CreatedAt  Time `gorm:"column:created_at;not null;autoCreateTime:false"`
}
