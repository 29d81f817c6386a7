// Part 2.11 of the security bar: the database fails, hangs, lies, fills up.

package ginsession_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// rowsOfFaults are the rows without a subtest here: the test that shows each, or
// why it needs none.
var rowsOfFaults = map[string]string{
	"A169": "TestMigrateRefusesManyDatabasesInMemory",
	"A172": "TestReadsGoToTheDatabaseThatIsWrittenTo",
	"A173": "the type models.Time has no zone: it is an integer, see TestRowsComeBackAsTheyWere",
	"A174": "the type models.Time has the same precision everywhere, see TestRowsComeBackAsTheyWere; and what counts is users.epoch and the affected rows, see TestInvariant3NoLoginOfAUserShutOutMeanwhile",
	"C92":  "TestInvariant10NoHiddenCosts, and newApp: every test fails in which a statement has no deadline; the pool, the deadline and the retries are in doc.go",
	"C125": "TestInvariant2AnyFaultAtAnyStatement",
	"C126": "TestInvariant2AnyFaultAtAnyStatement",
}

// faultsAct is an act in more states, with the token of a session that it must
// not end.
type faultsAct struct {
	name    string
	prepare func(a *app) (c *ginsessiontest.Client, stays string)
	request func(c *ginsessiontest.Client) ginsessiontest.Response
	want    int

	logout bool // a fault ends the session here, and deletes the cookie
	ends   bool // the session has ended if only the word of the success was lost
	judged bool // the answer stands although its event cannot be written
}

func faultsForm(path string, fields url.Values) func(*ginsessiontest.Client) ginsessiontest.Response {
	return func(c *ginsessiontest.Client) ginsessiontest.Response { return c.PostForm(path, fields) }
}

// faultsAfter is after with the token.
func faultsAfter(d time.Duration) func(a *app) (*ginsessiontest.Client, string) {
	return func(a *app) (*ginsessiontest.Client, string) {
		c := after(d)(a)
		return c, c.Cookie(cookieName)
	}
}

// faultsFailed is a browser in which some wrong passwords were tried.
func faultsFailed(n int) func(a *app) (*ginsessiontest.Client, string) {
	return func(a *app) (*ginsessiontest.Client, string) {
		c := a.client()
		for range n {
			require.Equal(a.t, 401, wrongLogin(c).StatusCode)
		}
		return c, ""
	}
}

// faultsRotated is a browser with the secret that was replaced, after some time.
func faultsRotated(d time.Duration) func(a *app) (*ginsessiontest.Client, string) {
	return func(a *app) (*ginsessiontest.Client, string) {
		old, next := a.refreshed()
		time.Sleep(d)
		return a.with(old), next
	}
}

func faultsStolen(a *app) (*ginsessiontest.Client, string) {
	old, next := a.refreshed()
	a.requireStatus(200, next)
	time.Sleep(time.Minute)
	return a.with(old), next
}

var faultsActs = []faultsAct{
	{
		name:    "login by form",
		prepare: func(a *app) (*ginsessiontest.Client, string) { return a.client(), "" },
		request: faultsForm("/login", url.Values{"username": {"bob"}, "password": {password}, "remember": {"on"}}), want: 303,
	},
	{
		name: "login by form over a session", prepare: faultsAfter(0), ends: true,
		request: faultsForm("/login", url.Values{"username": {"bob@example.com"}, "password": {password}}), want: 303,
	},
	{name: "login after failures", prepare: faultsFailed(3), request: login, want: 200},
	{name: "wrong login after which the next has to wait", prepare: faultsFailed(4), request: wrongLogin, want: 401, judged: true},
	{name: "login too early", prepare: faultsFailed(5), request: login, want: 429},
	{name: "logout by form", prepare: faultsAfter(0), request: faultsForm("/logout", url.Values{"next": {"/bye"}}), want: 303, logout: true},
	{name: "logout with the predecessor", prepare: faultsRotated(time.Second), request: post("/logout"), want: 200, logout: true},
	{name: "load with the predecessor", prepare: faultsRotated(2 * time.Minute), request: get("/me"), want: 200},
	{name: "status with the predecessor", prepare: faultsRotated(2 * time.Minute), request: get("/session"), want: 200},
	{
		name: "load with the successor", want: 200, request: get("/me"),
		prepare: func(a *app) (*ginsessiontest.Client, string) {
			_, next := a.refreshed()
			return a.with(next), next
		},
	},
	{name: "load with a secret used twice", prepare: faultsStolen, request: get("/me"), want: 401, ends: true},
	{name: "logout with a secret used twice", prepare: faultsStolen, request: post("/logout"), want: 200, logout: true},
	{
		name: "load with another role", want: 200, request: get("/admin"),
		prepare: func(a *app) (*ginsessiontest.Client, string) {
			require.NoError(a.t, a.sessions.Accounts().SetRole(a.t.Context(), a.bob.UserID, "viewer"))
			c := a.signIn("bob")
			require.NoError(a.t, a.sessions.Accounts().SetRole(a.t.Context(), a.bob.UserID, "admin"))
			return c, c.Cookie(cookieName)
		},
	},
	{
		name: "load without the role", want: 403, request: get("/admin"), judged: true,
		prepare: func(a *app) (*ginsessiontest.Client, string) {
			require.NoError(a.t, a.sessions.Accounts().SetRole(a.t.Context(), a.bob.UserID, "viewer"))
			c := a.signIn("bob")
			return c, c.Cookie(cookieName)
		},
	},
	{
		name: "refresh that another process overtakes", want: 200, request: get("/me"),
		prepare: func(a *app) (*ginsessiontest.Client, string) {
			token := a.signIn("ada").Cookie(cookieName)
			time.Sleep(DefaultMaxAge - time.Minute)
			_, other := a.node(a.aside())
			a.wire.carriedOut(func() { require.Equal(a.t, 200, a.holding(other, token).Get("/me").StatusCode) })
			return a.with(token), token
		},
	},
}

// faultsKind is a fault. Those here are fewer than in the test of invariant 2,
// because what the others add is the same at whatever statement: a fault after
// which the rest goes on shows a fault that nobody heeds; silence, a deadline that
// is missing; a success of which the word is lost, half a change; a panic, a lock
// that is held for ever. What depends on the database is whether all is undone, and
// whether the connection is free again: that is asked of each by the first and the
// last.
type faultsKind struct {
	name             string
	once, late, boom bool
	fault            func(context.Context) error
}

func (a *app) faultsKinds() []faultsKind {
	kinds := []faultsKind{
		{"fails once", true, false, false, fails},
		{"hangs", false, false, false, hangs},
		{"fails late", true, true, false, fails},
		{"panics once", true, false, true, panics},
		{"panics late", true, true, true, panics},
	}
	if a.d.Kind != "sqlite" {
		kinds = []faultsKind{kinds[0], kinds[4]}
	}
	return kinds
}

// faultsRecovering answers 500 where a handler panics, as Gin's Recovery does.
func (a *app) faultsRecovering(c *ginsessiontest.Client) *ginsessiontest.Client {
	outer := ginsessiontest.NewClient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		a.engine.ServeHTTP(w, r)
	}))
	outer.Jar, outer.Header = c.Jar, c.Header
	return outer
}

// faultsIdle fails the test if a connection has not been given back.
func (a *app) faultsIdle(label string) {
	a.t.Helper()
	synctest.Wait()
	pool, err := a.db.DB()
	require.NoError(a.t, err)
	require.Zero(a.t, pool.Stats().InUse, "%s: a connection is held", label)
}

// TestInvariant2AnyFaultAtAnyStatement is the sister of the test above it in
// invariants_test.go, for the states that are missing there, and for panics in all
// of them.
func TestInvariant2AnyFaultAtAnyStatement(t *testing.T) {
	all := slices.Clone(faultsActs)
	for _, old := range acts {
		all = append(all, faultsAct{
			name: old.name + ", as there", request: old.request, want: old.want,
			prepare: func(a *app) (*ginsessiontest.Client, string) {
				c := old.prepare(a)
				if strings.Contains(old.name, "expired") {
					return c, ""
				}
				return c, c.Cookie(cookieName)
			},
			ends:   strings.HasPrefix(old.name, "log"),
			judged: old.want == 401 && old.name != "load an expired one",
		})
	}
	onEach(t, func(t *testing.T, a *app) {
		for _, act := range all {
			a.wire.reset()
			a.forgive()
			c, _ := act.prepare(a)
			a.wire.breakAt(1, false, func(context.Context) error { return nil })
			require.Equal(t, act.want, act.request(c).StatusCode, act.name)
			steps := a.wire.statements()
			require.NotEmpty(t, steps, act.name)
			for n := range steps {
				for _, f := range a.faultsKinds() {
					if strings.HasSuffix(act.name, ", as there") && !f.boom {
						continue // shown there
					}
					label := fmt.Sprintf("%s: %s at %s (%d of %d)", act.name, f.name, steps[n], n+1, len(steps))
					a.wire.reset()
					a.forgive()
					c, stays := act.prepare(a)
					c = a.faultsRecovering(c)
					a.wire.breakAt(n+1, f.late, f.fault)
					a.wire.once = f.once
					r := act.request(c)
					a.wire.reset()
					a.faultsIdle(label)
					require.NotContains(t, r.Text, "secret-detail", label)

					committed := slices.Index(steps, "COMMIT")
					switch event := steps[n] == "INSERT INTO session_events" && (committed < n || committed < 0); {
					case f.boom:
						require.Equal(t, 500, r.StatusCode, label)
					case act.judged && event:
						require.Equal(t, act.want, r.StatusCode, label)
					default:
						require.Equal(t, ginsession.ErrStoreUnavailable, code(t, r), label)
						require.NotEmpty(t, r.Header.Get("Retry-After"), label)
					}
					if act.logout && !f.boom {
						require.Contains(t, setCookie(t, r), "Max-Age=0", label)
						a.requireStatus(401, stays)
						continue
					}
					require.Empty(t, r.Header["Set-Cookie"], label)
					if stays != "" && !(f.late && (act.ends || act.logout)) {
						require.Equal(t, 200, a.with(stays).Get("/me").StatusCode, "%s: signed out", label)
					}
				}
			}
		}
	})
}

// faultsVerbs are those for code without a gin.Context. Each gets a user of its
// own, with a session.
var faultsVerbs = []struct {
	name string
	do   func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, session string) error
	dear bool // hashes a password
}{
	{"RevokeSession", func(ctx context.Context, m *ginsession.Manager, _ ginsession.Identity, session string) error {
		return m.RevokeSession(ctx, session, "")
	}, false},
	{"RevokeUser", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		_, err := m.RevokeUser(ctx, user.UserID)
		return err
	}, false},
	{"UserChanged", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.UserChanged(ctx, user.UserID)
	}, false},
	{"Unlock", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Unlock(ctx, user.Username)
	}, false},
	{"Create", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		created, err := m.Accounts().Create(ctx, ginsession.NewUser{Username: "new " + user.Username})
		if err != nil && created != (ginsession.Identity{}) {
			return errors.New("an error and a user")
		}
		return err
	}, false},
	{"SetPassword", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Accounts().SetPassword(ctx, user.UserID, password)
	}, true},
	{"ChangePassword", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Accounts().ChangePassword(ctx, user.UserID, password, password)
	}, true},
	{"SetRole", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Accounts().SetRole(ctx, user.UserID, "admin")
	}, false},
	{"Disable", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Accounts().Disable(ctx, user.UserID)
	}, false},
	{"Enable", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Accounts().Enable(ctx, user.UserID)
	}, false},
	{"Delete", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return m.Accounts().Delete(ctx, user.UserID)
	}, false},
	{"Authenticate", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return faultsNobody(m.Accounts().Authenticate(ctx, user.Username, password))
	}, false},
	{"Identity", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return faultsNobody(m.Accounts().Identity(ctx, user.UserID))
	}, false},
	{"Find", func(ctx context.Context, m *ginsession.Manager, user ginsession.Identity, _ string) error {
		return faultsNobody(m.Accounts().Find(ctx, user.Username))
	}, false},
}

// faultsNobody makes sure that nobody comes along with an error.
func faultsNobody(user ginsession.Identity, err error) error {
	if err != nil && user != (ginsession.Identity{}) {
		return errors.New("an error and a user")
	}
	return err
}

// faultsState is what is in the tables that say who is who and who is signed in.
func (a *app) faultsState() string {
	a.t.Helper()
	var users []models.User
	require.NoError(a.t, a.db.Order("id").Find(&users).Error)
	text, err := json.Marshal([]any{users, a.rows()})
	require.NoError(a.t, err)
	return string(text)
}

// What a verb does it does whole or not at all, and says so.
func TestInvariant2AnyFaultAtAnyStatementOfAVerb(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		users := 0
		prepare := func() (ginsession.Identity, string) {
			a.wire.reset()
			for _, rows := range []any{&models.Session{}, &models.User{}} { // or there would be ever more to compare
				require.NoError(t, a.db.Where("1 = 1").Delete(rows).Error)
			}
			a.forgive()
			users++
			user := a.user(fmt.Sprint("user", users), "viewer")
			return user, string(sessionOf(t, a.signIn(user.Username).Cookie(cookieName)))
		}
		for _, verb := range faultsVerbs {
			user, session := prepare()
			a.wire.reset()
			require.NoError(t, verb.do(t.Context(), a.sessions, user, session), verb.name)
			steps := a.wire.statements()
			require.NotEmpty(t, steps, verb.name)
			for n := range steps {
				for _, f := range a.faultsKinds() {
					if verb.dear && (f.once && f.boom || f.name == "hangs") {
						continue // each costs a real hash, and the statements are those of the others
					}
					label := fmt.Sprintf("%s: %s at %s (%d of %d)", verb.name, f.name, steps[n], n+1, len(steps))
					user, session := prepare()
					before := a.faultsState()
					a.wire.breakAt(n+1, f.late, f.fault)
					a.wire.once = f.once
					err := faultsTry(func() error { return verb.do(t.Context(), a.sessions, user, session) })
					a.wire.reset()
					a.faultsIdle(label)
					if f.boom {
						require.ErrorIs(t, err, errPanics, label)
					} else {
						var e *ginsession.Error
						require.ErrorAs(t, err, &e, label)
						require.Equal(t, ginsession.ErrStoreUnavailable, e.Code, label)
						require.NotZero(t, e.Time, label)
						require.NotZero(t, e.RetryAfter, label)
					}
					if last := n == len(steps)-1; !f.late || !last {
						require.Equal(t, before, a.faultsState(), label)
					}
				}
			}
		}
	})
}

// faultsTry returns the panic of f as its error.
func faultsTry(f func() error) (err error) {
	defer func() {
		if fault, ok := recover().(error); ok {
			err = fault
		}
	}()
	return f()
}

// What was changed is heard of here also if the driver panics when it has been
// committed: memory does not answer for a session that has ended.
func TestInvariant4APanicAfterTheCommit(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.run(a.sessions)
		time.Sleep(settled)
		c := a.signIn("ada")
		require.Equal(t, 200, c.Get("/me").StatusCode)
		a.wire.breakOn("COMMIT", true, panics)
		require.Equal(t, 500, a.faultsRecovering(c).Do("POST", "/logout", "", nil).StatusCode)
		a.wire.reset()
		a.requireStatus(401, c.Cookie(cookieName))
	})
}

// A166: the answer is there when the deadline of the first call has passed.
func TestSecurityAHangingDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		all := slices.Clone(faultsActs)
		for _, old := range acts {
			all = append(all, faultsAct{name: old.name, request: old.request, prepare: func(a *app) (*ginsessiontest.Client, string) {
				return old.prepare(a), ""
			}})
		}
		for _, act := range all {
			a.wire.reset()
			a.forgive()
			c, _ := act.prepare(a)
			a.wire.breakAt(1, false, hangs)
			start := time.Now()
			require.Equal(t, ginsession.ErrStoreUnavailable, code(t, act.request(c)), act.name)
			require.Equal(t, ginsession.DefaultStoreTimeout, time.Since(start), act.name)
		}
	})
}

// A167: a client who hangs up while the database works, at whatever statement.
func TestSecurityAClientThatHangsUp(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		live := func() int {
			a.wire.reset()
			return a.live()
		}
		counted := func() (n int64) {
			require.NoError(t, a.db.Model(&models.LoginAttempts{}).Where("failures > 0").Count(&n).Error)
			return n
		}
		send := func(n int, token, path, body string) *httptest.ResponseRecorder {
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			r := httptest.NewRequestWithContext(ctx, "POST", "https://app.example.com"+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			if token != "" {
				r.AddCookie(&http.Cookie{Name: cookieName, Value: token})
			}
			a.wire.breakAt(n, false, func(context.Context) error {
				hangUp()
				return nil
			})
			answer := httptest.NewRecorder()
			a.engine.ServeHTTP(answer, r)
			a.wire.once = true
			return answer
		}
		right, false_ := `{"username":"ada","password":"`+password+`"}`, `{"username":"ada","password":"wrong wrong wrong"}`
		for n := 1; n <= 14; n++ {
			label := fmt.Sprint("at statement ", n)
			require.NoError(t, a.db.Where("1 = 1").Delete(&models.Session{}).Error)
			require.NoError(t, a.db.Where("1 = 1").Delete(&models.Event{}).Error)
			a.forgive()

			answer := send(n, "", "/login", right)
			signedIn := len(answer.Header()["Set-Cookie"]) > 0
			require.Equal(t, answer.Code == 200, signedIn, label)
			require.Equal(t, signedIn, live() == 1, "%s: a session without a cookie, or a cookie without a session", label)
			require.Equal(t, signedIn, slices.Contains(a.events(), "session_created"), "%s: the audit lies", label)

			a.forgive()
			answer = send(n, "", "/login", false_)
			a.wire.reset()
			require.Equal(t, answer.Code == 401, counted() > 0, "%s: a password that was looked at counts", label)
			require.Equal(t, answer.Code == 401, slices.Contains(a.events(), "authn_login_fail"), label)
			a.forgive()

			token := a.signIn("ada").Cookie(cookieName)
			send(n, token, "/logout", "")
			a.wire.reset()
			a.requireStatus(401, token)
			if n > 1 { // the row was found
				require.Equal(t, 0, a.faultsAlive(token), label)
			}

			token = a.signIn("ada").Cookie(cookieName)
			time.Sleep(time.Minute)
			answer = send(n, token, "/session/refresh", "")
			a.wire.reset()
			require.Equal(t, answer.Code == 200, len(answer.Header()["Set-Cookie"]) > 0, label)
			a.requireStatus(200, token)
		}

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for name, revoke := range map[string]func(session string) error{
			"RevokeSession": func(session string) error { return a.sessions.RevokeSession(gone, session, "") },
			"RevokeUser": func(string) error {
				_, err := a.sessions.RevokeUser(gone, a.ada.UserID)
				return err
			},
			"Disable": func(string) error { return a.sessions.Accounts().Disable(gone, a.ada.UserID) },
		} {
			require.NoError(t, a.heal())
			token := a.signIn("ada").Cookie(cookieName)
			require.NoError(t, revoke(string(sessionOf(t, token))), name)
			require.Equal(t, 0, a.faultsAlive(token), name)
		}
	})
}

// faultsAlive counts the rows of a token's session that have not ended.
func (a *app) faultsAlive(token string) (n int) {
	a.t.Helper()
	for _, row := range a.rows() {
		if row.ID == sessionOf(a.t.(*testing.T), token) && row.EndedAt.IsZero() {
			n++
		}
	}
	return n
}

func TestSecurityStorageFaults(t *testing.T) {
	onStages(t, func(s *stage) {
		down := func(s *stage) { s.wire.breakAt(1, false, fails) }
		const right = `{"username":"ada","password":"` + password + `"}`
		const asJSON, asForm = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"

		s.row("A165 C123 C124", "the database is down", func(s *stage) {
			kept, left := s.token("ada"), s.token("ada")
			down(s)
			for _, test := range []struct {
				method, path, body string
				header             []string
				want               ginsession.Code
			}{
				{"GET", "/me", "", []string{bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"HEAD", "/session", "", []string{bearing(kept)}, ""},
				{"GET", "/open", "", []string{bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"GET", "/admin", "", []string{bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"POST", "/act", "", []string{bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"GET", "/session", "", []string{bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"POST", "/session/refresh", "", []string{bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"POST", "/login", right, []string{asJSON}, ginsession.ErrStoreUnavailable},
				{"POST", "/login", right, []string{asJSON, bearing(kept)}, ginsession.ErrStoreUnavailable},
				{"POST", "/login", "username=ada&password=" + url.QueryEscape(password), []string{asForm}, ginsession.ErrStoreUnavailable},
				{"GET", "/me", "", nil, ginsession.ErrSessionNotFound},
				{"GET", "/me", "", []string{bearing("a.b.c")}, ginsession.ErrTokenInvalid},
			} {
				answer := s.send(test.method, test.path, test.body, test.header...)
				require.Empty(s.t, answer.Header["Set-Cookie"], test.path)
				require.NotContains(s.t, answer.Text, "secret-detail", test.path)
				if test.method == "HEAD" {
					require.Equal(s.t, 503, answer.StatusCode)
					continue
				}
				s.refused(answer, test.want)
			}
			require.Equal(s.t, "false ", s.send("GET", "/open", "").Text, "a stranger needs no database")
			require.Contains(s.t, s.send("GET", "/session", "").Text, `"isAuthenticated":false`)
			require.Equal(s.t, 200, s.send("POST", "/logout", "").StatusCode)

			answer := s.send("POST", "/logout", "", bearing(left))
			s.refused(answer, ginsession.ErrStoreUnavailable)
			require.Contains(s.t, setCookie(s.t, answer), "Max-Age=0")
			require.NotContains(s.t, answer.Text, "secret-detail")
			require.Contains(s.t, s.logs.text(), "secret-detail", "the operator reads it")

			s.wire.reset()
			s.refused(s.send("GET", "/me", "", bearing(left)), ginsession.ErrSessionNotFound)
			require.Equal(s.t, "ada", s.send("GET", "/me", "", bearing(kept)).Text)
		})

		s.row("C125 A171", "whatever error the store returns, the handler does not run", func(s *stage) {
			runs := 0
			s.engine.GET("/runs", func(c *gin.Context) { runs++ })
			token := s.token("ada")
			for _, fault := range []error{
				gorm.ErrRecordNotFound, sql.ErrNoRows, gorm.ErrDuplicatedKey, gorm.ErrInvalidDB, gorm.ErrInvalidTransaction,
				context.Canceled, context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone,
				io.EOF, io.ErrUnexpectedEOF, errors.New("SESSION_NOT_FOUND"), errors.New(""),
			} {
				s.wire.breakAt(1, false, func(context.Context) error { return fault })
				for _, path := range []string{"/runs", "/me", "/admin"} {
					answer := s.send("GET", path, "", bearing(token))
					s.refused(answer, ginsession.ErrStoreUnavailable)
					require.Empty(s.t, answer.Header["Set-Cookie"], fault)
				}
				s.refused(s.login("ada", password), ginsession.ErrStoreUnavailable)
			}
			s.wire.reset()
			require.Zero(s.t, runs)
			require.Equal(s.t, 200, s.send("GET", "/runs", "", bearing(token)).StatusCode)
			require.Equal(s.t, 1, runs)
		})

		s.row("A170", "an id that is taken overwrites nobody", func(s *stage) {
			bob := s.token("bob")
			before := s.rows()
			s.wire.breakOn("INSERT INTO sessions", false, func(context.Context) error {
				calls, args := s.wire.sent()
				require.IsType(s.t, models.Exact(""), args[len(calls)-1][0])
				args[len(calls)-1][0] = sessionOf(s.t.(*testing.T), bob)
				return nil
			})
			answer := s.login("ada", password)
			s.wire.reset()
			s.refused(answer, ginsession.ErrStoreUnavailable)
			require.Empty(s.t, answer.Header["Set-Cookie"])
			require.Equal(s.t, before, s.rows())
			require.Equal(s.t, "bob", s.send("GET", "/me", "", bearing(bob)).Text)
			require.Equal(s.t, 200, s.login("ada", password).StatusCode)
		})

		s.row("A171", "an answer that cannot be right lets nobody in and ends nothing", func(s *stage) {
			token := s.token("bob")
			before := s.rows()
			column := func(name, value string) func(string) string {
				return func(query string) string { return strings.Replace(query, "s."+name, value+" AS "+name, 1) }
			}
			lies := map[string]func(string) string{
				"no row":                   func(query string) string { return strings.Replace(query, "WHERE s.id =", "WHERE 1 = 0 AND s.id =", 1) },
				"a row of another session": column("id", "'AAAAAAAAAAAAAAAAAAAAAAAAAA'"),
				"no id":                    column("id", "''"),
				"NULL for an id":           column("id", "NULL"),
				"no user":                  column("user_id", "''"),
				"NULL for a user":          column("user_id", "NULL"),
				"user 0":                   column("user_id", "'0'"),
				"another user":             column("user_id", "'"+s.ada.UserID+"'"),
				"another user's account": func(query string) string {
					return strings.Replace(query, "ON u.id = s.user_id", "ON u.id = '"+s.ada.UserID+"'", 1)
				},
				"no account": func(query string) string {
					return strings.Replace(query, "ON u.id = s.user_id", "ON 1 = 0", 1)
				},
				"no secret":            column("secret_hash", "NULL"),
				"a secret of no bytes": column("secret_hash", "''"),
			}
			for _, name := range []string{"created_at", "authenticated_at", "last_accessed", "renewed_at", "expires_at", "absolute_expires_at"} {
				for _, value := range []string{"0", "-1", "-62135596800000", "NULL"} {
					lies[name+" "+value] = column(name, value)
				}
			}
			for _, name := range []string{"seen_at", "ended_at"} {
				lies[name+" -1"] = column(name, "-1")
			}
			for name, lie := range lies {
				s.wire.rewriting(lie)
				for _, path := range []string{"/me", "/admin"} {
					answer := s.send("GET", path, "", bearing(token))
					require.Contains(s.t, []int{401, 503}, answer.StatusCode, "%s: %s", name, answer.Text)
					require.Empty(s.t, answer.Header["Set-Cookie"], name)
				}
				require.NotContains(s.t, s.send("GET", "/session", "", bearing(token)).Text, `"isAuthenticated":true`, name)
				if strings.Contains(name, "secret") { // it looks as if the cookie was an old one: TestReuseAtTheHandlers
					s.wire.reset()
					require.Equal(s.t, before, s.rows(), "%s: the condition of the write does not hold", name)
				}
			}
			s.wire.reset()
			require.Equal(s.t, before, s.rows())
			require.Equal(s.t, "bob", s.send("GET", "/me", "", bearing(token)).Text)
		})

		s.row("A171", "another user's account for the one that was asked for", func(s *stage) {
			s.wire.rewriting(func(query string) string {
				query = strings.NewReplacer("username_key =", "username_key <>", "email_key =", "email_key <>").Replace(query)
				if strings.Contains(strings.Map(unquoted, query), "FROM users WHERE id =") {
					query = strings.Replace(query, "WHERE id =", "WHERE id <>", 1)
				}
				return query
			})
			for _, name := range []string{"ada", "ada@example.com"} {
				answer := s.login(name, password)
				s.refused(answer, ginsession.ErrStoreUnavailable)
				require.Empty(s.t, answer.Header["Set-Cookie"])
				_, err := s.sessions.Accounts().Find(s.t.Context(), name)
				require.ErrorIs(s.t, err, ginsession.ErrStoreUnavailable)
			}
			_, err := s.sessions.Accounts().Identity(s.t.Context(), s.ada.UserID)
			require.ErrorIs(s.t, err, ginsession.ErrStoreUnavailable)
			err = s.sessions.Accounts().ChangePassword(s.t.Context(), s.ada.UserID, password, password)
			require.ErrorIs(s.t, err, ginsession.ErrStoreUnavailable)
		})

		s.row("A176", "the table of events cannot be written", func(s *stage) {
			viewer, left := s.token("bob"), s.token("bob")
			before := s.rows()
			s.wire.breakOn("INSERT INTO session_events", false, fails)
			answer := s.login("ada", password)
			s.refused(answer, ginsession.ErrStoreUnavailable)
			require.Empty(s.t, answer.Header["Set-Cookie"])
			s.refused(s.send("GET", "/admin", "", bearing(viewer)), ginsession.ErrRoleRequired)
			s.refused(s.login("ada", "wrong wrong wrong"), ginsession.ErrCredentialsInvalid)
			require.Contains(s.t, s.logs.text(), "an event could not be written")
			answer = s.send("POST", "/logout", "", bearing(left))
			s.refused(answer, ginsession.ErrStoreUnavailable)
			require.Contains(s.t, setCookie(s.t, answer), "Max-Age=0")
			s.refused(s.send("GET", "/me", "", bearing(left)), ginsession.ErrSessionNotFound)
			require.Equal(s.t, "bob", s.send("GET", "/me", "", bearing(viewer)).Text)
			s.wire.reset()
			require.Len(s.t, s.rows(), len(before), "no session without its event")
		})

		s.row("A177", "the disk is full when the session is to be written", func(s *stage) {
			sessions, events := len(s.rows()), len(s.events())
			full := errors.New("database or disk is full: secret-detail")
			s.wire.breakOn("INSERT INTO sessions", false, func(context.Context) error { return full })
			for _, answer := range []ginsessiontest.Response{
				s.login("ada", password),
				s.send("POST", "/login", "username=ada&password="+url.QueryEscape(password), asForm),
			} {
				s.refused(answer, ginsession.ErrStoreUnavailable)
				require.Empty(s.t, answer.Header["Set-Cookie"])
				require.NotContains(s.t, answer.Text, "full")
			}
			s.wire.reset()
			require.Len(s.t, s.rows(), sessions)
			require.Len(s.t, s.events(), events)
			require.Equal(s.t, 200, s.login("ada", password).StatusCode)
		})

		s.row("A175", "a column or a table is missing", func(s *stage) {
			token := s.token("ada")
			statement := &gorm.Statement{DB: s.db}
			missing := func(what, alter, back string, requests ...func() ginsessiontest.Response) {
				require.NoError(s.t, s.aside().Exec(alter).Error)
				for _, request := range requests {
					told := len(s.logs.text())
					answer := request()
					s.refused(answer, ginsession.ErrStoreUnavailable)
					name := what[strings.Index(what, ".")+1:]
					require.Contains(s.t, s.logs.text()[told:], name, "the operator reads what is missing")
				}
				require.NoError(s.t, s.aside().Exec(back).Error)
			}
			me := func() ginsessiontest.Response { return s.send("GET", "/me", "", bearing(token)) }
			status := func() ginsessiontest.Response { return s.send("GET", "/session", "", bearing(token)) }
			enter := func() ginsessiontest.Response { return s.login("ada", password) }
			for _, model := range []any{&models.Session{}, &models.LoginAttempts{}, &models.Event{}} {
				require.NoError(s.t, statement.Parse(model))
				table := statement.Schema.Table
				requests := []func() ginsessiontest.Response{enter}
				if table == "sessions" {
					requests = append(requests, me, status)
				}
				for _, column := range statement.Schema.DBNames {
					if table == "session_events" && column == "id" {
						continue // is not named when a row is written
					}
					rename := "ALTER TABLE " + table + " RENAME COLUMN %s TO %s"
					missing(table+"."+column, fmt.Sprintf(rename, column, "gone"), fmt.Sprintf(rename, "gone", column), requests...)
				}
				missing(table, "ALTER TABLE "+table+" RENAME TO gone", "ALTER TABLE gone RENAME TO "+table, requests...)
			}
			missing("users.role", "ALTER TABLE users RENAME COLUMN role TO gone", "ALTER TABLE users RENAME COLUMN gone TO role", me, status)
			missing("users", "ALTER TABLE users RENAME TO gone", "ALTER TABLE gone RENAME TO users", me, status, enter)
		})
	})
}

// A172: beside a replica, GORM's dbresolver sends to it what only reads, unless it is
// told otherwise. It asks in callbacks of these kinds, and for this setting.
func TestReadsGoToTheDatabaseThatIsWrittenTo(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		db := a.aside()
		reads := 0
		asks := func(tx *gorm.DB) {
			reads++
			if _, ok := tx.Statement.Settings.Load("gorm:db_resolver:write"); !ok {
				t.Errorf("a replica would be asked: %s", tx.Statement.SQL.String())
			}
		}
		require.NoError(t, db.Callback().Query().Before("*").Register("faults:query", asks))
		require.NoError(t, db.Callback().Row().Before("*").Register("faults:row", asks))
		require.NoError(t, db.Callback().Raw().Before("*").Register("faults:raw", asks))
		a.sessions, a.engine = a.node(db)
		for _, act := range acts {
			before := reads
			act.request(act.prepare(a))
			require.Greater(t, reads, before, act.name)
		}
		before := reads
		stop := a.run(a.sessions)
		time.Sleep(2 * time.Hour) // the feed, the sweep
		stop()
		require.Greater(t, reads, before)
	})
}

// A176: what hears of events may be slow. It holds up the request that it is told
// of, and not what that request has done.
func TestSecuritySlowListener(t *testing.T) {
	slow := false
	inBubble(t, func(t *testing.T, a *app) {
		token := a.signIn("ada").Cookie(cookieName)
		slow = true
		answered := make(chan int)
		go func() { answered <- a.with(token).Do("POST", "/logout", "", nil).StatusCode }()
		synctest.Wait() // OnEvent sleeps
		slow = false
		require.NotZero(t, a.row().EndedAt)
		a.requireStatus(401, token)
		require.Equal(t, 200, <-answered)
	}, func(c *ginsession.Config) {
		c.OnEvent = func(context.Context, models.Event) {
			if slow {
				time.Sleep(time.Hour)
			}
		}
	})
}

func TestSecurityBodies(t *testing.T) {
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	const right = `{"username":"ada","password":"` + password + `"}`
	utf16 := func(text string) string {
		var b strings.Builder
		for _, r := range "\ufeff" + text {
			b.WriteByte(byte(r))
			b.WriteByte(byte(r >> 8))
		}
		return b.String()
	}
	zipped := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return b.String()
	}
	onStage(t, func(s *stage) {
		for _, test := range []struct {
			name, contentType, body string
			want                    ginsession.Code
		}{
			{"empty", asJSON, "", ginsession.ErrRequestInvalid},
			{"empty form", asForm, "", ginsession.ErrRequestInvalid},
			{"null", asJSON, "null", ginsession.ErrRequestInvalid},
			{"a list", asJSON, "[]", ginsession.ErrRequestInvalid},
			{"a list of a sign-in", asJSON, "[" + right + "]", ginsession.ErrRequestInvalid},
			{"an empty object", asJSON, "{}", ginsession.ErrRequestInvalid},
			{"one field", asJSON, `{"username":"a"}`, ginsession.ErrRequestInvalid},
			{"10,001 levels", asJSON, strings.Repeat("[", 10_001), ginsession.ErrRequestTooLarge},
			{"levels that still fit", asJSON, `{"username":` + strings.Repeat("[", 8000), ginsession.ErrRequestInvalid},
			{"two documents", asJSON, right + "\n" + right, ginsession.ErrRequestInvalid},
			{"trailing bytes", asJSON, right + ";", ginsession.ErrRequestInvalid},
			{"a trailing comma", asJSON, strings.Replace(right, "}", ",}", 1), ginsession.ErrRequestInvalid},
			{"a trailing NUL", asJSON, right + "\x00", ginsession.ErrRequestInvalid},
			{"duplicate keys", asJSON, strings.Replace(right, "{", `{"username":"bob",`, 1), ginsession.ErrRequestInvalid},
			{"duplicate keys, one escaped", asJSON, strings.Replace(right, "{", `{"\u0075sername":"bob",`, 1), ginsession.ErrRequestInvalid},
			{"unknown keys", asJSON, strings.Replace(right, "{", `{"admin":true,`, 1), ginsession.ErrRequestInvalid},
			{"UTF-16", asJSON + "; charset=utf-16", utf16(right), ginsession.ErrRequestInvalid},
			{"UTF-16 without its mark", asJSON, utf16(right)[2:], ginsession.ErrRequestInvalid},
			{"UTF-16 in a form", asForm, utf16("username=ada&password=x"), ginsession.ErrRequestInvalid},
			{"a form that is called JSON", asJSON, "username=ada&password=x", ginsession.ErrRequestInvalid},
			{"JSON that is called a form", asForm, right, ginsession.ErrRequestInvalid},
			{"JSON that is called text", "text/plain", right, ginsession.ErrMediaType},
			{"no type", "", right, ginsession.ErrMediaType},
			{"a type that is none", "application/json, text/plain", right, ginsession.ErrMediaType},
			{"a type with half a parameter", "application/json; charset", right, ginsession.ErrMediaType},
			{"another JSON", "application/ld+json", right, ginsession.ErrMediaType},
			{"a multipart form", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nada\r\n--x--\r\n", ginsession.ErrMediaType},
		} {
			s.row("A115", test.name, func(s *stage) {
				answer := s.send("POST", "/login", test.body, "Content-Type: "+test.contentType)
				s.refused(answer, test.want)
				require.Empty(s.t, answer.Header["Set-Cookie"])
				require.Empty(s.t, s.wire.statements(), "nothing is counted, and so nothing hashed")
			})
		}
		s.row("A115", "gzip", func(s *stage) {
			for _, encoding := range []string{"gzip", "GZIP", "br", "identity"} {
				s.refused(s.send("POST", "/login", zipped(right), "Content-Type: "+asJSON, "Content-Encoding: "+encoding), ginsession.ErrMediaType)
			}
			s.refused(s.send("POST", "/login", zipped(right), "Content-Type: "+asJSON), ginsession.ErrRequestInvalid)
			require.Empty(s.t, s.wire.statements())
		})
		s.row("A116", "credentials in the URL", func(s *stage) {
			in := "/login?username=ada&password=" + url.QueryEscape(password)
			s.refused(s.send("POST", in, "", "Content-Type: "+asForm), ginsession.ErrRequestInvalid)
			s.refused(s.send("POST", in, "{}", "Content-Type: "+asJSON), ginsession.ErrRequestInvalid)
			s.refused(s.send("POST", in, "", "Content-Type: "+asJSON), ginsession.ErrRequestInvalid)
			s.refused(s.send("POST", in, ""), ginsession.ErrMediaType)
			s.refused(s.send("POST", in, "username=ada", "Content-Type: "+asForm), ginsession.ErrRequestInvalid)
			require.Equal(s.t, 405, s.send("GET", in, "").StatusCode)
			require.Empty(s.t, s.wire.statements())
			require.NotContains(s.t, s.logs.text(), url.QueryEscape(password))
		})

		const head = "POST /login HTTP/1.1\r\nHost: app.example.com\r\nContent-Type: " + asJSON + "\r\n"
		s.row("A115", "10 MiB", func(s *stage) {
			answer := s.faultsDial(head+"Content-Length: 10485760\r\n\r\n", func(w io.Writer) {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 64<<10)) // the rest waits for an answer that does not wait for it
			})
			s.refused(answer, ginsession.ErrRequestTooLarge)
			require.True(s.t, answer.Close, "and the rest is not read")
			require.Empty(s.t, s.wire.statements())
		})
		s.row("A115", "chunks without end", func(s *stage) {
			answer := s.faultsDial(head+"Transfer-Encoding: chunked\r\n\r\n", func(w io.Writer) {
				for {
					if _, err := fmt.Fprintf(w, "100\r\n%s\r\n", strings.Repeat(" ", 0x100)); err != nil {
						return
					}
				}
			})
			s.refused(answer, ginsession.ErrRequestTooLarge)
			require.Empty(s.t, s.wire.statements())
		})
		s.row("A115", "a length that is not the body's", func(s *stage) {
			for length, want := range map[string]int{
				strconv.Itoa(len(right) + 1): 400,
				strconv.Itoa(len(right) - 1): 400,
				"0":                          400,
				"-1":                         400,
				"1e3":                        400,
				"99999999999999999999":       400,
				"5\r\nContent-Length: 6":     400,
			} {
				answer := s.faultsDial(head+"Content-Length: "+length+"\r\n\r\n"+right, func(w io.Writer) {
					_ = w.(*net.TCPConn).CloseWrite()
				})
				require.Equal(s.t, want, answer.StatusCode, length)
				require.Empty(s.t, answer.Header["Set-Cookie"], length)
			}
			require.Empty(s.t, s.wire.statements())
		})
	})
}

// faultsDial sends a head as it is, and then a body beside the reading of the
// answer, after which the connection is closed.
func (s *stage) faultsDial(head string, body func(w io.Writer)) ginsessiontest.Response {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	require.NoError(s.t, err)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, head)
	require.NoError(s.t, err)
	sending.Go(func() { body(conn) })
	return faultsAnswer(s.t, conn)
}

func faultsAnswer(t testing.TB, conn net.Conn) ginsessiontest.Response {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return ginsessiontest.Response{Response: response, Text: string(text)}
}

// A115: a body that begins and does not go on. The server gives up, as it does for
// every handler, after its ReadTimeout, here that of the example.
func TestSecurityABodyThatStops(t *testing.T) {
	for name, head := range map[string]string{
		"with a length": "Content-Length: 100\r\n\r\n{",
		"in chunks":     "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
	} {
		row(t, "A115", name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, a *app) {
				near, far := net.Pipe()
				listener := &faultsListener{far: far, closed: make(chan struct{})}
				server := &http.Server{Handler: a.engine, ReadTimeout: 30 * time.Second}
				served := make(chan error)
				go func() { served <- server.Serve(listener) }()
				start := time.Now()
				_, err := io.WriteString(near, "POST /login HTTP/1.1\r\nHost: app.example.com\r\nContent-Type: application/json\r\n"+head)
				require.NoError(t, err)
				answer := faultsAnswer(t, near)
				require.Equal(t, ginsession.ErrRequestInvalid, code(t, answer))
				require.Equal(t, 30*time.Second, time.Since(start))
				require.Empty(t, a.wire.statements())
				require.NoError(t, near.Close())
				require.NoError(t, server.Close())
				require.ErrorIs(t, <-served, http.ErrServerClosed)
			})
		})
	}
}

// faultsListener has one connection.
type faultsListener struct {
	far    net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *faultsListener) Accept() (net.Conn, error) {
	if far := l.far; far != nil {
		l.far = nil
		return far, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *faultsListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *faultsListener) Addr() net.Addr { return &net.TCPAddr{} }

// A168: with the settings of the example, WAL and a timeout of five seconds, no
// sign-in and no sign-out meets a locked database.
func TestSecurityManyAtOnceOnSQLite(t *testing.T) {
	// No request may fail because the machine is slow: that is not what is shown.
	patient := func(c *ginsession.Config) { c.StoreTimeout = time.Hour }
	a := newApp(t, modelstest.SQLite(t), patient)
	pool, err := a.db.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(16)
	row(t, "A168", "200 at once", func(t *testing.T) {
		for i := range 40 {
			a.user(fmt.Sprint("user", i), "viewer")
		}
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				answer := a.from(fmt.Sprintf("2001:db8:%x::1", i), fmt.Sprint("user", i%40), password)
				if answer.Code != 200 {
					t.Errorf("a sign-in was answered %d: %s", answer.Code, answer.Body)
					return
				}
				token := cookies(ginsessiontest.Response{Response: answer.Result()})[0]
				if r := a.with(token).Do("POST", "/logout", "", nil); r.StatusCode != 200 {
					t.Errorf("a sign-out was answered %d: %s", r.StatusCode, r.Text)
				}
			})
		}
		group.Wait()
		require.Len(t, a.rows(), 200)
		require.Zero(t, a.live())
	})
}
