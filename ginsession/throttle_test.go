// Not too often: the waits, the hard stop, the limit of a source, and that nothing
// gets round them.

package ginsession_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

const wrong = "wrong wrong wrong"

// from signs in from an address.
func (a *app) from(peer, username, password string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	a.t.Helper()
	body := fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)
	r := httptest.NewRequest("POST", "https://app.example.com/login", strings.NewReader(body))
	r.RemoteAddr = "[" + peer + "]:1234"
	r.Header.Set("Content-Type", "application/json")
	for _, f := range change {
		f(r)
	}
	answer := httptest.NewRecorder()
	a.engine.ServeHTTP(answer, r)
	return answer
}

// waits returns what Retry-After says.
func waits(t testing.TB, answer *httptest.ResponseRecorder) time.Duration {
	t.Helper()
	require.Equal(t, 429, answer.Code, answer.Body.String())
	seconds, err := strconv.Atoi(answer.Header().Get("Retry-After"))
	require.NoError(t, err)
	return time.Duration(seconds) * time.Second
}

// C51, A122: five failures are free; then each is followed by a wait, which holds
// for the right password too, is as long as Retry-After says, and ends with a
// success.
func TestFailuresAreFollowedByWaits(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for range 5 {
			require.Equal(t, 401, a.from("192.0.2.1", "ada", wrong).Code)
		}
		for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
			require.Equal(t, want, waits(t, a.from("192.0.2.1", "ada", password)))
			require.Equal(t, want, waits(t, a.from("192.0.2.1", "ＡＤＡ", password)), "however it is written")
			require.Equal(t, want, waits(t, a.from("192.0.2.1", "ada", wrong)), "it did not count")
			time.Sleep(want - time.Millisecond)
			require.Equal(t, time.Second, waits(t, a.from("192.0.2.1", "ada", password)))
			time.Sleep(time.Millisecond)
			require.Equal(t, 401, a.from("192.0.2.1", "ada", wrong).Code)
		}
		require.Equal(t, 200, a.from("192.0.2.1", "bob", password).Code, "another account")
		require.Equal(t, 200, a.from("192.0.2.2", "ada", password).Code, "another source")
		require.Equal(t, time.Hour, waits(t, a.from("192.0.2.1", "ada", password)), "which does not help this one")
		time.Sleep(time.Hour)
		require.Equal(t, 200, a.from("192.0.2.1", "ada", password).Code)
		for range 5 {
			require.Equal(t, 401, a.from("192.0.2.1", "ada", wrong).Code, "begun anew")
		}
		require.Equal(t, 30*time.Second, waits(t, a.from("192.0.2.1", "ada", password)))
	})
}

// A103, A117, C56: a name that nobody has answers as an account does, failure for
// failure, to the byte, with the same statements.
func TestUnknownNamesAreCountedAlike(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		require.NoError(t, a.sessions.Accounts().Disable(t.Context(), a.bob.UserID))
		seen := map[string][]string{}
		for _, name := range []string{"ada", "bob", "nobody", "\x01"} {
			for range 8 {
				a.wire.reset()
				answer := a.from("192.0.2."+strconv.Itoa(len(seen)+1), name, wrong)
				seen[name] = append(seen[name], fmt.Sprint(answer.Code, answer.Header(), answer.Body.String(), a.wire.statements()))
			}
		}
		require.Equal(t, seen["ada"], seen["bob"])
		require.Equal(t, seen["ada"], seen["nobody"])
	})
}

// A form is told how long to wait where its page can read it.
func TestAFormThatComesTooOftenIsToldHowLongToWait(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.client()
		form := url.Values{"username": {"ada"}, "password": {wrong}, "next": {"/me"}}
		for range 5 {
			require.Equal(t, "/sign-in?error=CREDENTIALS_INVALID&next=%2Fme", c.PostForm("/login", form).Header.Get("Location"))
		}
		require.Equal(t, "/sign-in?error=RATE_LIMITED&next=%2Fme&retryAfter=30", c.PostForm("/login", form).Header.Get("Location"))
	}, func(c *ginsession.Config) { c.LoginURL = "/sign-in" })
}

// C56: nobody learns from the waits which e-mail belongs to a username.
func TestWaitsDoNotTellWhichNamesAreOneUsers(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for _, other := range []string{"bob@example.com", "bob@other.example", "nobody"} {
			for range 5 {
				require.Equal(t, 401, a.from("192.0.2.1", "bob", wrong).Code)
			}
			require.Equal(t, 401, a.from("192.0.2.1", other, wrong).Code, other)
			a.forgive()
		}
	})
}

// C135, A117: of strangers the 81st failure in a row is not looked at, from however
// many sources; a new password or Unlock begins anew, and nothing else does.
func TestFailuresOfStrangersStopAnAccount(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		fail := func(n int) {
			for i := range n {
				peer := fmt.Sprintf("2001:db8:%x:%x::1", n, i)
				require.Equal(t, 401, a.from(peer, []string{"ada", "ada@example.com"}[i%2], wrong).Code)
			}
		}
		fail(79)
		require.Equal(t, 200, a.from("192.0.2.7", "ada", password).Code, "a success begins anew")
		fail(80)
		stopped := func() {
			t.Helper()
			require.Equal(t, time.Hour, waits(t, a.from("192.0.2.7", "ada", password)))
			require.Equal(t, time.Hour, waits(t, a.from("192.0.2.8", "ada@example.com", wrong)))
		}
		stopped()
		time.Sleep(400 * 24 * time.Hour)
		stopped()
		_, err := a.sessions.Accounts().Authenticate(t.Context(), "ada", password)
		require.ErrorIs(t, err, ginsession.ErrRateLimited)
		require.ErrorIs(t, a.sessions.Accounts().ChangePassword(t.Context(), a.ada.UserID, password, "another password 1"), ginsession.ErrRateLimited)
		require.Equal(t, 200, a.from("192.0.2.7", "bob", password).Code)
		require.NoError(t, a.sessions.Unlock(t.Context(), "Ada@Example.com"))
		require.Equal(t, 200, a.from("192.0.2.7", "ada", password).Code)
		require.Contains(t, strings.Join(a.events(), " "), "authn_login_lock")
	})
}

func TestANewPasswordUnlocks(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		for i := range 80 {
			a.from(fmt.Sprintf("2001:db8:0:%x::1", i), "ada", wrong)
		}
		waits(t, a.from("192.0.2.7", "ada", password))
		require.NoError(t, a.sessions.Accounts().SetPassword(t.Context(), a.ada.UserID, "another password 1"))
		require.Equal(t, 200, a.from("192.0.2.7", "ada", "another password 1").Code)
	})
}

// A118, A124: one password on many accounts; IPv6 by /64; a success is none of it.
func TestFailuresOfASource(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for i := range 30 {
			a.user(fmt.Sprint("user", i), "")
		}
		for i := range 30 {
			require.Equal(t, 401, a.from(fmt.Sprintf("2001:db8:0:1::%x", i), fmt.Sprint("user", i), wrong).Code)
			if i < 29 {
				require.Equal(t, 200, a.from("2001:db8:0:1::ffff", "ada", password).Code, "an office signs in")
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 10*time.Minute-30*time.Second, waits(t, a.from("2001:db8:0:1::1", "ada", password)))
		require.Equal(t, 200, a.from("2001:db8:0:2::1", "ada", password).Code, "the next network")
		time.Sleep(10*time.Minute - 30*time.Second)
		require.Equal(t, 200, a.from("2001:db8:0:1::1", "ada", password).Code)
	})
}

// A123: a forged header is no other source.
func TestForgedAddressesAreOneSource(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		forge := func(i int) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)) }
		}
		for i := range 5 {
			require.Equal(t, 401, a.from("192.0.2.1", "ada", wrong, forge(i)).Code)
		}
		waits(t, a.from("192.0.2.1", "ada", wrong, forge(6)))
	})
}

// A119: guesses at the same instant, by two processes, on the real clock.
func TestGuessesAtTheSameInstant(t *testing.T) {
	onEachAwake(t, func(t *testing.T, a *app) {
		_, elsewhere := a.otherProcess()
		b := *a
		b.engine = elsewhere
		var codes [600]atomic.Int64
		var group sync.WaitGroup
		for i := range 50 {
			node := []*app{a, &b}[i%2]
			group.Go(func() { codes[node.from("192.0.2.1", "ada", wrong).Code].Add(1) })
		}
		group.Wait()
		require.Zero(t, codes[200].Load()+codes[500].Load())
		for range 10 { // the database may have been too busy for some
			codes[a.from("192.0.2.1", "ada", wrong).Code].Add(1)
		}
		require.Equal(t, int64(60), codes[401].Load()+codes[429].Load()+codes[503].Load())
		require.LessOrEqual(t, codes[401].Load(), int64(5), "looked at")
		require.Equal(t, 429, a.from("192.0.2.1", "ada", password).Code)
	})
}

// A120: whoever hangs up has made his attempt.
func TestAttemptsOfClientsWhoHangUp(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			a.wire.onRead("login_attempts", cancel) // it has been counted
			a.from("192.0.2.1", "ada", wrong, func(r *http.Request) { *r = *r.WithContext(ctx) })
			cancel()
		}
		a.wire.reset()
		waits(t, a.from("192.0.2.1", "ada", password))
	})
}

// An attempt that nobody looked at is taken back.
func TestUnexaminedAttemptsDoNotCount(t *testing.T) {
	own := &users{}
	inBubble(t, func(t *testing.T, a *app) {
		for _, busy := range []error{ginsession.ErrRateLimited, ginsession.ErrStoreUnavailable, context.DeadlineExceeded} {
			own.authenticate = func() (ginsession.Identity, error) { return ginsession.Identity{}, busy }
			for range 40 {
				require.NotEqual(t, 401, a.from("192.0.2.1", "ada", password).Code)
			}
		}
		own.authenticate = func() (ginsession.Identity, error) { return ginsession.Identity{}, ginsession.ErrCredentialsInvalid }
		for range 5 {
			require.Equal(t, 401, a.from("192.0.2.1", "ada", wrong).Code)
		}
		waits(t, a.from("192.0.2.1", "ada", wrong))
	}, func(c *ginsession.Config) { c.Users = own })
}

// A125: what counts no more is removed; the failures on an account are not.
func TestForgottenAttemptsAreSwept(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		for i := range 5 {
			a.from(fmt.Sprintf("2001:db8:0:%x::1", i), fmt.Sprint("nobody", i), wrong)
		}
		a.from("192.0.2.1", "ada", wrong)
		time.Sleep(91 * 24 * time.Hour)
		a.run(a.sessions)
		time.Sleep(swept)
		var left []models.LoginAttempts
		require.NoError(t, a.db.Find(&left).Error)
		require.Len(t, left, 1)
		require.Zero(t, left[0].ExpiresAt)
	})
}

// A179: a clock that is set back makes nobody wait for long.
func TestWaitsAfterAJumpOfTheClock(t *testing.T) {
	onStage(t, func(s *stage) {
		for range 5 {
			s.login("ada", wrong)
		}
		require.Equal(t, 429, s.login("ada", password).StatusCode)
		s.pass(-2 * time.Hour)
		require.Equal(t, 200, s.login("ada", password).StatusCode)
	})
}
