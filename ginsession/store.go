// Every query on sessions. Each write is conditional; no row is ever saved
// whole, and none that has ended is touched.

package ginsession

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/ginsession/gin-session/models"
)

// store runs the queries over GORM. Transactions begin with a write, so that
// SQLite takes its lock at once and never has to upgrade one.
type store struct {
	db      *gorm.DB
	timeout time.Duration
	changed func(models.Event) // hears of each change, see transaction

	findSQL     string // see find
	findAllSQL  string // see findAll
	accessesSQL string // see accesses
}

// record is a session with the account it belongs to. The account is zero if
// there is none, or if the application has users of its own.
type record struct {
	models.Session `gorm:"embedded"`
	Account        account `gorm:"embedded;embeddedPrefix:account_"`
}

// account is what a request needs of a models.User.
type account struct {
	ID         models.Exact `gorm:"column:id"`
	Username   string       `gorm:"column:username"`
	Email      string       `gorm:"column:email"`
	Role       string       `gorm:"column:role"`
	Epoch      int64        `gorm:"column:epoch"`
	LastLogin  models.Time  `gorm:"column:last_login"`
	DisabledAt models.Time  `gorm:"column:disabled_at"`
}

// newStore prepares a store over db. With accounts, users are rows of
// models.User and are read together with their sessions.
func newStore(db *gorm.DB, timeout time.Duration, accounts bool, changed func(models.Event)) (*store, error) {
	db = db.Session(&gorm.Session{
		NewDB:                  true,
		SkipDefaultTransaction: true,
		// GORM's own log would print the values of failed statements. Errors are
		// returned, and logged where they are handled.
		Logger: logger.Discard,
	})
	// A replica that lags would bring back what has ended: this is how GORM's
	// dbresolver, where there is one, is told to leave the reads with the source.
	db = db.Set("gorm:db_resolver:write", struct{}{}).Session(&gorm.Session{})
	s := &store{db: db, timeout: timeout, changed: changed}

	// The names of the tables are the application's to choose, by GORM's naming
	// strategy, so the statement is built of what GORM calls them.
	var faults []error
	name := func(model any) (table string, columns []string) {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(model); err != nil {
			faults = append(faults, err)
			return "", nil
		}
		return stmt.Quote(stmt.Table), stmt.Schema.DBNames
	}
	var list []string
	sessions, columns := name(&models.Session{})
	for _, column := range columns {
		list = append(list, "s."+column)
	}
	from := sessions + " s"
	if accounts {
		users, _ := name(&models.User{})
		_, columns := name(&account{})
		for _, column := range columns {
			list = append(list, "u."+column+" AS account_"+column)
		}
		from += " LEFT JOIN " + users + " u ON u.id = s.user_id"
	}
	s.findSQL = "SELECT " + strings.Join(list, ", ") + " FROM " + from + " WHERE s.id = ?"
	s.findAllSQL = strings.TrimSuffix(s.findSQL, "= ?") + "IN ?"
	s.accessesSQL = "UPDATE " + sessions + " SET ip_address = ?, user_agent = ?, last_accessed = ? WHERE id IN ? AND ended_at = 0"
	return s, errors.Join(faults...)
}

// find reads a session, and its account with it. ok is false if there is none.
func (s *store) find(ctx context.Context, id string) (rec record, ok bool, err error) {
	err = s.run(ctx, func(db *gorm.DB) error {
		result := db.Raw(s.findSQL, models.Exact(id)).Scan(&rec)
		ok = result.RowsAffected == 1
		return result.Error
	})
	if err != nil {
		return record{}, false, err
	}
	if ok && string(rec.ID) != id {
		return record{}, false, unavailable(fmt.Errorf("asked for session %s, got another", id))
	}
	return rec, ok, nil
}

// findAll is find for many sessions. Those that are not there are left out.
func (s *store) findAll(ctx context.Context, ids []models.Exact) (found map[models.Exact]record, err error) {
	var rows []record
	err = s.run(ctx, func(db *gorm.DB) error {
		rows = nil
		return db.Raw(s.findAllSQL, ids).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	found = make(map[models.Exact]record, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, nil
}

// opening is all that changes when a session is opened.
type opening struct {
	row     models.Session
	account bool  // the user is a row of models.User
	epoch   int64 // the user's, 0 for any
	created []models.Event
	ended   []models.Event // of the sessions that this one takes the place of
	limit   limit
	live    bool // one of these must not have ended yet
}

// limit is how many sessions a user may have.
type limit struct {
	most      int         // with the new one; none if it is not positive
	refuse    bool        // ErrSessionLimit for one too many; or else the least recently used go
	usedSince models.Time // only those count that were used after it
	ended     models.Event
	lock      models.Exact // see lockUser
}

// open inserts a session and ends the one it takes the place of. The error is
// ErrCredentialsInvalid if the user was disabled, was deleted, or got another
// password since he was looked at. The condition on his row also makes the
// transactions that do so wait for this one, so that they find its session, and so
// do other sign-ins of the user. Their limit is kept to exactly. It returns the events
// of the sessions that ended.
func (s *store) open(ctx context.Context, o opening) (ended []models.Event, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) (_ []models.Event, err error) {
		if !o.account && o.limit.most > 0 {
			if err := lockUser(tx, o.limit.lock, o.row.CreatedAt); err != nil {
				return nil, err
			}
		}
		if o.account {
			user := tx.Model(&models.User{}).Where("id = ? AND disabled_at = 0", o.row.UserID)
			if o.epoch != 0 {
				user = user.Where("epoch = ?", o.epoch)
			}
			values := map[string]any{"revision": gorm.Expr("revision + 1")}
			if o.row.Actor == "" {
				values["last_login"] = o.row.CreatedAt
			}
			result := user.Updates(values)
			if result.Error != nil {
				return nil, result.Error
			}
			if result.RowsAffected == 0 {
				return nil, ErrCredentialsInvalid
			}
		}
		if ended, err = endRows(tx, o.ended); err != nil {
			return nil, err
		}
		if o.live && len(ended) == 0 {
			return nil, ErrSessionNotFound
		}
		over, err := makeRoom(tx, o)
		if err != nil {
			return nil, err
		}
		ended = append(ended, over...)
		// A second try needs them without ids.
		return slices.Concat(o.created, ended), tx.Create(&o.row).Error
	})
	return ended, err
}

// lockUser lets the sign-ins of a user who is no row of ours wait for each other.
func lockUser(tx *gorm.DB, id models.Exact, now models.Time) error {
	lock := models.LoginAttempts{ID: id, ExpiresAt: now + models.Time(forgetPair.Milliseconds())}
	return tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"expires_at"}),
	}).Create(&lock).Error
}

// makeRoom ends the sessions that are too many with the new one, those that were not
// used for longest.
func makeRoom(tx *gorm.DB, o opening) (over []models.Event, err error) {
	if o.limit.most <= 0 {
		return nil, nil
	}
	var ids []models.Exact
	err = tx.Model(&models.Session{}).
		Where("user_id = ? AND ended_at = 0 AND actor = '' AND expires_at > ? AND last_accessed > ?",
			o.row.UserID, o.row.CreatedAt, o.limit.usedSince).
		Order("last_accessed DESC, id").Offset(o.limit.most-1).Limit(math.MaxInt32).Pluck("id", &ids).Error
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if o.limit.refuse {
		return nil, ErrSessionLimit
	}
	for _, id := range ids {
		event := o.limit.ended
		event.SessionID = id
		ended, err := endRow(tx, event)
		if err != nil {
			return nil, err
		}
		if ended {
			over = append(over, event)
		}
	}
	return over, nil
}

// renew makes of the session that was read as row what next says: a later
// expiry, a new secret. It reports false, and has changed nothing, if the row is
// no longer as it was read.
func (s *store) renew(ctx context.Context, row, next models.Session, event models.Event) (bool, error) {
	won := false
	err := s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		result := tx.Model(&models.Session{}).
			Where("id = ? AND secret_hash = ? AND renewed_at = ? AND ended_at = 0", row.ID, row.SecretHash, row.RenewedAt).
			Updates(map[string]any{
				"secret_hash":   next.SecretHash,
				"previous_hash": next.PreviousHash,
				"salt":          next.Salt,
				"seen_at":       next.SeenAt,
				"role_mark":     next.RoleMark,
				"owner_mark":    next.OwnerMark,
				"expires_at":    next.ExpiresAt,

				"authenticated_at":    next.AuthenticatedAt,
				"absolute_expires_at": next.AbsoluteExpiresAt,

				"renewed_at":    next.RenewedAt,
				"last_accessed": next.LastAccessed,
				"ip_address":    next.IPAddress,
				"user_agent":    next.UserAgent,
			})
		if won = result.RowsAffected == 1; !won {
			return nil, result.Error
		}
		return []models.Event{event}, nil
	})
	return won && err == nil, err
}

// extend sets a later expiry of the session that was read as row, and nothing else. It
// reports false, and has changed nothing, if the row is no longer as it was read.
func (s *store) extend(ctx context.Context, row models.Session, expires models.Time, event models.Event) (bool, error) {
	won := false
	err := s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		result := tx.Model(&models.Session{}).
			Where("id = ? AND secret_hash = ? AND expires_at = ? AND ended_at = 0", row.ID, row.SecretHash, row.ExpiresAt).
			Update("expires_at", expires)
		if won = result.RowsAffected == 1; !won {
			return nil, result.Error
		}
		return []models.Event{event}, nil
	})
	return won && err == nil, err
}

// touch notes an access, and with seen that the present secret has been
// presented. It reports false, and has changed nothing, if the session has ended,
// got another secret, or another access has been noted since the row was read.
func (s *store) touch(ctx context.Context, row models.Session, seen bool, now models.Time, by client) (touched bool, err error) {
	values := map[string]any{"last_accessed": now, "ip_address": by.ip, "user_agent": by.agent}
	if seen {
		values["seen_at"] = now
	}
	err = s.write(ctx, func(db *gorm.DB) error {
		result := db.Model(&models.Session{}).
			Where("id = ? AND secret_hash = ? AND last_accessed = ? AND seen_at = ? AND ended_at = 0",
				row.ID, row.SecretHash, row.LastAccessed, row.SeenAt).
			Updates(values)
		touched = result.RowsAffected == 1
		return result.Error
	})
	return touched, err
}

// end ends the session that an event names, for the event's reason, if its row
// still meets a condition; an empty one it always meets. It reports false if it
// does not, or if the session had ended before.
func (s *store) end(ctx context.Context, event models.Event, still string, args ...any) (bool, error) {
	ended := false
	err := s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		rows := tx
		if still != "" {
			rows = tx.Where(still, args...)
		}
		var err error
		if ended, err = endRow(rows, event); err != nil || !ended {
			return nil, err
		}
		return []models.Event{event}, nil
	})
	return ended && err == nil, err
}

// endThese ends the sessions that events name. It returns the events of those that had
// not ended before.
func (s *store) endThese(ctx context.Context, events []models.Event) (ended []models.Event, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) (_ []models.Event, err error) {
		ended, err = endRows(tx, events)
		return slices.Clone(ended), err
	})
	return ended, err
}

func endRows(tx *gorm.DB, events []models.Event) (ended []models.Event, err error) {
	for _, event := range events {
		switch ok, err := endRow(tx, event); {
		case err != nil:
			return nil, err
		case ok:
			ended = append(ended, event)
		}
	}
	return ended, nil
}

// expire is end for a session that has run out. It leaves alone one that was
// renewed or used since it was read as row.
func (s *store) expire(ctx context.Context, row models.Session, event models.Event) (bool, error) {
	return s.end(ctx, event, "expires_at = ? AND last_accessed = ?", row.ExpiresAt, row.LastAccessed)
}

// reuse is end for a session of which a secret was presented that is good no
// longer. It leaves alone one that was rotated or seen since it was read as row:
// a request that was overtaken is no reuse.
func (s *store) reuse(ctx context.Context, row models.Session, event models.Event) (bool, error) {
	return s.end(ctx, event, "secret_hash = ? AND seen_at = ?", row.SecretHash, row.SeenAt)
}

// endRow does not look at the secret: a session that is rotated while its user
// signs out ends all the same.
func endRow(tx *gorm.DB, event models.Event) (bool, error) {
	result := tx.Model(&models.Session{}).
		Where("id = ? AND ended_at = 0", event.SessionID).
		Updates(endOf(event))
	return result.RowsAffected == 1, result.Error
}

// endUser ends the sessions of the user that an event names, except those of the
// given ids. It returns how many.
func endUser(tx *gorm.DB, event models.Event, except []string) (int, error) {
	alive := tx.Model(&models.Session{}).Where("user_id = ? AND ended_at = 0", event.UserID)
	for _, id := range except {
		if isID(id) {
			alive = alive.Where("id <> ?", models.Exact(id))
		}
	}
	result := alive.Updates(endOf(event))
	return int(result.RowsAffected), result.Error
}

// rotateNext lets the next request of each of some sessions of a user rotate its
// secret: as if his role were another one.
func rotateNext(tx *gorm.DB, user models.Exact, ids []string) error {
	for _, id := range ids {
		if !isID(id) {
			continue
		}
		err := tx.Model(&models.Session{}).Where("id = ? AND user_id = ? AND ended_at = 0", models.Exact(id), user).
			Update("role_mark", "").Error
		if err != nil {
			return err
		}
	}
	return nil
}

// endOf is what an event makes of the row of a session that it ends.
func endOf(event models.Event) map[string]any {
	return map[string]any{"ended_at": event.At, "end_reason": event.Reason, "ended_by": event.Actor}
}

// endAll ends at most limit of the sessions that were opened before an event. It
// returns how many, and whether there may be more.
func (s *store) endAll(ctx context.Context, event models.Event, limit int) (n int, more bool, err error) {
	const alive = "ended_at = 0 AND created_at <= ?"
	var ids []models.Exact
	err = s.run(ctx, func(db *gorm.DB) error {
		return db.Model(&models.Session{}).Where(alive, event.At).Limit(limit).Pluck("id", &ids).Error
	})
	if err != nil || len(ids) == 0 {
		return 0, false, err
	}
	err = s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		result := tx.Model(&models.Session{}).Where("id IN ?", ids).Where(alive, event.At).Updates(endOf(event))
		n = int(result.RowsAffected) // some have ended meanwhile
		return []models.Event{event}, result.Error
	})
	if err != nil {
		return 0, false, err
	}
	return n, len(ids) == limit, nil
}

// resume gives a session that was left for another a new secret, and ends the other,
// for which an event stands, if it has not ended. The other leads back once, and not
// if it was ended before its time: the error is ErrSessionInvalid then, or if the
// first is no longer as it was read.
func (s *store) resume(ctx context.Context, row, next models.Session, renewed, left models.Event) error {
	return s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		result := tx.Model(&models.Session{}).
			Where("id = ? AND origin_id = ? AND (ended_at = 0 OR end_reason IN ?)",
				left.SessionID, row.ID, []Reason{ReasonExpired, ReasonIdle, ReasonAbsolute}).
			Update("origin_id", "")
		if result.Error == nil && result.RowsAffected == 1 {
			result = tx.Model(&models.Session{}).
				Where("id = ? AND secret_hash = ? AND renewed_at = ? AND ended_at = 0", row.ID, row.SecretHash, row.RenewedAt).
				Updates(map[string]any{
					"secret_hash": next.SecretHash, "previous_hash": nil, "salt": nil, "seen_at": 0, "owner_mark": next.OwnerMark,
					"renewed_at": next.RenewedAt, "last_accessed": next.LastAccessed, "authenticated_at": next.AuthenticatedAt,
					"ip_address": next.IPAddress, "user_agent": next.UserAgent,
				})
		}
		if result.Error != nil {
			return nil, result.Error
		}
		if result.RowsAffected != 1 {
			return nil, ErrSessionInvalid
		}
		events := []models.Event{renewed}
		ended, err := endRow(tx, left)
		if ended {
			events = append(events, left)
		}
		return events, err
	})
}

// sessionsOf reads sessions of a user, those used last first, beginning behind one.
func (s *store) sessionsOf(ctx context.Context, user models.Exact, page Page, after models.Session, now models.Time) (rows []models.Session, err error) {
	err = s.run(ctx, func(db *gorm.DB) error {
		rows = nil
		query := db.Where("user_id = ?", user)
		if !page.Ended {
			query = query.Where("ended_at = 0 AND expires_at > ?", now)
		}
		if after.ID != "" {
			query = query.Where("(last_accessed < ? OR last_accessed = ? AND id > ?)", after.LastAccessed, after.LastAccessed, after.ID)
		}
		return query.Order("last_accessed DESC, id").Limit(page.Size).Find(&rows).Error
	})
	return rows, err
}

// accesses writes the last accesses of many sessions in one statement. It leaves
// alone those that have ended, and those of which a later access is known.
func (s *store) accesses(ctx context.Context, batch []access) error {
	// A later assignment of a statement sees, on MySQL, what an earlier one has
	// set: so the column that is compared comes last. The last branch gives the
	// parameters their type on PostgreSQL.
	column := func(name string, value func(access) any) clause.Expr {
		var text strings.Builder
		var args []any
		text.WriteString("CASE")
		for _, a := range batch {
			text.WriteString(" WHEN id = ? AND last_accessed < ? THEN ?")
			args = append(args, a.id, a.at, value(a))
		}
		return gorm.Expr(text.String()+" ELSE "+name+" END", args...)
	}
	ids := make([]models.Exact, len(batch))
	for i, a := range batch {
		ids[i] = a.id
	}
	return s.write(ctx, func(db *gorm.DB) error {
		return db.Exec(s.accessesSQL,
			column("ip_address", func(a access) any { return a.by.ip }),
			column("user_agent", func(a access) any { return a.by.agent }),
			column("last_accessed", func(a access) any { return a.at }),
			ids).Error
	})
}

// countAttempt counts an attempt to sign in under all of its counters, or under
// none: the error is ErrRateLimited if one of them makes it wait. The write comes
// first, so that of attempts at the same instant each sees the one before. It
// returns the rows in the order of the counters.
func (s *store) countAttempt(ctx context.Context, counters []counter, now time.Time) (rows []models.LoginAttempts, err error) {
	again := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Set{{
		Column: clause.Column{Name: "failures"},
		Value:  gorm.Expr("? + 1", clause.Column{Table: clause.CurrentTable, Name: "failures"}),
	}}}
	err = s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		rows = make([]models.LoginAttempts, len(counters))
		ids := make([]models.Exact, len(counters))
		for i, c := range counters {
			rows[i], ids[i] = c.row, c.row.ID
		}
		if err := tx.Clauses(again).Create(&rows).Error; err != nil {
			return nil, err
		}
		var found []models.LoginAttempts
		if err := tx.Where("id IN ?", ids).Find(&found).Error; err != nil {
			return nil, err
		}
		for i, c := range counters {
			at := slices.IndexFunc(found, func(row models.LoginAttempts) bool { return row.ID == c.row.ID })
			if at < 0 {
				return nil, errors.New("an attempt to sign in was counted, and is not there")
			}
			next, wait := c.judge(found[at], now)
			if wait > 0 {
				return nil, &Error{Code: ErrRateLimited, RetryAfter: wait}
			}
			rows[i] = next
			if next == found[at] {
				continue
			}
			err := tx.Model(&models.LoginAttempts{}).Where("id = ?", next.ID).
				Updates(map[string]any{"failures": next.Failures, "until": next.Until, "expires_at": next.ExpiresAt}).Error
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return rows, err
}

// forgive forgets the failures of an account after a success, and takes back what
// this attempt was to its source.
func (s *store) forgive(ctx context.Context, rows []models.LoginAttempts) error {
	return s.transaction(ctx, func(tx *gorm.DB) ([]models.Event, error) {
		own := []models.Exact{rows[pairRow].ID, rows[accountRow].ID}
		if err := tx.Where("id IN ?", own).Delete(&models.LoginAttempts{}).Error; err != nil {
			return nil, err
		}
		return nil, takeBack(tx, rows[sourceRow:])
	})
}

// forgiveAccount forgets the failures of an account from everywhere.
func forgiveAccount(tx *gorm.DB, id models.Exact) error {
	return tx.Where("id = ?", id).Delete(&models.LoginAttempts{}).Error
}

// uncount takes back an attempt.
func (s *store) uncount(ctx context.Context, rows []models.LoginAttempts) error {
	return s.write(ctx, func(db *gorm.DB) error { return takeBack(db, rows) })
}

func takeBack(db *gorm.DB, rows []models.LoginAttempts) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]models.Exact, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return db.Model(&models.LoginAttempts{}).Where("id IN ? AND failures > 0", ids).
		Update("failures", gorm.Expr("failures - 1")).Error
}

// sweepAttempts removes at most limit rows of attempts that are forgotten at an
// instant. It returns how many.
func (s *store) sweepAttempts(ctx context.Context, now models.Time, limit int) (n int, err error) {
	const forgotten = "expires_at > 0 AND expires_at <= ?"
	var ids []models.Exact
	err = s.run(ctx, func(db *gorm.DB) error {
		return db.Model(&models.LoginAttempts{}).Where(forgotten, now).Order("expires_at").Limit(limit).Pluck("id", &ids).Error
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return len(ids), s.write(ctx, func(db *gorm.DB) error {
		return db.Where("id IN ?", ids).Where(forgotten, now).Delete(&models.LoginAttempts{}).Error
	})
}

// insert writes events that change nothing.
func (s *store) insert(ctx context.Context, events []models.Event) error {
	return s.write(ctx, func(db *gorm.DB) error {
		rows := slices.Clone(events) // as in open
		return db.CreateInBatches(&rows, eventBatch).Error
	})
}

// eventBatch keeps a statement below the 32,766 parameters of SQLite.
const eventBatch = 200

// lastEvent returns the highest id of an event, 0 if there is none.
func (s *store) lastEvent(ctx context.Context) (id int64, err error) {
	err = s.run(ctx, func(db *gorm.DB) error {
		return db.Model(&models.Event{}).Select("COALESCE(MAX(id), 0)").Scan(&id).Error
	})
	return id, err
}

// eventsAfter reads the events whose ids are above one, in their order, at most
// limit of them, and of each only what the feed needs.
func (s *store) eventsAfter(ctx context.Context, id int64, limit int) (events []models.Event, err error) {
	err = s.run(ctx, func(db *gorm.DB) error {
		return db.Select("id", "name", "session_id", "user_id").
			Where("id > ?", id).Order("id").Limit(limit).Find(&events).Error
	})
	return events, err
}

// sweepSessions removes at most limit sessions of which column, an instant, is
// set and before another; those of the earliest instants from one on. It returns
// how many it looked at, and the instant that it got to: from there the next call
// need not pass over what has been removed. It reads them first, because that
// holds no lock; the condition is asked again of each row when it goes.
func (s *store) sweepSessions(ctx context.Context, column string, from, before models.Time, limit int) (last models.Time, n int, err error) {
	old := column + " >= ? AND " + column + " < ?"
	var rows []struct {
		ID models.Exact
		At models.Time
	}
	err = s.run(ctx, func(db *gorm.DB) error {
		return db.Model(&models.Session{}).Select("id", column+" AS at").
			Where(old, from, before).Order(column).Limit(limit).Find(&rows).Error
	})
	if err != nil || len(rows) == 0 {
		return from, 0, err
	}
	ids := make([]models.Exact, len(rows))
	for i, row := range rows {
		ids[i], last = row.ID, row.At
	}
	return last, len(rows), s.write(ctx, func(db *gorm.DB) error {
		return db.Where("id IN ?", ids).Where(old, from, before).Delete(&models.Session{}).Error
	})
}

// sweepEvents removes, of at most limit events above an id, those of before an
// instant. It returns the id that it got to, and whether there may be more. Ids
// grow with time, so there are none after events that are all between that instant
// and now. One from the future, of a node whose clock was wrong, tells nothing.
func (s *store) sweepEvents(ctx context.Context, above int64, before, now models.Time, limit int) (last int64, more bool, err error) {
	var events []models.Event
	err = s.run(ctx, func(db *gorm.DB) error {
		return db.Select("id", "at").Where("id > ?", above).Order("id").Limit(limit).Find(&events).Error
	})
	var ids []int64
	for _, e := range events {
		last = e.ID
		more = more || e.At < before || e.At > now
		if e.At < before {
			ids = append(ids, e.ID)
		}
	}
	if err != nil || len(ids) == 0 {
		return last, more, err
	}
	return last, more, s.write(ctx, func(db *gorm.DB) error {
		return db.Where("id IN ?", ids).Delete(&models.Event{}).Error
	})
}

// write runs a statement under a deadline of its own: what a client has set
// going is carried out although he hangs up.
func (s *store) write(ctx context.Context, statement func(db *gorm.DB) error) error {
	return s.run(context.WithoutCancel(ctx), statement)
}

// transaction is write for several statements that hold together, and for the
// events that tell of them, which f returns. What they change is heard of
// afterwards, also if the transaction seems to have failed, or the driver panics:
// perhaps only the word of its success was lost.
func (s *store) transaction(ctx context.Context, f func(tx *gorm.DB) ([]models.Event, error)) error {
	var events []models.Event
	defer func() {
		for _, event := range events {
			s.changed(event)
		}
	}()
	return s.write(ctx, func(db *gorm.DB) error {
		return db.Transaction(func(tx *gorm.DB) error {
			var err error
			if events, err = f(tx); err != nil || len(events) == 0 {
				return err
			}
			return tx.Create(&events).Error
		})
	})
}

// run runs f under the store's deadline, again if the database asks for it: see
// retry. So what f changes outside the database it sets anew each time.
func (s *store) run(ctx context.Context, f func(db *gorm.DB) error) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	err := retry(ctx, func() error { return f(s.db.WithContext(ctx)) })
	if err == nil {
		err = ctx.Err() // an answer that comes too late is none
	}
	return unavailable(err)
}

func (s *store) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}
