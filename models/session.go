// The row of a session.

package models

// Session is a row of sessions: one sign-in of one user on one device.
type Session struct {
	// ID is public: it names the session in lists and logs and opens nothing.
	ID     Exact `gorm:"column:id;primaryKey;size:26"`
	UserID Exact `gorm:"column:user_id;size:255;not null;index:,composite:user_live,priority:1"`

	// SecretHash is the SHA-256 of the secret in the cookie. The secret itself
	// is nowhere but in the cookie.
	SecretHash []byte `gorm:"column:secret_hash;size:32;not null"`

	// OwnerMark is a MAC of ID, UserID, Actor and OriginID, so that nobody who can write
	// into the table can give a session to another user.
	OwnerMark Exact `gorm:"column:owner_mark;size:22;not null;default:''"`

	// PreviousHash is that of the secret before the last rotation, and Salt what
	// the present one was derived with from it. Both are NULL before the first.
	PreviousHash []byte `gorm:"column:previous_hash;size:32"`
	Salt         []byte `gorm:"column:salt;size:32"`

	// SeenAt is when the present secret was first presented; 0 until then, and
	// where there is no previous one.
	SeenAt Time `gorm:"column:seen_at;not null"`

	// RoleMark is a digest of the role that the user had when the secret was made.
	// When it is another one now, the secret is rotated.
	RoleMark Exact `gorm:"column:role_mark;size:22;not null"`

	// Remember says that the cookie outlives the browser.
	Remember bool `gorm:"column:remember;not null"`

	CreatedAt       Time `gorm:"column:created_at;not null;autoCreateTime:false"`
	AuthenticatedAt Time `gorm:"column:authenticated_at;not null"` // when the user last proved who he is
	LastAccessed    Time `gorm:"column:last_accessed;not null"`    // exact to two minutes
	RenewedAt       Time `gorm:"column:renewed_at;not null"`       // when ExpiresAt was last set

	// ExpiresAt and AbsoluteExpiresAt are whole seconds. A session lives while
	// now < ExpiresAt; no renewal sets that later than AbsoluteExpiresAt.
	ExpiresAt         Time `gorm:"column:expires_at;not null;index"`
	AbsoluteExpiresAt Time `gorm:"column:absolute_expires_at;not null"`

	// EndedAt is 0 while the session has not been ended. Once set it is never
	// changed, and neither is the rest of the row.
	EndedAt   Time   `gorm:"column:ended_at;not null;index:,composite:user_live,priority:2;index"`
	EndReason string `gorm:"column:end_reason;size:32;not null"`
	EndedBy   Exact  `gorm:"column:ended_by;size:255;not null;default:''"` // the user who did it, where that is another

	// Actor is the user who opened the session as UserID, and OriginID his own
	// session; both are empty in any other.
	Actor    Exact `gorm:"column:actor;size:255;not null;default:''"`
	OriginID Exact `gorm:"column:origin_id;size:26;not null;default:''"`

	IPAddress string `gorm:"column:ip_address;size:64;not null"`
	UserAgent string `gorm:"column:user_agent;size:256;not null"`
}
