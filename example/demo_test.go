// The development secret, and the accounts that are put right at every start.

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

func TestDevelopmentKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "example.db.secret")
	first, err := developmentKey(file)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(first), 32)
	again, err := developmentKey(file)
	require.NoError(t, err)
	require.Equal(t, first, again, "a restart must find the same secret")

	info, err := os.Stat(file)
	require.NoError(t, err)
	if got := info.Mode().Perm(); got != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("others may read the secret: %v", got)
	}
	other, err := developmentKey(filepath.Join(t.TempDir(), "example.db.secret"))
	require.NoError(t, err)
	require.NotEqual(t, first, other, "two databases must not share a secret")
}

func TestDevelopmentKeyIncomplete(t *testing.T) {
	file := filepath.Join(t.TempDir(), "example.db.secret")
	require.NoError(t, os.WriteFile(file, []byte("too short\n"), 0o600))
	_, err := developmentKey(file)
	require.ErrorContains(t, err, "remove it and start again")
}

func TestSeedPutsAccountsRight(t *testing.T) {
	at, err := locate(temporary(t))
	require.NoError(t, err)
	db, closeDB, err := open(at)
	require.NoError(t, err)
	t.Cleanup(closeDB)
	require.NoError(t, models.Migrate(db))
	sessions, err := ginsession.New(db, ginsession.Config{Keys: []ginsession.Key{someSecret}})
	require.NoError(t, err)
	accounts := sessions.Accounts()
	ctx := t.Context()

	var demo demonstration
	require.NoError(t, demo.seed(ctx, accounts, ""))
	admin, err := accounts.Find(ctx, "admin")
	require.NoError(t, err)
	require.NoError(t, accounts.SetRole(ctx, admin.UserID, "viewer"))
	viewer, err := accounts.Find(ctx, "viewer")
	require.NoError(t, err)
	require.NoError(t, accounts.Disable(ctx, viewer.UserID))

	require.NoError(t, demo.seed(ctx, accounts, ""))
	for _, before := range []ginsession.Identity{admin, viewer} {
		user, err := accounts.Authenticate(ctx, before.Username, demoPassword)
		require.NoError(t, err)
		require.Equal(t, [2]string{before.UserID, before.Username}, [2]string{user.UserID, user.Role})
	}
}
