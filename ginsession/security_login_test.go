// Part 2.7 of the security bar: signing in, and passwords.

package ginsession_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// rowsOfLogin are the rows of this part that are no subtest here.
var rowsOfLogin = map[string]string{
	"A117": "TestFailuresOfStrangersStopAnAccount",
	"A118": "TestFailuresOfASource",
	"A119": "TestGuessesAtTheSameInstant",
	"A120": "TestAttemptsOfClientsWhoHangUp",
	"A121": "TestAKnownDeviceIsNotShutOutByStrangers",
	"A122": "TestFailuresAreFollowedByWaits",
	"A124": "TestFailuresOfASource",
	"A125": "TestForgottenAttemptsAreSwept",
	"C51":  "TestFailuresAreFollowedByWaits",
	"C55":  "TestSignInOnANewDeviceIsAnEvent",
	"C58":  "there are no assertions of other parties; of the tokens see TestSecurityTokenHeader",
	"C75":  "TestFailuresOfASource",
	"C135": "TestAHundredFailuresStopAnAccount",
}

// hash stores a password hash of a user as it is.
func (s *stage) hash(user ginsession.Identity, encoded string) {
	s.t.Helper()
	require.NoError(s.t, s.users(user).Update("password_hash", encoded).Error)
}

func (s *stage) storedHash(user ginsession.Identity) (encoded string) {
	s.t.Helper()
	require.NoError(s.t, s.users(user).Select("password_hash").Scan(&encoded).Error)
	return encoded
}

func (s *stage) users(user ginsession.Identity) *gorm.DB {
	return s.db.Model(&models.User{}).Where("id = ?", models.Exact(user.UserID))
}

func bcrypted(t testing.TB, password string) string {
	t.Helper()
	encoded, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	return string(encoded)
}

func TestSecurityLogin(t *testing.T) {
	onStages(t, func(s *stage) {
		s.row("A103 C56", "who cannot sign in is not told why, and costs the same", func(s *stage) {
			blocked, empty := s.user("blocked", ""), s.user("empty", "")
			require.NoError(s.t, s.sessions.Accounts().Disable(s.t.Context(), blocked.UserID))
			s.hash(empty, "")
			s.hash(s.user("broken", ""), "$argon2id$v=19$m=8,t=1,p=1$$")
			seen := map[string][]string{}
			for name, sent := range map[string]string{
				"ada": wrong, "nobody": wrong, "blocked": password, "empty": wrong, "broken": password, "bob": strings.Repeat("x", 4000),
			} {
				s.forgive()
				s.wire.reset()
				before := s.sessions.TestOnlyHashes()
				answer := s.login(name, sent)
				s.refused(answer, ginsession.ErrCredentialsInvalid)
				require.EqualValues(s.t, 1, s.sessions.TestOnlyHashes()-before, "%s: hashes", name)
				answer.Header.Del("Date")
				answer.Header.Del("Content-Length") // a timestamp without its last zeros is shorter
				body := strings.Split(answer.Text, `"timestamp"`)[0]
				key := fmt.Sprint(answer.StatusCode, answer.Header, body, s.wire.statements())
				seen[key] = append(seen[key], name)
			}
			require.Len(s.t, seen, 1)
		})
		s.row("A104 C83", "an older hash is replaced at the next success, and only then", func(s *stage) {
			for name, old := range map[string]string{
				"bcrypt":          bcrypted(s.t, password),
				"less memory":     argonHash(password, 8, 2, 16),
				"fewer passes":    argonHash(password, 16, 1, 16),
				"a shorter salt":  argonHash(password, 16, 2, 8),
				"one more costly": argonHash(password, 16, 3, 16),
			} {
				s.sessions.TestOnlyHashCost(16, 2)
				s.hash(s.ada, old)
				s.forgive()
				s.refused(s.login("ada", wrong), ginsession.ErrCredentialsInvalid)
				require.Equal(s.t, old, s.storedHash(s.ada), name)
				client := s.signIn("ada")
				if name == "one more costly" {
					require.Equal(s.t, old, s.storedHash(s.ada), name)
					continue
				}
				upgraded := s.storedHash(s.ada)
				require.Contains(s.t, upgraded, "$argon2id$v=19$m=16,t=2,p=1$", name)
				require.Equal(s.t, 200, client.Get("/me").StatusCode, "%s: the session stays", name)
				s.signIn("ada")
				require.Equal(s.t, upgraded, s.storedHash(s.ada), "%s: once", name)
			}
			s.sessions.TestOnlyCheapHashes()
		})
		s.row("A105 C48", "bcrypt cuts nothing off", func(s *stage) {
			long := strings.Repeat("x", 72)
			s.hash(s.ada, bcrypted(s.t, long))
			s.refused(s.login("ada", long+"suffix"), ginsession.ErrCredentialsInvalid)
			s.refused(s.login("ada", long[1:]), ginsession.ErrCredentialsInvalid)
			require.Equal(s.t, 200, s.login("ada", long).StatusCode)
			for _, bad := range []string{"$2a$", "$2a$31$" + strings.Repeat("a", 53), "$2b$04$short", "$2$"} {
				s.hash(s.ada, bad)
				s.forgive()
				s.refused(s.login("ada", long), ginsession.ErrCredentialsInvalid)
			}
		})
		s.row("A106", "passwords of every size", func(s *stage) {
			for size, want := range map[int]int{1: 401, 1 << 10: 401, 7 << 10: 401, 8 << 10: 413, 1 << 20: 413} {
				s.forgive()
				require.Equal(s.t, want, s.login("ada", strings.Repeat("x", size)).StatusCode, size)
			}
		})
		s.row("A107", "a NUL ends no password", func(s *stage) {
			s.set(s.ada, "fifteen\x00letters")
			for _, other := range []string{"fifteen", "fifteen\x00", "fifteen\x00Letters"} {
				s.refused(s.login("ada", other), ginsession.ErrCredentialsInvalid)
			}
			require.Equal(s.t, 200, s.login("ada", "fifteen\x00letters").StatusCode)
		})
		s.row("A108 C86", "an empty password opens nothing, whatever is stored", func(s *stage) {
			for _, stored := range []string{"", "x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$", "$2a$10$", "$argon2i$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg"} {
				s.hash(s.ada, stored)
				s.forgive()
				s.refused(s.login("ada", ""), ginsession.ErrRequestInvalid)
				s.refused(s.login("ada", password), ginsession.ErrCredentialsInvalid)
				_, err := s.sessions.Accounts().Authenticate(s.t.Context(), "ada", "")
				require.ErrorIs(s.t, err, ginsession.ErrCredentialsInvalid)
			}
			require.Contains(s.t, s.logs.text(), "the stored password hash is malformed")
		})
		s.row("A109 C134", "a password is the same in every spelling of its letters, and in no other way", func(s *stage) {
			s.set(s.ada, "cafe\u0301 au lait chaud")
			for other, want := range map[string]int{
				"caf\u00e9 au lait chaud": 200, "ｃafé au lait chaud": 200, "cafe au lait chaud": 401,
				"café au lait chaud ": 401, " café au lait chaud": 401, "Café au lait chaud": 401,
			} {
				s.forgive()
				require.Equal(s.t, want, s.login("ada", other).StatusCode, other)
			}
		})
		s.row("A110", "a name is the same in every spelling of its letters, and in no other way", func(s *stage) {
			s.set(s.ada, password)
			for other, want := range map[string]int{
				"ADA": 200, " ada ": 200, "ａｄａ": 200, "ADA@EXAMPLE.COM": 200,
				"áda": 401, "аdа": 401, "ada\u200b": 401, "ada\x00": 401, "ad": 401, "ada%": 401, "ad_": 401,
			} {
				s.forgive()
				require.Equal(s.t, want, s.login(other, password).StatusCode, other)
			}
			for _, taken := range []string{"Ada", "ada ", "ＡＤＡ"} {
				_, err := s.sessions.Accounts().Create(s.t.Context(), ginsession.NewUser{Username: taken})
				require.ErrorIs(s.t, err, ginsession.ErrUserExists, taken)
			}
		})
		s.row("A111 C67", "names that are SQL", func(s *stage) {
			for _, name := range []string{"' OR '1'='1", "admin'--", "1=1", "%", "_", `"; DROP TABLE users; --`, `\`, "ada' #"} {
				s.refused(s.login(name, password), ginsession.ErrCredentialsInvalid)
			}
		})
		s.row("A112 C107", "names that are no text", func(s *stage) {
			for _, name := range []string{"0", "true", "null", "[]", `{"$ne":""}`, `{"$gt":0}`, "1e3"} {
				answer := s.send("POST", "/login", `{"username":`+name+`,"password":"`+password+`"}`, "Content-Type: application/json")
				s.refused(answer, ginsession.ErrRequestInvalid)
			}
		})
		s.row("A113 A114 C72", "names that no database holds", func(s *stage) {
			for name, want := range map[string]int{
				`a\u0000b`: 401, `\ud800`: 401, "a\x80b": 400, strings.Repeat("a", 300): 401, strings.Repeat("é", 255): 401,
				strings.Repeat("a", 1<<20): 413, "": 400, `a\r\nb`: 401, `a\u2028b`: 401, strings.Repeat("a", 255): 401, strings.Repeat("a", 256): 401,
			} {
				s.forgive()
				answer := s.send("POST", "/login", `{"username":"`+name+`","password":"`+password+`"}`, "Content-Type: application/json")
				require.Equal(s.t, want, answer.StatusCode, "%.20q: %s", name, answer.Text)
			}
		})
		s.row("A127 C7", "signing in as somebody else ends the first session", func(s *stage) {
			s.forgive()
			bobs := s.token("bob")
			answer := s.login("ada", password, bearing(bobs))
			require.Equal(s.t, 200, answer.StatusCode)
			s.refused(s.send("GET", "/me", "", bearing(bobs)), ginsession.ErrSessionNotFound)
			require.Equal(s.t, "ada", s.send("GET", "/me", "", bearing(cookieValue(s.t, answer))).Text)
		})
		s.row("C68 A160", "agents of every kind find room", func(s *stage) {
			for _, agent := range []string{strings.Repeat("x", 64<<10), strings.Repeat("é", 1000), "\x80\xff", "\u2028", strings.Repeat("😀", 300)} {
				s.forgive()
				answer := s.login("ada", password, "User-Agent: "+agent)
				require.Equal(s.t, 200, answer.StatusCode, answer.Text)
				var status ginsession.Status
				require.NoError(s.t, json.Unmarshal([]byte(answer.Text), &status))
				require.LessOrEqual(s.t, len([]rune(status.Session.UserAgent)), 256)
				require.NotContains(s.t, status.Session.UserAgent, "\u2028")
			}
		})
	})
}

// set gives a user a password.
func (s *stage) set(user ginsession.Identity, text string) {
	s.t.Helper()
	s.forgive()
	s.logs.secret(text)
	require.NoError(s.t, s.sessions.Accounts().SetPassword(s.t.Context(), user.UserID, text))
}

func TestSecurityNewPasswords(t *testing.T) {
	onStage(t, func(s *stage) {
		accounts := s.sessions.Accounts()
		refuse := func(s *stage, text string) {
			s.t.Helper()
			err := accounts.SetPassword(s.t.Context(), s.ada.UserID, text)
			require.ErrorIs(s.t, err, ginsession.ErrRequestInvalid, text)
			require.ErrorContains(s.t, err, "password: ")
			require.NotContains(s.t, err.Error(), text)
		}
		s.row("C44", "fifteen characters at least, counted as they are read", func(s *stage) {
			for _, short := range []string{"seven77", "fourteen chars", strings.Repeat("😀", 14), "e\u0301" + strings.Repeat("x\u0301", 6)} {
				refuse(s, short)
			}
			for _, bad := range []string{strings.Repeat("x", 1025), strings.Repeat("😀", 513), "not UTF-8 \x80 at all"} {
				refuse(s, bad)
			}
		})
		s.row("C44", "eight where there is a second factor", func(s *stage) {
			with := newStage(s.t.(*testing.T), modelstest.SQLite(s.t), func(c *ginsession.Config) { c.MinPassword = 8 })
			with.set(with.ada, "xkcd 936")
			refuse := with.sessions.Accounts().SetPassword(s.t.Context(), with.ada.UserID, "xkcd936")
			require.ErrorContains(s.t, refuse, "must have 8 to 1024")
			for _, n := range []int{-1, 7, 65} {
				_, err := ginsession.New(s.db, ginsession.Config{Keys: []ginsession.Key{key1}, MinPassword: n})
				require.ErrorContains(s.t, err, "MinPassword: must be from 8 to 64")
			}
		})
		s.row("C46", "none that everybody tries first", func(s *stage) {
			for _, common := range []string{
				"123456789987654321", "1qaz2wsx3edc4rfv", "123456789qwerty", "12345678901234567890", "q1w2e3r4t5y6u7i8",
				"passwordpassword", "PasswordPassword", "ｐasswordpassword", "manchesterunited", "111111111111111",
				"qwertyuiopasdfgh", "stairwaytoheaven", "perasperaadastra", "iloveyouiloveyou", "sunshinesunshine",
				"sunshine1234567", "!!!!sunshine!!!!", "12345678starwars",
			} {
				refuse(s, common)
			}
		})
		s.row("C46", "none that is little more than the user's name", func(s *stage) {
			grace, err := accounts.Create(s.t.Context(), ginsession.NewUser{Username: "grace-hopper", Email: "g.hopper@navy.example", Password: "nanoseconds of wire"})
			require.NoError(s.t, err)
			for _, own := range []string{"grace-hopper1234567", "Grace-Hopper!!!", "!!g.hopper1906!", "1234grace-hopper321"} {
				require.ErrorContains(s.t, accounts.SetPassword(s.t.Context(), grace.UserID, own), "password: is little more than the name", own)
				_, err := accounts.Create(s.t.Context(), ginsession.NewUser{Username: "grace-hopper", Email: "g.hopper@navy.example", Password: own})
				require.ErrorContains(s.t, err, "password: is little more than the name", own)
			}
			require.NoError(s.t, accounts.SetPassword(s.t.Context(), grace.UserID, "grace-hopper found the moth"))
			require.NoError(s.t, accounts.SetPassword(s.t.Context(), s.ada.UserID, "canada in september"), "a name of three letters, by the way")
		})
		s.row("C46", "none that the application knows to have leaked", func(s *stage) {
			leaked := func(_ context.Context, user ginsession.Identity, text string) error {
				if text == "leaked on a monday" && user.Username == "ada" {
					return &ginsession.Error{Code: ginsession.ErrRequestInvalid, Err: fmt.Errorf("password: has leaked")}
				}
				if text == "nobody answers here" {
					return errWire
				}
				return nil
			}
			with := newStage(s.t.(*testing.T), modelstest.SQLite(s.t), func(c *ginsession.Config) { c.CheckPassword = leaked })
			set := with.sessions.Accounts().SetPassword
			require.ErrorContains(s.t, set(s.t.Context(), with.ada.UserID, "leaked on a monday"), "REQUEST_INVALID: password: has leaked")
			require.NoError(s.t, set(s.t.Context(), with.bob.UserID, "leaked on a monday"))
			require.ErrorIs(s.t, set(s.t.Context(), with.ada.UserID, "nobody answers here"), ginsession.ErrStoreUnavailable)
		})
		s.row("C47 C49", "no rules about what is in it", func(s *stage) {
			for _, good := range []string{
				"839201746592018", "aaaa bbbb cccc d", strings.Repeat("😀🎈🐙🚲", 16), "               x", "ЁЖИКИ В ТУМАНЕ!", strings.Repeat("long enough ", 80),
			} {
				s.set(s.ada, good)
				require.Equal(s.t, 200, s.login("ada", good).StatusCode, good)
			}
		})
		s.row("C50", "it does not run out", func(s *stage) {
			s.set(s.ada, password)
			s.pass(10 * 365 * 24 * time.Hour)
			require.Equal(s.t, 200, s.login("ada", password).StatusCode)
			s.pass(-10 * 365 * 24 * time.Hour)
		})
		s.row("C45", "changing it takes the present one, and a wrong one counts", func(s *stage) {
			s.forgive()
			for range 5 {
				err := accounts.ChangePassword(s.t.Context(), s.bob.UserID, wrong, "another password 1")
				require.ErrorIs(s.t, err, ginsession.ErrCredentialsInvalid)
			}
			err := accounts.ChangePassword(s.t.Context(), s.bob.UserID, password, "another password 1")
			require.ErrorIs(s.t, err, ginsession.ErrRateLimited)
			require.Contains(s.t, s.events(), "authn_password_change_fail")
		})
	})
}

func TestSecurityWaysToSignIn(t *testing.T) {
	onStage(t, func(s *stage) {
		s.row("C52", "no account but those that were made", func(s *stage) {
			empty := modelstest.SQLite(s.t).Open(s.t)
			require.NoError(s.t, models.Migrate(empty))
			var n int64
			require.NoError(s.t, empty.Model(&models.User{}).Count(&n).Error)
			require.Zero(s.t, n)
		})
		s.row("C53", "a second factor stands between the password and the session", func(s *stage) {
			s.engine.POST("/factor", func(c *gin.Context) {
				user, err := s.sessions.Accounts().Authenticate(c, c.Query("u"), password)
				if err != nil || c.Query("code") != "123456" {
					ginsession.Refuse(c, ginsession.ErrCredentialsInvalid)
					return
				}
				if _, err := s.sessions.Open(c, user, false); err != nil {
					ginsession.Refuse(c, err)
				}
			})
			s.refused(s.send("POST", "/factor?u=ada&code=0", ""), ginsession.ErrCredentialsInvalid)
			require.Empty(s.t, s.rows())
			answer := s.send("POST", "/factor?u=ada&code=123456", "")
			require.Equal(s.t, "ada", s.send("GET", "/me", "", bearing(cookieValue(s.t, answer))).Text)
		})
		s.row("C54 A116", "no other way", func(s *stage) {
			before := len(s.rows())
			const form = "application/x-www-form-urlencoded"
			for _, r := range [][]string{
				{"POST", "/login", "", "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==", "Content-Type: application/json"},
				{"POST", "/login?username=ada&password=correct+horse+battery", "", "Content-Type: " + form},
				{"POST", "/login?username=ada&password=correct+horse+battery", "{}", "Content-Type: application/json"},
				{"GET", "/login?username=ada&password=correct+horse+battery", ""},
				{"GET", "/me", "", "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ=="},
				{"PUT", "/login", `{"username":"ada","password":"` + password + `"}`, "Content-Type: application/json", "X-HTTP-Method-Override: POST"},
			} {
				answer := s.send(r[0], r[1], r[2], r[3:]...)
				require.GreaterOrEqual(s.t, answer.StatusCode, 400, r)
				require.Empty(s.t, answer.Header["Set-Cookie"], r)
			}
			require.Len(s.t, s.rows(), before)
		})
		s.row("A126 C104", "a crowd that signs in leaves everybody else alone", func(s *stage) {
			s.forgive()
			token := s.token("ada")
			free := s.sessions.TestOnlyBusy() // every processor hashes
			var codes [600]atomic.Int64
			var crowd sync.WaitGroup
			for range 40 {
				crowd.Go(func() { codes[s.login("bob", password).StatusCode].Add(1) })
			}
			for range 20 {
				require.Equal(s.t, 200, s.send("GET", "/me", "", bearing(token)).StatusCode)
				require.Equal(s.t, 200, s.send("GET", "/session", "", bearing(token)).StatusCode)
			}
			crowd.Wait()
			free()
			require.Equal(s.t, int64(40), codes[429].Load()+codes[503].Load(), "none of them was hashed")
			s.forgive()
			require.Equal(s.t, 200, s.login("bob", password).StatusCode)
		})
	})
}
