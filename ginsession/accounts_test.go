package ginsession_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

func TestCreateUser(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		eve, err := accounts.Create(t.Context(), ginsession.NewUser{Username: " Eve ", Email: "Eve@Example.com", Role: "editor", Password: "a long password"})
		require.NoError(t, err)
		a.logs.secret("a long password")
		require.Equal(t, []string{"Eve", "Eve@Example.com", "editor"}, []string{eve.Username, eve.Email, eve.Role})
		for _, login := range []string{"eve", "EVE", " eve ", "ｅｖｅ", "EVE@example.COM"} {
			got, err := accounts.Authenticate(t.Context(), login, "a long password")
			require.NoError(t, err, login)
			require.Equal(t, eve, got)
			got, err = accounts.Find(t.Context(), login)
			require.NoError(t, err)
			require.Equal(t, eve, got)
		}
		for name, test := range map[string]struct {
			user ginsession.NewUser
			want string
		}{
			"no name":            {ginsession.NewUser{}, "username: must have 1 to 255 bytes"},
			"spaces":             {ginsession.NewUser{Username: "  "}, "username: must have"},
			"long":               {ginsession.NewUser{Username: strings.Repeat("é", 128)}, "username: must have"},
			"NUL":                {ginsession.NewUser{Username: "a\x00"}, "username: must not hold control"},
			"zero width space":   {ginsession.NewUser{Username: "admin\u200b"}, "username: must not hold control"},
			"right to left":      {ginsession.NewUser{Username: "\u202eadmin"}, "username: must not hold control"},
			"not UTF-8":          {ginsession.NewUser{Username: "a\x80"}, "username: must be valid UTF-8"},
			"no address":         {ginsession.NewUser{Username: "x", Email: "x"}, "email: must be an address"},
			"no host":            {ginsession.NewUser{Username: "x", Email: "x@"}, "email: must be an address"},
			"somebody's address": {ginsession.NewUser{Username: "ada@example.com", Email: "x@example.com"}, "username: must not contain '@'"},
			"full-width at":      {ginsession.NewUser{Username: "q＠x", Email: "x@example.com"}, "username: must not contain '@'"},
			"full-width address": {ginsession.NewUser{Username: "＠"}, "email: must be an address"},
			"many marks":         {ginsession.NewUser{Username: strings.Repeat("u\u0308\u0304", 100)}, "username: must have 1 to 255 bytes"},
			"long role":          {ginsession.NewUser{Username: "x", Role: strings.Repeat("r", 65)}, "role: must be"},
			"role with newline":  {ginsession.NewUser{Username: "x", Role: "admin\n"}, "role: must be"},
			"short password":     {ginsession.NewUser{Username: "x", Password: "1234567"}, "password: must have 15 to 1024 characters and at most 2048 bytes, has 7"},
			"long password":      {ginsession.NewUser{Username: "x", Password: strings.Repeat("x", 1025)}, "password: must have"},
			"username taken":     {ginsession.NewUser{Username: "eVE"}, "USER_EXISTS"},
			"e-mail taken":       {ginsession.NewUser{Username: "x", Email: "EVE@EXAMPLE.COM"}, "USER_EXISTS"},
		} {
			_, err := accounts.Create(t.Context(), test.user)
			require.ErrorContains(t, err, test.want, name)
		}
		_, err = accounts.Create(t.Context(), ginsession.NewUser{Username: "only@example.com"})
		require.NoError(t, err, "an e-mail may be the username")
		_, err = accounts.Find(t.Context(), "ONLY@example.com")
		require.NoError(t, err)
		for i, password := range []string{strings.Repeat("🔑", 64), strings.Repeat("7", 15), strings.Repeat(" x", 8), strings.Repeat("x", 1024)} {
			_, err := accounts.Create(t.Context(), ginsession.NewUser{Username: fmt.Sprint("user", i), Password: password})
			require.NoError(t, err, "no rules but a length")
		}
	})
}

func TestCreateTheSameUserAtOnce(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() {
				_, errs[i] = a.sessions.Accounts().Create(t.Context(), ginsession.NewUser{Username: "twin"})
			})
		}
		group.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				require.ErrorIs(t, err, ginsession.ErrUserExists)
			}
		}
		require.Equal(t, 1, made)
	})
}

func TestAuthenticateAnswersAlike(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		disabled := a.user("disabled", "viewer")
		require.NoError(t, accounts.Disable(t.Context(), disabled.UserID))
		_, err := accounts.Create(t.Context(), ginsession.NewUser{Username: "nopassword"})
		require.NoError(t, err)
		broken := a.user("broken", "viewer")
		for i, hash := range []string{"$argon2id$", "plain", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$", "$argon2id$v=19$m=99999999,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "$2a$10$abc"} {
			require.NoError(t, a.db.Model(&models.User{}).Where("id = ?", models.Exact(broken.UserID)).Update("password_hash", hash).Error)
			_, err := accounts.Authenticate(t.Context(), "broken", password)
			require.ErrorIs(t, err, ginsession.ErrCredentialsInvalid, "hash %d", i)
			require.NotErrorIs(t, err, ginsession.ErrStoreUnavailable)
		}
		require.Contains(t, a.logs.text(), "the stored password hash is malformed")

		var answers []string
		for _, try := range [][2]string{
			{"nobody", password}, {"ada", "wrong"}, {"disabled", password}, {"nopassword", ""}, {"nopassword", "x"},
			{"ada", password + " "}, {"ada", strings.ToUpper(password)}, {"ada\x00", password}, {strings.Repeat("a", 5000), password},
			{"ádmin", password}, {"ada' --", password}, {"%", password}, {"", ""}, {"bob@example.com ", "x"},
		} {
			_, err := accounts.Authenticate(t.Context(), try[0], try[1])
			require.ErrorIs(t, err, ginsession.ErrCredentialsInvalid, try)
			answers = append(answers, err.Error())
		}
		for _, answer := range answers {
			require.Equal(t, "ginsession: CREDENTIALS_INVALID", answer)
		}
	})
}

func TestPasswordsAreNormalised(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		require.NoError(t, accounts.SetPassword(t.Context(), a.ada.UserID, "cafe\u0301 au lait chaud"))
		_, err := accounts.Authenticate(t.Context(), "ada", "caf\u00e9 au lait chaud")
		require.NoError(t, err)
	})
}

func TestPasswordChange(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		here, there, bob := a.signIn("ada"), a.signIn("ada"), a.signIn("bob")
		s, err := a.session(here.Cookie(cookieName))
		require.NoError(t, err)

		err = accounts.ChangePassword(t.Context(), a.ada.UserID, "wrong", "another password", s.ID)
		require.ErrorIs(t, err, ginsession.ErrCredentialsInvalid)
		err = accounts.ChangePassword(t.Context(), a.ada.UserID, password, "short", s.ID)
		require.ErrorContains(t, err, "password: must have")
		require.Equal(t, 200, there.Get("/me").StatusCode, "nothing has happened")

		require.NoError(t, accounts.ChangePassword(t.Context(), a.ada.UserID, password, "another password", s.ID))
		a.logs.secret("another password")
		require.Equal(t, 200, here.Get("/me").StatusCode)
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, there.Get("/me")))
		require.Equal(t, 200, bob.Get("/me").StatusCode)
		_, err = accounts.Authenticate(t.Context(), "ada", password)
		require.ErrorIs(t, err, ginsession.ErrCredentialsInvalid)

		require.NoError(t, accounts.SetPassword(t.Context(), a.ada.UserID, "a third password"))
		require.Equal(t, ginsession.ErrSessionNotFound, code(t, here.Get("/me")))
		require.ErrorIs(t, accounts.SetPassword(t.Context(), "nobody", "a third password"), ginsession.ErrUserNotFound)
		require.ErrorIs(t, accounts.ChangePassword(t.Context(), "nobody", password, "a third password"), ginsession.ErrCredentialsInvalid)
	})
}

func TestRoleDisableEnableDelete(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		accounts := a.sessions.Accounts()
		c := a.signIn("bob")
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		require.NoError(t, accounts.SetRole(t.Context(), a.bob.UserID, "admin"))
		require.Equal(t, 200, c.Get("/admin").StatusCode, "at the next request")
		require.NoError(t, accounts.SetRole(t.Context(), a.bob.UserID, "admin"), "the same role is no error")
		require.NoError(t, accounts.SetRole(t.Context(), a.bob.UserID, ""))
		require.Equal(t, 403, c.Get("/admin").StatusCode)
		require.ErrorContains(t, accounts.SetRole(t.Context(), a.bob.UserID, "a\nb"), "role: must be")

		require.NoError(t, accounts.Disable(t.Context(), a.bob.UserID))
		require.NoError(t, accounts.Disable(t.Context(), a.bob.UserID), "twice is no error")
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/me")))
		_, err := accounts.Identity(t.Context(), a.bob.UserID)
		require.ErrorIs(t, err, ginsession.ErrUserNotFound)
		_, err = accounts.Find(t.Context(), "bob")
		require.NoError(t, err)
		require.NoError(t, accounts.Enable(t.Context(), a.bob.UserID))
		require.Equal(t, 401, c.Get("/me").StatusCode, "what ended stays ended")
		c = a.signIn("bob")
		id, err := accounts.Identity(t.Context(), a.bob.UserID)
		require.NoError(t, err)
		require.Equal(t, "bob", id.Username)

		require.NoError(t, accounts.Delete(t.Context(), a.bob.UserID))
		require.Equal(t, ginsession.ErrSessionInvalid, code(t, c.Get("/me")))
		for _, err := range []error{
			accounts.Delete(t.Context(), a.bob.UserID), accounts.Disable(t.Context(), a.bob.UserID),
			accounts.Enable(t.Context(), a.bob.UserID), accounts.SetRole(t.Context(), a.bob.UserID, "x"),
		} {
			require.ErrorIs(t, err, ginsession.ErrUserNotFound)
		}
		again := a.user("bob", "admin")
		require.NotEqual(t, a.bob.UserID, again.UserID)
		require.Equal(t, 401, c.Get("/me").StatusCode, "a namesake inherits nothing")
	})
}

func TestAccountsWithAStorageFault(t *testing.T) {
	type call func(ctx context.Context, accounts *ginsession.Accounts, id string) error
	for name, call := range map[string]call{
		"create": func(ctx context.Context, accounts *ginsession.Accounts, _ string) error {
			_, err := accounts.Create(ctx, ginsession.NewUser{Username: "new"})
			return err
		},
		"authenticate": func(ctx context.Context, accounts *ginsession.Accounts, _ string) error {
			_, err := accounts.Authenticate(ctx, "ada", password)
			return err
		},
		"identity": func(ctx context.Context, accounts *ginsession.Accounts, id string) error {
			_, err := accounts.Identity(ctx, id)
			return err
		},
		"find": func(ctx context.Context, accounts *ginsession.Accounts, _ string) error {
			_, err := accounts.Find(ctx, "ada")
			return err
		},
		"set password": func(ctx context.Context, accounts *ginsession.Accounts, id string) error {
			return accounts.SetPassword(ctx, id, "another password")
		},
		"change password": func(ctx context.Context, accounts *ginsession.Accounts, id string) error {
			return accounts.ChangePassword(ctx, id, password, "another password")
		},
		"role": func(ctx context.Context, accounts *ginsession.Accounts, id string) error {
			return accounts.SetRole(ctx, id, "x")
		},
		"disable": func(ctx context.Context, accounts *ginsession.Accounts, id string) error {
			return accounts.Disable(ctx, id)
		},
		"delete": func(ctx context.Context, accounts *ginsession.Accounts, id string) error {
			return accounts.Delete(ctx, id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachAwake(t, func(t *testing.T, a *app) {
				c := a.signIn("ada")
				for n := 1; ; n++ {
					a.wire.breakAt(n, false, fails)
					err := call(t.Context(), a.sessions.Accounts(), a.ada.UserID)
					reached := len(a.wire.statements()) >= n
					a.wire.reset()
					if !reached {
						require.NoError(t, err)
						require.Greater(t, n, 1)
						break
					}
					require.ErrorIs(t, err, ginsession.ErrStoreUnavailable, "at %d", n)
					require.ErrorIs(t, err, errWire)
					var fault *ginsession.Error
					require.ErrorAs(t, err, &fault)
					require.NotZero(t, fault.Time)
					_, err = a.sessions.Accounts().Authenticate(t.Context(), "ada", password)
					require.NoError(t, err, "at %d: nothing has changed", n)
					require.Equal(t, 200, c.Get("/admin").StatusCode, "at %d: nothing has changed", n)
				}
			})
		})
	}
}

// A password that was changed while another change was checking the old one.
func TestPasswordChangeRacingAnother(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		other, _ := a.otherProcess()
		for name, meanwhile := range map[string]func() error{
			"changed":  func() error { return other.Accounts().SetPassword(t.Context(), a.ada.UserID, "the victim's new one") },
			"disabled": func() error { return other.Accounts().Disable(t.Context(), a.ada.UserID) },
		} {
			require.NoError(t, a.heal())
			done := false
			a.wire.breakAt(2, false, func(context.Context) error { // the row has been read
				if !done {
					done = true
					require.NoError(t, meanwhile())
				}
				return nil
			})
			err := a.sessions.Accounts().ChangePassword(t.Context(), a.ada.UserID, password, "the thief's new one")
			require.True(t, done)
			a.wire.reset()
			require.ErrorIs(t, err, ginsession.ErrCredentialsInvalid, name)
			require.NotErrorIs(t, err, ginsession.ErrUserNotFound)
			_, err = a.sessions.Accounts().Authenticate(t.Context(), "ada", "the thief's new one")
			require.Error(t, err, name)
		}
	})
}

func TestIDsThatNoDatabaseHolds(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		accounts, ctx := a.sessions.Accounts(), t.Context()
		for _, id := range []string{"a\x00b", "\xff", "", strings.Repeat("x", 256), "'; DROP TABLE users; --"} {
			_, err := accounts.Identity(ctx, id)
			require.ErrorIs(t, err, ginsession.ErrUserNotFound, "%q", id)
			require.ErrorIs(t, accounts.SetRole(ctx, id, "admin"), ginsession.ErrUserNotFound, "%q", id)
			require.ErrorIs(t, accounts.Delete(ctx, id), ginsession.ErrUserNotFound, "%q", id)
			require.ErrorIs(t, accounts.ChangePassword(ctx, id, password, "another password"), ginsession.ErrCredentialsInvalid, "%q", id)
		}
		here, there := a.signIn("ada"), a.signIn("ada")
		keep := string(sessionOf(t, here.Cookie(cookieName)))
		require.NoError(t, accounts.ChangePassword(ctx, a.ada.UserID, password, "another password", "\x00", "\xff", keep))
		require.Equal(t, 200, here.Get("/me").StatusCode)
		require.Equal(t, 401, there.Get("/me").StatusCode)
	})
}

func TestWhatHasEndedIsNotEndedAgain(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		c := a.signIn("ada")
		c.Do("POST", "/logout", "", nil)
		before := a.row()
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.ada.UserID))
		require.Equal(t, before, a.row())
	})
}
