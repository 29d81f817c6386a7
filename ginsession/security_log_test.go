// Parts 1.8 and 2.10 of the security bar: what is logged, what is never logged,
// and panics.

package ginsession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
	"github.com/ginsession/gin-session/rbac"
)

// logLine is a line of the log that tells of an event.
type logLine struct {
	Level, Msg                                               string
	At                                                       time.Time
	Session, User, Actor, Outcome, Reason, Detail, IP, Agent *string
}

// tells reports whether the line says all of what an event says, and no more.
func (l logLine) tells(e models.Event) bool {
	for got, want := range map[*string]string{
		l.Session: string(e.SessionID), l.User: string(e.UserID), l.Actor: string(e.Actor), l.Outcome: e.Outcome,
		l.Reason: e.Reason, l.Detail: e.Detail, l.IP: e.IPAddress, l.Agent: e.UserAgent,
	} {
		if got == nil || *got != want {
			return false
		}
	}
	return l.Msg == "ginsession: "+e.Name && l.At.Equal(e.At.Time())
}

// logLines returns the lines of a log.
func logLines(t testing.TB, text string) []logLine {
	t.Helper()
	var lines []logLine
	for line := range strings.Lines(text) {
		var l logLine
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		lines = append(lines, l)
	}
	return lines
}

func TestSecurityEvents(t *testing.T) {
	var h heard
	onStages(t, func(s *stage) {
		s.engine.POST("/disable", rbac.RequireRole("admin"), func(c *gin.Context) {
			require.NoError(s.t, s.sessions.Accounts().Disable(c.Request.Context(), s.bob.UserID))
		})
		const agent = "User-Agent: Test/1.0"
		s.row("C113", "each has its time, name, user, session, actor, outcome, reason, address and agent, in log and table alike", func(s *stage) {
			h.take()
			from := len(s.logs.text())
			var before int64
			require.NoError(s.t, s.db.Model(&models.Event{}).Select("MAX(id)").Scan(&before).Error)

			ada, bob := cookieValue(s.t, s.login("ada", password, agent)), cookieValue(s.t, s.login("bob", password, agent))
			s.login("ada", wrong, agent)
			s.send("GET", "/admin", "", bearing(bob), agent)
			s.send("POST", "/act", "", bearing(bob), agent, "Origin: https://evil.example")
			s.send("GET", "/me", "", bearing("junk"), agent)
			s.pass(23*time.Hour + 40*time.Minute)
			ada = cookieValue(s.t, s.send("GET", "/me", "", bearing(ada), agent))
			s.send("POST", "/disable", "", bearing(ada), agent)
			s.send("GET", "/me", "", bearing(bob), agent)
			s.send("POST", "/logout", "", bearing(ada), agent)

			told := h.take()
			var names []string
			lines := logLines(s.t, s.logs.text()[from:])
			for i, e := range told {
				names = append(names, e.Name)
				require.NotZero(s.t, e.At, e.Name)
				require.Contains(s.t, []string{"success", "failure"}, e.Outcome, e.Name)
				require.Equal(s.t, []string{"127.0.0.1", "Test/1.0"}, []string{e.IPAddress, e.UserAgent}, e.Name)
				if e.Outcome == "failure" {
					require.NotEmpty(s.t, e.Reason, e.Name)
				}
				require.True(s.t, lines[i].tells(e), "%+v\n%+v", lines[i], e)
			}
			require.Len(s.t, lines, len(told))
			require.Equal(s.t, []string{
				"authn_login_success", "session_created", "authn_login_newdevice", "authn_login_success", "session_created", "authn_login_newdevice", "authn_login_fail", "authz_fail",
				"csrf_rejected", "token_invalid", "session_renewed", "user_updated", "session_use_after_expire", "session_logout",
			}, names)
			require.Equal(s.t, []models.Exact{models.Exact(s.ada.UserID), models.Exact(s.bob.UserID)}, []models.Exact{told[11].Actor, told[11].UserID})

			var rows []models.Event
			require.NoError(s.t, s.db.Where("id > ?", before).Order("id").Find(&rows).Error)
			stored := slices.DeleteFunc(told, func(e models.Event) bool {
				return slices.Contains([]string{"authn_login_success", "csrf_rejected", "token_invalid", "session_use_after_expire"}, e.Name)
			})
			require.Len(s.t, rows, len(stored))
			for i := range rows {
				rows[i].ID, stored[i].ID = 0, 0
			}
			require.Equal(s.t, stored, rows)
			require.NoError(s.t, s.sessions.Accounts().Enable(s.t.Context(), s.bob.UserID))
		})
		s.row("C117", "each sign-in, good or bad, is told", func(s *stage) {
			s.forgive()
			names := func() (names []string) {
				for _, e := range h.take() {
					if strings.HasPrefix(e.Name, "authn") || strings.HasPrefix(e.Name, "excess") || e.Name == "session_logout" {
						names = append(names, e.Name)
					}
				}
				return names
			}
			names()
			token := s.token("ada")
			require.Equal(s.t, []string{"authn_login_success", "authn_login_newdevice"}, names())
			s.send("POST", "/logout", "", bearing(token))
			require.Equal(s.t, []string{"session_logout"}, names())

			s.login("ada", wrong)
			s.login("nobody", wrong)
			failures := h.take()
			require.Len(s.t, failures, 2)
			require.Equal(s.t, s.ada.UserID, string(failures[0].UserID))
			failures[0].UserID, failures[0].At, failures[1].At = "", 0, 0
			require.Equal(s.t, failures[0], failures[1], "of one form, for an unknown user too")

			s.token("ada")
			require.Equal(s.t, []string{"authn_login_successafterfail", "authn_login_newdevice"}, names())
			for range 4 {
				s.login("ada", wrong)
				require.Equal(s.t, []string{"authn_login_fail"}, names())
			}
			s.login("ada", wrong)
			require.Equal(s.t, []string{"authn_login_fail", "authn_login_fail_max"}, names())
			s.login("ada", password)
			require.Equal(s.t, []string{"excess_rate_limit_exceeded"}, names())
			for failed := 5; failed < 79; failed++ {
				s.pass(25 * time.Hour) // also for the account from this source
				s.login("ada", wrong)
				require.Equal(s.t, []string{"authn_login_fail"}, names())
			}
			s.pass(25 * time.Hour)
			s.login("ada", wrong)
			require.Equal(s.t, []string{"authn_login_fail", "authn_login_lock"}, names())
			s.forgive()
		})
		s.row("C120", "a fault is told with its cause, and an audit trail that cannot be written holds nobody up", func(s *stage) {
			ada, bob := s.token("ada"), s.token("bob")
			h.take()
			s.wire.breakAt(1, false, fails)
			answer := s.send("GET", "/me", "", bearing(ada))
			s.wire.reset()
			s.refused(answer, ginsession.ErrStoreUnavailable)
			require.NotContains(s.t, answer.Text, "secret-detail")
			told := h.take()
			require.Len(s.t, told, 1)
			require.Equal(s.t, []string{"store_unavailable", "failure"}, []string{told[0].Name, told[0].Outcome})
			require.Contains(s.t, told[0].Detail, "GET /me: ")
			require.Contains(s.t, told[0].Detail, "secret-detail of the driver")
			lines := logLines(s.t, s.logs.text())
			require.Equal(s.t, "ERROR", lines[len(lines)-1].Level)

			s.wire.failEvents()
			s.refused(s.send("GET", "/admin", "", bearing(bob)), ginsession.ErrRoleRequired)
			s.refused(s.login("bob", wrong), ginsession.ErrCredentialsInvalid)
			require.Equal(s.t, 2, strings.Count(s.logs.text(), "an event could not be written"))
			out := s.send("POST", "/logout", "", bearing(ada))
			s.refused(out, ginsession.ErrStoreUnavailable)
			require.Contains(s.t, setCookie(s.t, out), "Max-Age=0")
			s.refused(s.send("GET", "/me", "", bearing(ada)), ginsession.ErrSessionNotFound)
			s.refused(s.login("ada", password), ginsession.ErrStoreUnavailable) // nobody comes in unseen
			s.wire.reset()
			s.refused(s.send("GET", "/me", "", bearing(ada)), ginsession.ErrSessionNotFound)
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(bob)).StatusCode)
		})
	}, h.listen)
}

// failEvents lets no event be written.
func (w *wire) failEvents() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = func(_ context.Context, n int) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if call := w.calls[n-1]; strings.HasPrefix(call, "INSERT") && strings.Contains(call, "session_events") {
			return errWire
		}
		return nil
	}
}

func TestSecurityWhereTheLogGoes(t *testing.T) {
	row(t, "C115", "to slog, and nowhere else", func(t *testing.T) {
		k := &capture{}
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewJSONHandler(k, nil)))
		defer slog.SetDefault(before)
		s := newStage(t, modelstest.SQLite(t), func(c *ginsession.Config) { c.Logger = nil })
		require.Equal(t, 200, s.login("ada", password).StatusCode)
		lines := logLines(t, k.text())
		require.Equal(t, "ginsession: authn_login_newdevice", lines[len(lines)-1].Msg)

		edgeSources(t, func(file string, tree *ast.File) {
			for _, i := range tree.Imports {
				require.NotEqual(t, `"log"`, i.Path.Value, file)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.Ident); ok {
						require.NotContains(t, []string{"print", "println"}, f.Name, file)
					}
					f, _ := edgeName(n)
					require.NotContains(t, []string{"fmt.Print", "fmt.Printf", "fmt.Println"}, f, file)
				case *ast.SelectorExpr:
					if of, ok := n.X.(*ast.Ident); ok {
						require.NotContains(t, []string{"os.Stdout", "os.Stderr", "gin.DefaultWriter", "gin.DefaultErrorWriter"}, of.Name+"."+n.Sel.Name, file)
					}
				}
				return true
			})
		})
	})
	row(t, "C122", "no row of the audit trail is changed, and none is removed but by age", func(t *testing.T) {
		onEach(t, func(t *testing.T, a *app) {
			for _, act := range acts {
				c := act.prepare(a)
				a.wire.reset()
				act.request(c)
				for _, statement := range a.wire.statements() {
					require.NotRegexp(t, "^(UPDATE|DELETE FROM|TRUNCATE).*session_events", statement, act.name)
				}
			}
		})
		removed := 0
		edgeSources(t, func(file string, tree *ast.File) {
			for _, declaration := range tree.Decls {
				f, ok := declaration.(*ast.FuncDecl)
				if !ok {
					continue
				}
				calls := logCallsOnEvents(f)
				for _, name := range []string{"Save", "Update", "Updates", "UpdateColumn", "UpdateColumns"} {
					require.False(t, calls[name] && calls["Model"], "%s: %s", file, f.Name.Name)
				}
				if calls["Delete"] {
					removed++
					require.Equal(t, "sweepEvents", f.Name.Name, file)
				}
			}
		})
		require.Equal(t, 1, removed)
	})
}

// logCallsOnEvents returns the names of the methods that a function calls, with
// those of Model and Delete only if they are called with a models.Event.
func logCallsOnEvents(f *ast.FuncDecl) map[string]bool {
	calls := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name := method.Sel.Name
		onEvent := false
		for _, argument := range call.Args {
			ast.Inspect(argument, func(n ast.Node) bool {
				literal, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				kind, ok := literal.Type.(*ast.SelectorExpr)
				onEvent = onEvent || ok && kind.Sel.Name == "Event"
				return true
			})
		}
		if onEvent || (name != "Model" && name != "Delete") {
			calls[name] = true
		}
		return true
	})
	return calls
}

// That no secret is in the log, in an answer or in a row is asked at the end of
// every test that makes an app. This one shows that it would be found.
func TestCaptureFindsWhatIsPlanted(t *testing.T) {
	a := newApp(t, modelstest.SQLite(t))
	answered := func(k *capture, handler gin.HandlerFunc) {
		r := gin.New()
		r.GET("/", k.answers, handler)
		ginsessiontest.NewClient(r).Get("/")
	}
	places := map[string]func(k *capture, secret string){
		"no place": func(*capture, string) {},
		"the log":  func(k *capture, secret string) { slog.New(slog.NewJSONHandler(k, nil)).Info("x", "y", "z"+secret) },
		"a body": func(k *capture, secret string) {
			answered(k, func(c *gin.Context) { c.String(200, "z%s", secret) })
		},
		"a field of an answer": func(k *capture, secret string) {
			answered(k, func(c *gin.Context) { c.Header("Location", "/?t="+secret) })
		},
		"a row": func(_ *capture, secret string) {
			require.NoError(t, a.db.Create(&models.Event{Name: "planted", Detail: secret}).Error)
		},
		"bytes of a row": func(_ *capture, secret string) {
			require.NoError(t, a.db.Create(&models.Session{ID: "planted", SecretHash: []byte(secret)}).Error)
		},
	}
	token := a.signIn("ada").Cookie(cookieName)
	parts := strings.Split(token, ".")
	for what, secret := range map[string]string{
		"password": password, "hash": cheapHash(), "key": key1, "old key": key2,
		"token": token, "payload": parts[1], "signature": parts[2], "secret": secretOf(t, token),
	} {
		for place, plant := range places {
			probe, fake := &capture{}, &testing.T{}
			probe.secret(password)
			probe.secret(cheapHash())
			answered(probe, func(c *gin.Context) { c.Header("Set-Cookie", cookieName+"="+token+"; Path=/") })
			plant(probe, secret)
			probe.check(fake, a.db)
			want := place != "no place" && (what != "hash" || !strings.HasSuffix(place, "row"))
			require.Equal(t, want, fake.Failed(), "%s in %s", what, place)
			require.NoError(t, a.db.Where("name = ?", "planted").Delete(&models.Event{}).Error)
			require.NoError(t, a.db.Where("id = ?", models.Exact("planted")).Delete(&models.Session{}).Error)
		}
	}
}

// logRecovering puts gin.Recovery round an engine.
func logRecovering(inner *gin.Engine) *gin.Engine {
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard))
	r.Any("/*path", gin.WrapH(inner))
	return r
}

// logHooks are what an application gives to the Config: each panics while it is
// told to.
type logHooks struct {
	a                                               *app
	authenticate, identity, refuse, event, panicked atomic.Bool
}

func (h *logHooks) panicIf(told *atomic.Bool) {
	if told.Load() {
		h.panicked.Store(true)
		panic("a hook panics")
	}
}

func (h *logHooks) Authenticate(ctx context.Context, login, _ string) (ginsession.Identity, error) {
	h.panicIf(&h.authenticate)
	user, err := h.a.sessions.Accounts().Find(ctx, login)
	if err != nil {
		return user, ginsession.ErrCredentialsInvalid
	}
	return user, nil
}

func (h *logHooks) Identity(ctx context.Context, id string) (ginsession.Identity, error) {
	h.panicIf(&h.identity)
	return h.a.sessions.Accounts().Identity(ctx, id)
}

func (h *logHooks) configure(c *ginsession.Config) {
	c.Users = h
	c.Refuse = func(c *gin.Context, err *ginsession.Error) {
		h.panicIf(&h.refuse)
		ginsession.WriteError(c, err)
	}
	c.OnEvent = func(context.Context, models.Event) { h.panicIf(&h.event) }
}

func TestSecurityPanics(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, d modelstest.Database) {
		h := &logHooks{}
		s := newStage(t, d, h.configure)
		h.a = s.app
		reached := 0
		s.engine.GET("/reached", rbac.RequireRole("admin"), func(c *gin.Context) { reached++ })
		s.engine.GET("/boom", ginsession.Require, func(*gin.Context) { panic("boom") })
		s = s.edgeOn(logRecovering(s.engine))

		// during lets a hook panic and looks at what may not change meanwhile.
		during := func(s *stage, told *atomic.Bool, tokens []string, test func()) {
			s.t.Helper()
			before, was := s.rows(), reached
			h.panicked.Store(false)
			told.Store(true)
			test()
			told.Store(false)
			require.True(s.t, h.panicked.Load(), "or this test shows nothing")
			require.Equal(s.t, was, reached, "let in")
			require.Equal(s.t, before, s.rows(), "opened, or signed out")
			for _, token := range tokens {
				require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(token)).StatusCode)
			}
			s.forgive()
			require.NotEmpty(s.t, s.token("bob"), "the next request works")
		}
		panics := func(s *stage, answer ginsessiontest.Response) {
			s.t.Helper()
			require.Equal(s.t, 500, answer.StatusCode)
			require.Empty(s.t, answer.Header["Set-Cookie"])
			require.Empty(s.t, answer.Text)
		}
		const often = 20 // more than there are connections, processors, free attempts
		s.row("C126", "Users.Authenticate panics", func(s *stage) {
			ada := s.token("ada")
			during(s, &h.authenticate, []string{ada}, func() {
				for i := range often {
					panics(s, s.login(fmt.Sprint("somebody", i), password))
				}
				panics(s, s.login("ada", password, bearing(ada)))
			})
			h.authenticate.Store(true)
			for range 5 {
				panics(s, s.login("mallory", password))
			}
			h.authenticate.Store(false)
			s.refused(s.login("mallory", password), ginsession.ErrRateLimited) // each was an attempt
			s.forgive()
		})
		s.row("C126", "Users.Identity panics", func(s *stage) {
			ada := s.token("ada")
			during(s, &h.identity, []string{ada}, func() {
				for range often {
					for _, request := range [][2]string{
						{"GET", "/me"}, {"GET", "/reached"}, {"GET", "/open"}, {"GET", "/session"},
						{"POST", "/act"}, {"POST", "/session/refresh"}, {"POST", "/logout"}, {"HEAD", "/session"},
					} {
						panics(s, s.send(request[0], request[1], "", bearing(ada)))
					}
				}
				s.refused(s.send("GET", "/reached", ""), ginsession.ErrSessionNotFound)
			})
			s.pass(23*time.Hour + 40*time.Minute) // a refresh is due
			during(s, &h.identity, nil, func() { panics(s, s.send("GET", "/me", "", bearing(ada))) })
			require.NotEmpty(s.t, setCookie(s.t, s.send("GET", "/me", "", bearing(ada))))
		})
		s.row("C126", "Config.Refuse panics", func(s *stage) {
			ada, bob := s.token("ada"), s.token("bob")
			during(s, &h.refuse, []string{ada, bob}, func() {
				for range often {
					panics(s, s.send("GET", "/reached", ""))
					panics(s, s.send("GET", "/reached", "", bearing(bob)))
					panics(s, s.send("GET", "/reached", "", bearing(ada[:len(ada)-5]+"AAAAA")))
					panics(s, s.send("POST", "/act", "", bearing(ada), "Sec-Fetch-Site: cross-site"))
					panics(s, s.send("POST", "/login", "{", "Content-Type: application/json"))
					s.wire.breakAt(1, false, fails)
					panics(s, s.send("GET", "/reached", "", bearing(ada)))
					s.wire.reset()
				}
			})
		})
		s.row("C126", "OnEvent panics", func(s *stage) {
			h.event.Store(true)
			defer h.event.Store(false)
			h.panicked.Store(false)
			live := s.live()
			for range often {
				token := s.token("ada")
				require.Equal(s.t, 200, s.send("GET", "/reached", "", bearing(token)).StatusCode)
				s.refused(s.login("nobody", wrong), ginsession.ErrCredentialsInvalid)
				require.Equal(s.t, 200, s.send("POST", "/logout", "", bearing(token)).StatusCode)
				s.refused(s.send("GET", "/me", "", bearing(token)), ginsession.ErrSessionNotFound)
				s.forgive()
			}
			require.True(s.t, h.panicked.Load(), "or this test shows nothing")
			require.Equal(s.t, live, s.live())
			require.Contains(s.t, s.logs.text(), `"event":"session_created","panic":"a hook panics"`)
		})
		s.row("C126", "a handler panics", func(s *stage) {
			ada := s.token("ada")
			before := s.rows()
			for range often {
				panics(s, s.send("GET", "/boom", "", bearing(ada)))
			}
			require.Equal(s.t, before, s.rows())
			require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(ada)).StatusCode)
		})
	})
}

// C126: the driver panics at any statement. COMMIT is left out: then database/sql
// itself does not know whose the connection is.
func TestSecurityPanicsOfTheDriver(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		a.engine = logRecovering(a.engine)
		for _, act := range acts {
			a.wire.reset()
			a.forgive()
			c := act.prepare(a)
			a.wire.reset()
			require.Equal(t, act.want, act.request(c).StatusCode, act.name)
			steps := a.wire.statements()
			for n, step := range steps {
				if step == "COMMIT" {
					continue
				}
				label := fmt.Sprintf("%s at %s (%d of %d)", act.name, step, n+1, len(steps))
				a.wire.reset()
				a.forgive()
				c := act.prepare(a)
				token := c.Cookie(cookieName)
				live := a.live()
				a.wire.breakAt(n+1, false, func(context.Context) error { panic("the driver panics") })
				answer := act.request(c)
				a.wire.reset()
				require.Equal(t, http.StatusInternalServerError, answer.StatusCode, label)
				require.Empty(t, answer.Header["Set-Cookie"], label)
				require.Equal(t, live, a.live(), label)
				if token != "" && !strings.Contains(act.name, "expired") {
					require.Equal(t, 200, a.with(token).Get("/me").StatusCode, "%s: signed out", label)
				}
			}
		}
	})
}
