// Devices: who is known where, and what that is good for.

package ginsession_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

const deviceCookie = cookieName + "-device"

// on gives a request of from the cookie of a device.
func on(device string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Cookie", deviceCookie+"="+device) }
}

// newDevices returns how many sign-ins of a user were on a device that was new.
func (a *app) newDevices(user ginsession.Identity) (n int64) {
	a.t.Helper()
	require.NoError(a.t, a.db.Model(&models.Event{}).
		Where("name = ? AND user_id = ?", "authn_login_newdevice", models.Exact(user.UserID)).Count(&n).Error)
	return n
}

// failures lets n strangers guess at ada's password.
func (a *app) failures(n int) {
	a.t.Helper()
	for i := range n {
		require.Equal(a.t, 401, a.from(fmt.Sprintf("2001:db8:%x:1::1", i), "ada", wrong).Code, "stranger %d", i)
	}
}

// A121: whoever has signed in on a device is not shut out there by strangers.
func TestAKnownDeviceIsNotShutOutByStrangers(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		home, bobs := a.signIn("ada").Cookie(deviceCookie), a.signIn("bob").Cookie(deviceCookie)
		a.failures(80)
		waits(t, a.from("192.0.2.7", "ada", password))
		waits(t, a.from("192.0.2.7", "ada", password, on(bobs)))
		require.Equal(t, 200, a.from("192.0.2.7", "ada", password, on(home)).Code)
		require.Equal(t, 401, a.from("192.0.2.7", "ada", wrong).Code, "her success lets strangers begin anew")
	})
}

// C135: strangers and the user's own devices have a hundred guesses together. The
// failures of a device are followed by waits, whatever its address is.
func TestAHundredFailuresStopAnAccount(t *testing.T) {
	onEach(t, func(t *testing.T, a *app) {
		home, work := a.signIn("ada").Cookie(deviceCookie), a.signIn("ada").Cookie(deviceCookie)
		a.failures(80)
		for i := range 20 {
			device := []string{home, work}[i%2]
			if i >= 10 {
				time.Sleep(time.Hour)
			}
			require.Equal(t, 401, a.from(fmt.Sprintf("192.0.2.%d", i), "ada", wrong, on(device)).Code, i)
			if i == 8 {
				require.Equal(t, 30*time.Second, waits(t, a.from("192.0.2.99", "ada", password, on(home))))
			}
		}
		time.Sleep(400 * 24 * time.Hour)
		require.Equal(t, time.Hour, waits(t, a.from("192.0.2.7", "ada", password, on(home))))
		require.NoError(t, a.sessions.Accounts().SetPassword(t.Context(), a.ada.UserID, "another password 1"))
		require.Equal(t, 200, a.from("192.0.2.7", "ada", "another password 1", on(home)).Code)
	})
}

// What is not exactly what a sign-in of this account has set makes nobody known.
func TestForgedDevicesAreUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		home, bobs := a.signIn("ada").Cookie(deviceCookie), a.signIn("bob").Cookie(deviceCookie)
		a.failures(80)
		name, mark, _ := strings.Cut(home, ".")
		bobsName, bobsMark, _ := strings.Cut(bobs, ".")
		for _, forged := range []string{
			"", ".", name, mark, name + ".", name + "." + bobsMark, bobsName + "." + mark, mark + "." + name,
			home + ".", home + "=", "." + home, home + "." + mark[:21], strings.ToLower(home), home + strings.Repeat("."+mark, 9),
			name + "." + mark[:21] + "!", home + "; " + deviceCookie + "=" + home, strings.Repeat(".", 4000),
		} {
			waits(t, a.from("192.0.2.7", "ada", password, on(forged)))
		}
		require.Equal(t, 200, a.from("192.0.2.7", "ada", password, on(home)).Code)
	})
}

// C55: the first sign-in of each user on a device is an event.
func TestSignInOnANewDeviceIsAnEvent(t *testing.T) {
	var told []models.Event
	onEach(t, func(t *testing.T, a *app) {
		told = nil
		home, away := a.client(), a.client()
		signIn := func(c *ginsessiontest.Client, name string) {
			t.Helper()
			require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": name, "password": password}).StatusCode)
		}
		for range 3 {
			signIn(home, "ada")
			require.Equal(t, 200, home.Do("POST", "/logout", "", nil).StatusCode)
			signIn(home, "bob")
		}
		require.EqualValues(t, 1, a.newDevices(a.ada))
		require.EqualValues(t, 1, a.newDevices(a.bob))
		signIn(away, "ada")
		require.EqualValues(t, 2, a.newDevices(a.ada))
		require.Len(t, told, 3)
		require.Equal(t, "192.0.2.1", told[0].IPAddress)
		require.NotEmpty(t, told[0].SessionID)
	}, func(c *ginsession.Config) {
		c.OnEvent = func(_ context.Context, e models.Event) {
			if e.Name == "authn_login_newdevice" {
				told = append(told, e)
			}
		}
	})
}

// A device knows the latest nine of its users, also under a key that signs no more.
func TestADeviceOfManyUsers(t *testing.T) {
	inBubble(t, func(t *testing.T, a *app) {
		c := a.client()
		for i := range 10 {
			a.user(fmt.Sprint("user", i), "")
			require.Equal(t, 200, c.PostJSON("/login", gin.H{"username": fmt.Sprint("user", i), "password": password}).StatusCode)
		}
		require.Len(t, strings.Split(c.Cookie(deviceCookie), "."), 10)
		_, engine := a.node(a.db, func(cfg *ginsession.Config) { cfg.Keys = []ginsession.Key{key2, key1} })
		later := ginsessiontest.NewClient(engine)
		later.Jar = c.Jar
		for i, isNew := range map[int]bool{0: true, 5: false} {
			user, err := a.sessions.Accounts().Find(t.Context(), fmt.Sprint("user", i))
			require.NoError(t, err)
			require.Equal(t, 200, later.PostJSON("/login", gin.H{"username": user.Username, "password": password}).StatusCode)
			want := int64(1)
			if isNew {
				want = 2
			}
			require.Equal(t, want, a.newDevices(user), user.Username)
		}
	})
}

// A user of the application's own is known by the name that he signed in with. What
// else they call him may be another's.
func TestDevicesWithUsersOfTheApplication(t *testing.T) {
	own := &users{authenticate: func() (ginsession.Identity, error) {
		return ginsession.Identity{UserID: "7", Username: "Ada", Email: "ada@example.com"}, nil
	}}
	inBubble(t, func(t *testing.T, a *app) {
		first := a.from("192.0.2.1", "ada", password)
		require.Equal(t, 200, first.Code)
		var home string
		for _, cookie := range first.Result().Cookies() {
			if cookie.Name == deviceCookie {
				home = cookie.Value
			}
		}
		own.authenticate = func() (ginsession.Identity, error) { return ginsession.Identity{}, ginsession.ErrCredentialsInvalid }
		for login, known := range map[string]bool{"ADA": true, "ada@example.com": false} {
			for i := range 80 {
				require.Equal(t, 401, a.from(fmt.Sprintf("2001:db8:%x:1::1", i), login, wrong).Code)
			}
			waits(t, a.from("192.0.2.7", login, wrong))
			looked := a.from("192.0.2.7", login, wrong, on(home)).Code == 401
			require.Equal(t, known, looked, login)
		}
	}, func(c *ginsession.Config) { c.Users = own })
}
