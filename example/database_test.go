// What -db may say.

package main

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocate(t *testing.T) {
	folder, err := os.Getwd()
	require.NoError(t, err)
	for _, test := range []struct{ name, text, want, file string }{
		{"path", "x.db", filepath.Join(folder, "x.db"), filepath.Join(folder, "x.db")},
		{"in-memory is a file like others", ":memory:", filepath.Join(folder, ":memory:"), filepath.Join(folder, ":memory:")},
		{"postgres", "postgres://u:hidden@db.example:5432/app?sslmode=disable&password=hidden", "PostgreSQL at db.example:5432/app", ""},
		{"postgresql", "postgresql:///app", "PostgreSQL at /app", ""},
		{"mysql", "mysql://u:hidden@db.example/app?tls=true", "MySQL at db.example:3306/app", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			at, err := locate(test.text)
			require.NoError(t, err)
			require.Equal(t, test.want, at.name)
			require.Equal(t, test.file, at.file)
		})
	}
}

func TestLocateRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "must not be empty"},
		{"scheme", "sqlite://u:hidden@x", "must be a path, or a URL that begins with postgres:// or mysql://"},
		{"password not escaped", "mysql://u:hid/den@x/app", "is not a valid URL; write special characters of the password as %XX"},
		{"no name", "mysql://u:hidden@x/", "must name a database: mysql://user:password@host:port/name"},
		{"setting", "mysql://u:hidden@x/app?timeout=soon", `time: invalid duration "soon"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := locate(test.text)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestMySQLConfig(t *testing.T) {
	for _, test := range []struct{ name, text, user, password, addr, database string }{
		{"all", "mysql://ada:secret@db.example:3307/app", "ada", "secret", "db.example:3307", "app"},
		{"no password", "mysql://root@127.0.0.1/test", "root", "", "127.0.0.1:3306", "test"},
		{"no user", "mysql://db.example/test", "", "", "db.example:3306", "test"},
		{"no host", "mysql:///test", "", "", "127.0.0.1:3306", "test"},
		{"IPv6", "mysql://root@[::1]:3306/test", "root", "", "[::1]:3306", "test"},
		{"special characters", "mysql://a%3Ab%40c:p%2Fw%3F%40%3A%23@h/d%2Fb", "a:b@c", "p/w?@:#", "h:3306", "d/b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, err := url.Parse(test.text)
			require.NoError(t, err)
			config, err := mysqlConfig(u)
			require.NoError(t, err)
			got := [5]string{config.Net, config.User, config.Passwd, config.Addr, config.DBName}
			want := [5]string{"tcp", test.user, test.password, test.addr, test.database}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestMySQLSettings(t *testing.T) {
	u, err := url.Parse("mysql://u@h/app?parseTime=true&loc=Europe/Berlin&readTimeout=3s&tls=true&time_zone='%2B00:00'")
	require.NoError(t, err)
	config, err := mysqlConfig(u)
	require.NoError(t, err)
	require.True(t, config.ParseTime)
	require.Equal(t, "Europe/Berlin", config.Loc.String())
	require.Equal(t, "3s", config.ReadTimeout.String())
	require.Equal(t, "h", config.TLS.ServerName, "the certificate must be that of the host")
	require.Equal(t, map[string]string{"time_zone": "'+00:00'"}, config.Params)
}

// The name of a file may hold what means something in a URL.
func TestSQLiteFileNames(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "a%20b.db", "what?_journal_mode=OFF.db", "#1.db", "Ünï.db"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name)
			at, err := locate(file)
			require.NoError(t, err)
			db, closeDB, err := open(at)
			require.NoError(t, err)
			t.Cleanup(closeDB)
			require.NoError(t, db.AutoMigrate(&note{}))
			require.FileExists(t, file)

			var mode string
			var wait int
			require.NoError(t, db.Raw("PRAGMA journal_mode").Scan(&mode).Error)
			require.NoError(t, db.Raw("PRAGMA busy_timeout").Scan(&wait).Error)
			if mode != "wal" || wait != 5000 {
				t.Errorf("journal mode %q, busy timeout %d", mode, wait)
			}
		})
	}
}
