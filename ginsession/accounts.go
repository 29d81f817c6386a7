// Accounts: the users of models.User, for applications that have none of their own.

package ginsession

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/ginsession/gin-session/models"
)

// Accounts are users who sign in with a password, rows of models.User. It is
// the [Users] of a [Manager] that was given no other. Its methods are safe for
// concurrent use. Their errors are *[Error], and may all be [ErrStoreUnavailable], or
// [ErrRateLimited] where a password is hashed.
type Accounts struct {
	m      *Manager
	hasher *hasher
}

func newAccounts(m *Manager) *Accounts { return &Accounts{m: m, hasher: newHasher()} }

// NewUser is a user to be created.
type NewUser struct {
	// Username is required. It may hold an '@' only if it is the e-mail too.
	Username string
	Email    string // may be empty
	Role     string // may be empty: no role
	// Password must pass Config.MinPassword and Config.CheckPassword. If it is empty,
	// no password opens the account until one is set. It is not shown, however the
	// user is printed, and JSON does not hold it.
	Password string `json:"-"`
}

// Format implements [fmt.Formatter]: all is printed but the password.
func (n NewUser) Format(f fmt.State, verb rune) {
	type plain NewUser
	if n.Password != "" {
		n.Password = redacted
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), plain(n))
}

// Create adds a user. The error is [ErrRequestInvalid], naming the field, or
// [ErrUserExists] if somebody has the username or the e-mail, in whatever case
// or Unicode form it is written.
func (a *Accounts) Create(ctx context.Context, n NewUser) (Identity, error) {
	now := a.m.now()
	user, err := a.newRow(ctx, n, now)
	if err != nil {
		return Identity{}, stamp(err, now)
	}
	event := a.m.eventIn(ctx, eventUserCreated, "", user.ID, "", now)
	err = a.m.store.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		return []models.Event{event}, tx.Create(&user).Error
	})
	if err != nil && a.taken(ctx, user) {
		err = ErrUserExists
	}
	if err != nil {
		return Identity{}, stamp(err, now)
	}
	a.m.tell(ctx, event)
	return accountOf(user).identity(), nil
}

func (a *Accounts) newRow(ctx context.Context, n NewUser, now time.Time) (models.User, error) {
	n.Username, n.Email = strings.TrimSpace(n.Username), strings.TrimSpace(n.Email)
	user := models.User{
		ID:        models.Exact(rand.Text()),
		Username:  n.Username,
		Role:      n.Role,
		Epoch:     1,
		CreatedAt: models.At(now),
	}
	var err error
	if user.UsernameKey, err = canonical(n.Username); err != nil {
		return user, invalid("username: " + err.Error())
	}
	isEmail := strings.Contains(string(user.UsernameKey), "@")
	if isEmail && n.Email == "" {
		n.Email = n.Username
	}
	if n.Email != "" {
		key, err := canonical(n.Email)
		if err != nil {
			return user, invalid("email: " + err.Error())
		}
		if at := strings.LastIndexByte(string(key), '@'); at < 1 || at == len(key)-1 {
			return user, invalid("email: must be an address like ada@example.com")
		}
		user.Email, user.EmailKey = n.Email, &key
	}
	if isEmail && user.UsernameKey != *user.EmailKey {
		return user, invalid("username: must not contain '@', unless it is the e-mail")
	}
	if err := checkRole(n.Role); err != nil {
		return user, err
	}
	if n.Password == "" {
		return user, nil
	}
	user.PasswordHash, err = a.hashNew(ctx, n.Password, user)
	return user, err
}

// hashNew hashes a new password of a user, if it will do.
func (a *Accounts) hashNew(ctx context.Context, password string, user models.User) (string, error) {
	if err := a.m.cfg.checkPassword(password, user.Username, user.Email); err != nil {
		return "", err
	}
	if check := a.m.cfg.CheckPassword; check != nil {
		if err := check(ctx, accountOf(user).identity(), password); err != nil {
			return "", unavailable(err)
		}
	}
	return a.hasher.hash(ctx, password)
}

// taken reports whether somebody else has the username or the e-mail.
func (a *Accounts) taken(ctx context.Context, user models.User) bool {
	var n int64
	err := a.m.store.run(ctx, func(db *gorm.DB) error {
		names := db.Where("username_key = ?", user.UsernameKey)
		if user.EmailKey != nil {
			names = names.Or("email_key = ?", *user.EmailKey)
		}
		return db.Model(&models.User{}).Where("id <> ?", user.ID).Where(names).Count(&n).Error
	})
	return err == nil && n > 0
}

// Authenticate implements [Users]. login is the username or the e-mail. The
// error is [ErrCredentialsInvalid] for an unknown name, a wrong password and a
// disabled user alike, and each costs one hash. It is [ErrRateLimited] if there
// were too many failures, or if too many passwords wait to be hashed.
//
// ctx should be the *gin.Context, or made from it: then failures are counted by their
// source, and devices are known, as [Manager.Login] does it. Of any other context all
// clients are one source, and the failures of one make everybody wait.
func (a *Accounts) Authenticate(ctx context.Context, login, password string) (Identity, error) {
	user, err := a.authenticate(ctx, login, password, a.m.attemptIn(ctx, eventLoginFailed))
	if err != nil {
		return Identity{}, stamp(err, a.m.now())
	}
	return user, nil
}

func (a *Accounts) authenticate(ctx context.Context, login, password string, try attempt) (Identity, error) {
	user, err := a.byLogin(ctx, login)
	if err != nil {
		return Identity{}, err
	}
	outdated, err := a.check(ctx, user, login, password, try)
	if err != nil {
		return Identity{}, err
	}
	if outdated {
		a.upgrade(ctx, user, password)
	}
	return accountOf(user).identity(), nil
}

// upgrade hashes a password, which is the user's, as it is done today. If that does
// not succeed, it is done at the next sign-in.
func (a *Accounts) upgrade(ctx context.Context, user models.User, password string) {
	hash, err := a.hasher.hash(ctx, password)
	if err == nil {
		err = a.m.store.write(ctx, func(db *gorm.DB) error {
			return db.Model(&models.User{}).Where("id = ? AND password_hash = ?", user.ID, user.PasswordHash).
				Updates(map[string]any{"password_hash": hash, "revision": gorm.Expr("revision + 1")}).Error
		})
	}
	if err != nil {
		a.m.cfg.Logger.WarnContext(ctx, "ginsession: a password hash was not upgraded", "user", string(user.ID), "error", err)
	}
}

// check counts an attempt on the account of a row, or on a name if the row is
// zero, and looks whether the password is right; outdated says that its hash is not
// what it would be today.
func (a *Accounts) check(ctx context.Context, user models.User, login, password string, try attempt) (outdated bool, err error) {
	try.user, try.login = user.ID, login
	try.account = accountOfName(login)
	if user.ID != "" { // whether by username or e-mail
		try.account = accountOfUser(user.ID)
	}
	err = a.m.counted(ctx, &try, func() error {
		var ok bool
		var err error
		ok, outdated, err = a.hasher.verify(ctx, user.PasswordHash, password)
		if errors.Is(err, malformedHash{}) {
			a.m.cfg.Logger.ErrorContext(ctx, "ginsession: "+err.Error(), "user", string(user.ID))
			ok, _, err = a.hasher.verify(ctx, "", password)
		}
		if err == nil && (!ok || !user.DisabledAt.IsZero()) {
			err = ErrCredentialsInvalid
		}
		return err
	})
	return outdated, err
}

// byLogin returns the row of a username or e-mail, or a zero row if there is
// none. A name with '@' is an e-mail: a username has one only if it is that.
func (a *Accounts) byLogin(ctx context.Context, login string) (models.User, error) {
	key, err := canonical(login)
	if err != nil {
		return models.User{}, nil
	}
	if strings.Contains(string(key), "@") {
		return a.row(ctx, "email_key", key, func(u models.User) models.Exact { return *cmp.Or(u.EmailKey, new(models.Exact)) })
	}
	return a.row(ctx, "username_key", key, func(u models.User) models.Exact { return u.UsernameKey })
}

// row returns the user whose column has a value, or a zero row. of says what the
// column holds.
func (a *Accounts) row(ctx context.Context, column string, value models.Exact, of func(models.User) models.Exact) (models.User, error) {
	var user models.User
	err := a.m.store.run(ctx, func(db *gorm.DB) error {
		user = models.User{}
		return db.Where(column+" = ?", value).Limit(1).Find(&user).Error
	})
	if err == nil && user.ID != "" && of(user) != value {
		err = unavailable(errors.New("asked for a user, got another"))
	}
	if err != nil {
		return models.User{}, err
	}
	return user, nil
}

// byID returns the row of an id, or a zero row if there is none.
func (a *Accounts) byID(ctx context.Context, userID string) (models.User, error) {
	if !isID(userID) {
		return models.User{}, nil
	}
	return a.row(ctx, "id", models.Exact(userID), func(u models.User) models.Exact { return u.ID })
}

// Identity implements [Users]. The error is [ErrUserNotFound] for a user who is
// disabled or not there.
func (a *Accounts) Identity(ctx context.Context, userID string) (Identity, error) {
	user, err := a.byID(ctx, userID)
	if err == nil && (user.ID == "" || !user.DisabledAt.IsZero()) {
		err = ErrUserNotFound
	}
	if err != nil {
		return Identity{}, stamp(err, a.m.now())
	}
	return accountOf(user).identity(), nil
}

// Find returns the user of a username or e-mail, also a disabled one. The error
// is [ErrUserNotFound] if there is none.
func (a *Accounts) Find(ctx context.Context, login string) (Identity, error) {
	user, err := a.byLogin(ctx, login)
	if err == nil && user.ID == "" {
		err = ErrUserNotFound
	}
	if err != nil {
		return Identity{}, stamp(err, a.m.now())
	}
	return accountOf(user).identity(), nil
}

// SetPassword gives a user a new password and ends all his sessions. The error
// is [ErrRequestInvalid] if the password does not pass Config.MinPassword or
// Config.CheckPassword, or [ErrUserNotFound].
func (a *Accounts) SetPassword(ctx context.Context, userID, password string) error {
	user, err := a.byID(ctx, userID)
	if err == nil && user.ID == "" {
		err = ErrUserNotFound
	}
	if err != nil {
		return stamp(err, a.m.now())
	}
	return a.setPassword(ctx, user, password, 0, nil)
}

// ChangePassword is SetPassword for a user who gives his current one, which
// must be right, and still be his when the new one is set: the error is
// [ErrCredentialsInvalid] otherwise. His sessions end, except those whose ids
// are given, such as the one he is using; these get a new secret at their next
// request, or two minutes later if they got one just now. A client that sends its token
// in Authorization gets it when it asks for a refresh. ctx should be the *gin.Context,
// or made from it: see Authenticate.
func (a *Accounts) ChangePassword(ctx context.Context, userID, current, password string, except ...string) error {
	user, err := a.byID(ctx, userID)
	if err != nil {
		return stamp(err, a.m.now())
	}
	if _, err := a.check(ctx, user, user.Username, current, a.m.attemptIn(ctx, eventPasswordFailed)); err != nil {
		return stamp(err, a.m.now())
	}
	err = a.setPassword(ctx, user, password, user.Epoch, except)
	if errors.Is(err, ErrUserNotFound) { // no longer as he was
		err = stamp(ErrCredentialsInvalid, a.m.now())
	}
	return err
}

// setPassword sets the password of a user whose epoch is as given, or is any if
// that is 0.
func (a *Accounts) setPassword(ctx context.Context, user models.User, password string, epoch int64, except []string) error {
	hash, err := a.hashNew(ctx, password, user)
	if err != nil {
		return stamp(err, a.m.now())
	}
	return a.change(ctx, string(user.ID), change{
		event: eventPassword, reason: ReasonPassword, epoch: epoch, except: except,
		values: map[string]any{"password_hash": hash, "epoch": gorm.Expr("epoch + 1")},
	})
}

// SetRole gives a user another role, or none if it is empty. His sessions have
// it at their next request. The error is [ErrRequestInvalid] or
// [ErrUserNotFound].
func (a *Accounts) SetRole(ctx context.Context, userID, role string) error {
	if err := checkRole(role); err != nil {
		return stamp(err, a.m.now())
	}
	return a.change(ctx, userID, change{event: eventRole, values: map[string]any{"role": role}})
}

// Disable ends all sessions of a user and lets him open none. The error is
// [ErrUserNotFound].
func (a *Accounts) Disable(ctx context.Context, userID string) error {
	return a.change(ctx, userID, change{
		event: eventUserUpdated, reason: ReasonDisabled,
		values: map[string]any{"disabled_at": models.At(a.m.now()), "epoch": gorm.Expr("epoch + 1")},
	})
}

// Enable lets a disabled user sign in again. The error is [ErrUserNotFound].
func (a *Accounts) Enable(ctx context.Context, userID string) error {
	return a.change(ctx, userID, change{event: eventUserUpdated, values: map[string]any{"disabled_at": models.Time(0)}})
}

// Delete removes a user and ends all his sessions. The error is
// [ErrUserNotFound].
func (a *Accounts) Delete(ctx context.Context, userID string) error {
	return a.change(ctx, userID, change{event: eventUserDeleted, reason: ReasonDisabled})
}

// change is something that happens to a user.
type change struct {
	event  string
	values map[string]any // new ones of his row; nil to delete it
	epoch  int64          // his row must have this one, unless it is 0
	reason Reason         // why his sessions end; empty if they do not
	except []string       // the ids of those that do not end
}

// change makes a change in one transaction.
func (a *Accounts) change(ctx context.Context, userID string, ch change) error {
	now := a.m.now()
	if !isID(userID) {
		return stamp(ErrUserNotFound, now)
	}
	id := models.Exact(userID)
	event := a.m.eventIn(ctx, ch.event, "", id, ch.reason, now)
	err := a.m.store.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		user := tx.Where("id = ?", id)
		if ch.epoch != 0 {
			user = user.Where("epoch = ? AND disabled_at = 0", ch.epoch)
		}
		var result *gorm.DB
		if ch.values == nil {
			result = user.Delete(&models.User{})
		} else {
			ch.values["revision"] = gorm.Expr("revision + 1")
			result = user.Model(&models.User{}).Updates(ch.values)
		}
		if result.Error != nil {
			return nil, result.Error
		}
		if result.RowsAffected == 0 {
			return nil, ErrUserNotFound
		}
		if ch.event == eventPassword {
			if err := forgiveAccount(tx, a.m.attemptID("account", accountOfUser(id))); err != nil {
				return nil, err
			}
		}
		if ch.reason != "" {
			if _, err := endUser(tx, event, ch.except); err != nil {
				return nil, err
			}
			if err := rotateNext(tx, id, ch.except); err != nil {
				return nil, err
			}
		}
		return []models.Event{event}, nil
	})
	if err != nil {
		return stamp(err, now)
	}
	a.m.tell(ctx, event)
	return nil
}

func accountOf(u models.User) account {
	return account{
		ID: u.ID, Username: u.Username, Email: u.Email, Role: u.Role,
		Epoch: u.Epoch, LastLogin: u.LastLogin, DisabledAt: u.DisabledAt,
	}
}

func (a account) identity() Identity {
	return Identity{
		UserID:    string(a.ID),
		Username:  a.Username,
		Email:     a.Email,
		Role:      a.Role,
		LastLogin: a.LastLogin.Time(),
		epoch:     a.Epoch,
	}
}

// canonical returns the one form under which a name is looked up, however it is
// written: Unicode NFKC, case-folded, without space around it. A name with
// control or format characters has none.
func canonical(name string) (models.Exact, error) {
	if !utf8.ValidString(name) {
		return "", errors.New("must be valid UTF-8")
	}
	key := strings.TrimSpace(fold(name))
	if key == "" || len(key) > 255 || utf8.RuneCountInString(name) > 255 {
		return "", errors.New("must have 1 to 255 bytes")
	}
	for _, r := range key {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			return "", errors.New("must not hold control characters")
		}
	}
	return models.Exact(key), nil
}

func checkRole(role string) error {
	if len(role) > 64 || !utf8.ValidString(role) || strings.ContainsFunc(role, unicode.IsControl) {
		return invalid("role: must be text of at most 64 bytes without control characters")
	}
	return nil
}
