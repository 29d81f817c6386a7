// Package ginsession gives Gin applications server-side sessions.
//
// The browser holds an HttpOnly cookie with a signed JWT; the database holds the
// session. [Manager.Load] finds the session of a request and refreshes it before it
// runs out; [Require] turns away requests without one; the handlers [Manager.Login],
// [Manager.Logout], [Manager.Status] and [Manager.Refresh] do what browsers and pages
// need; package rbac guards routes by role. A second cookie, which opens nothing, lets
// a sign-in know the device again.
//
//	db, err := gorm.Open(sqlite.Open("app.db"))
//	err = models.Migrate(db)
//	sessions, err := ginsession.New(db, ginsession.Config{}) // the key is in JWT_SECRET
//	go sessions.Run(ctx)                                     // upkeep; ends with ctx
//
//	r := gin.New()
//	r.Use(sessions.Load)
//	sessions.Routes(r.Group("/auth"))
//
//	me := r.Group("/me", ginsession.Require)
//	admin := r.Group("/admin", rbac.RequireRole("admin"))
//
// # The token
//
// A request is signed in by a token with a valid MAC and a live row, never by
// one of them. The token carries a public session id, a secret of 256 random
// bits, times, issuer and audience. It says nothing about the user: who he is
// and what role he has is read from the database. The row holds the SHA-256 of
// the secret. So neither a dump of the database, nor the power to write into
// it, nor the signing key opens a session by itself.
//
// # The life of a session
//
// A session lives for Config.MaxAge, 24 hours, after it was opened. Activity in
// the last Config.RefreshThreshold of that, half an hour, sets a new expiry and
// a new cookie. No refresh goes beyond Config.AbsoluteTimeout, 30 days. With
// Config.IdleTimeout a session also ends when it is not used for so long. A
// session opened with "remember" lasts to its absolute end, in a cookie that
// the browser keeps; any other cookie goes with the browser.
//
// A request counts as activity if it passes Load, except HEAD, OPTIONS and the
// status handler: a page that asks how the session stands does not keep it.
//
// Each refresh replaces the secret in the cookie, and so does another role of the
// user. The old secret stays good until the new one has been seen, and half a
// minute longer: requests side by side, and answers that get lost, sign nobody
// out. A secret that comes later than that was copied. The session ends then, and
// the event authn_token_reuse tells of it.
//
// The row, the token and the cookie of a session that is remembered have the same
// end, to the second. What has ended stays ended, also when a refresh, a login or a
// step of the clock comes in between. A logout, a disabled user or a changed role holds
// for the very next request on this node; for other nodes, and for users of the
// application's own, see below.
//
// # Many nodes, and no query for a known session
//
// Nodes share nothing but the database. While [Manager.Run] runs, a session that
// a node has verified is answered from its memory: no query, no signature, no
// JSON. Whatever ends or changes a session, here or there, writes an event in the
// same transaction, and each node reads what is new once in Config.SyncEvery, a
// second. So what is ended or changed on one node shows there at the very next
// request, and everywhere else within that second and the time of one query. A
// node that cannot read the events, or whose clock has jumped, believes its memory
// no longer and reads rows; so does one where Run does not run. And in any case
// every row is read again after Config.CacheFor, half a minute: that bounds what a
// change can do that was made with SQL. [Manager.UserChanged] tells of one in a
// users table of the application.
//
// Reads go to the database that is written to: a replica that lags would bring
// back what has ended. Engines that give ids out in blocks must not do so for the
// events: TiDB needs AUTO_ID_CACHE 1 for their table, YugabyteDB a sequence without
// a cache. Otherwise Config.CacheFor takes the place of Config.SyncEvery.
//
// Run also writes when sessions were last used, once a minute for each, and
// removes those that ended before Config.KeepSessions, and the events of before
// Config.KeepEvents.
//
// # When the database does not answer
//
// Then nobody is let in, and nobody is signed out: the answer is 503, and the
// cookie stays. Every call of the database has the deadline Config.StoreTimeout.
// A logout is answered 503 too, but it deletes the cookie, this process refuses the
// session from then on, and Run ends it when the database is back.
//
// A statement or transaction that the database asks to run again, after a deadlock
// or a failed serialization, or because SQLite is locked, is run again within that
// deadline, with growing pauses; any other fault is answered at once. A request that
// finds all connections of the pool in use waits for one, no longer than that deadline
// either. How many there are is SetMaxOpenConns of the sql.DB, which has no limit by
// itself: set one that the server bears. With SQLite use a file, WAL and a busy
// timeout; each connection to ":memory:" is another database, which [models.Migrate]
// refuses.
//
// # Events
//
// What happens is told by the names of the OWASP Logging Vocabulary: in the log,
// one line each; to Config.OnEvent; and in the table session_events, which is the
// audit trail. Each has a time, a name, the user, the session, who did it if that
// was another user, the outcome, a reason, the address and the user agent; none has
// a secret.
//
// What changes something is written in the transaction that does so:
// session_created, session_renewed, session_expired, session_logout,
// authn_token_revoked, authn_token_reuse, authn_password_change, authz_change,
// user_created, user_updated, user_deleted, excess_sessions_exceeded, and with
// session_created authn_login_newdevice. What changes nothing is written by Run,
// within a second: authn_login_fail, authn_login_fail_max, authn_login_lock,
// authn_password_change_fail, authz_fail. What costs its maker nothing, or is in the
// table by another name, is not there: authn_login_success,
// authn_login_successafterfail, token_invalid, cookie_conflict, csrf_rejected,
// session_use_after_expire, excess_rate_limit_exceeded, key_rotated,
// store_unavailable.
//
// # Passwords
//
// Attempts are counted before the password is looked at, on all nodes together. On
// an account five failures from the same source are free. Each one more is followed
// by a wait, 30 seconds first and then twice as long, up to an hour; the answer is
// 429 then, also to the right password. Of failures in a row strangers have 80 on an
// account, from wherever; 20 more are for devices on which its user has signed in
// before. After that nobody signs in until the password is set anew or
// [Manager.Unlock] is called. A source has 30 failures in ten minutes on whatever
// accounts. A success begins anew. The failures of a stranger make nobody else wait,
// but for the limit of 80: he needs sixteen sources, or three days, to reach it, and
// known devices do not hear of it.
//
// A new password has Config.MinPassword characters, is none of the most common, and
// is more than the user's name. Hashes of bcrypt and of weaker argon2id are read, and
// replaced at the next success.
//
// # Devices, limits, step-up
//
// [Manager.List], [Manager.Revoke] and [Manager.RevokeOthers] show a user his
// sessions and end them; [Manager.Sessions], [Manager.RevokeSession],
// [Manager.RevokeUser] and [Manager.RevokeAll] are for admins and jobs. Why a session
// ended and who ended it is kept, and told to whoever comes with its token. A user
// has Config.MaxSessions, 20. [RequireFresh] asks that he has proved lately who he is,
// and [Manager.Reauthenticate] lets him do so.
//
// [Manager.Watch] is for handlers that last: its context ends with the session.
// [Manager.Impersonate] signs an admin in as another user, for support.
//
// # Errors
//
// Every error but those of [New] is an *[Error] with a [Code], the instant of its request and the
// cause. On the wire it is
//
//	{"error":{"code":"SESSION_EXPIRED","message":"The session has expired.","timestamp":"2026-08-25T10:00:00Z"}}
//
// # Running it
//
// The cookie is Secure and has the prefix __Host-, so it needs https;
// Config.Insecure is for development on plain http. Serve the site with HSTS.
//
// Give the http.Server a ReadTimeout. A client who begins a body and does not go on
// holds a goroutine until then, as with any handler, though no password is hashed
// and the database is not asked.
//
// The address of a client is that of the peer. Behind a proxy call SetTrustedProxies
// of the engine, with the proxies, or with nil where Gin's TrustedPlatform is set:
// then it is what Gin's ClientIP says. Until then no header is believed.
package ginsession
