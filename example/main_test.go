// Starting and stopping, and what the flags and the environment change.

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const someSecret = "a secret of the environment: 40 bytes..."

func TestDevelopmentStart(t *testing.T) {
	file := temporary(t)
	p := start(t, "-db", file)
	want := "gin-session example: " + p.url + `

  data      ` + file + `
  secret    ` + file + `.secret (made for development; JWT_SECRET replaces it)
  accounts  admin, editor, viewer
  password  open sesame, please

`
	if p.output != want {
		t.Errorf("printed %q, want %q", p.output, want)
	}
	for _, name := range []string{"admin", "editor", "viewer"} {
		in := newCaller(t, p, script).login(name, demoPassword)
		require.Equal(t, 200, in.status, in.body)
		require.Contains(t, in.body, `"role":"`+name+`"`)
		cookie := in.header.Get("Set-Cookie")
		require.True(t, strings.HasPrefix(cookie, "session="), cookie)
		require.True(t, strings.HasSuffix(cookie, "; Path=/; HttpOnly; SameSite=Lax"), cookie)
	}
}

func TestRestartSignsNobodyOut(t *testing.T) {
	file := temporary(t)
	first := start(t, "-db", file)
	editor := newCaller(t, first, script)
	require.Equal(t, 200, editor.login("editor", demoPassword).status)
	first.stop()

	second := start(t, "-db", file)
	require.Contains(t, second.output, "password  open sesame, please")
	editor.url = second.url
	require.Equal(t, 200, editor.get("/api/editor").status)
	require.Equal(t, 200, newCaller(t, second, script).login("editor", demoPassword).status)
}

func TestPasswordReplaces(t *testing.T) {
	file := temporary(t)
	first := start(t, "-db", file)
	admin := newCaller(t, first, script)
	require.Equal(t, 200, admin.login("admin", demoPassword).status)
	first.stop()

	second := start(t, "-db", file, "-password", "another one, please")
	require.Contains(t, second.output, "password  another one, please\n")
	admin.url = second.url
	require.Equal(t, 401, admin.get("/api/me").status, "a new password ends the sessions")
	require.Equal(t, "CREDENTIALS_INVALID", admin.login("admin", demoPassword).code(t))
	require.Equal(t, 200, admin.login("admin", "another one, please").status)
}

func TestShortSession(t *testing.T) {
	p := start(t, "-db", temporary(t), "-max-age", "60s", "-refresh", "40s")
	in := newCaller(t, p, script).login("viewer", demoPassword)
	var status struct{ RemainingTime, RefreshIn int }
	require.NoError(t, json.Unmarshal([]byte(in.body), &status))
	if status.RemainingTime < 58 || status.RemainingTime > 60 || status.RefreshIn < 18 || status.RefreshIn > 20 {
		t.Errorf("60 s, refreshed 40 s before the end, became %+v", status)
	}
}

func TestEnvironmentSecretWins(t *testing.T) {
	t.Setenv("JWT_SECRET", someSecret)
	file := temporary(t)
	p := start(t, "-db", file)
	require.Contains(t, p.output, "secret    JWT_SECRET, from the environment\n")
	require.NoFileExists(t, file+".secret")
	require.Equal(t, 200, newCaller(t, p, script).login("viewer", demoPassword).status)
}

func TestReleaseDemandsSecret(t *testing.T) {
	inReleaseMode(t)
	file := temporary(t)
	if got, want := fails(t, "-db", file), "JWT_SECRET is not set"; !strings.Contains(got, want) {
		t.Errorf("got %q, want something with %q", got, want)
	}
	require.NoFileExists(t, file+".secret")
}

func TestReleaseSeedsNothing(t *testing.T) {
	t.Setenv("JWT_SECRET", someSecret)
	inReleaseMode(t)
	p := start(t, "-db", temporary(t))
	for _, text := range []string{"secret", "accounts", "password", demoPassword} {
		require.NotContains(t, p.output, text)
	}
	require.Equal(t, "CREDENTIALS_INVALID", newCaller(t, p, script).login("admin", demoPassword).code(t))
}

func TestReleaseSeedsWhenTold(t *testing.T) {
	t.Setenv("JWT_SECRET", someSecret)
	inReleaseMode(t)
	p := start(t, "-db", temporary(t), "-password", "told to be this one")
	require.Contains(t, p.output, "accounts  admin, editor, viewer\n")
	require.NotContains(t, p.output, "told to be this one")

	in := newCaller(t, p, script).login("admin", "told to be this one")
	require.Equal(t, 200, in.status)
	cookie := in.header.Get("Set-Cookie")
	require.True(t, strings.HasPrefix(cookie, "__Host-session="), cookie)
	require.True(t, strings.HasSuffix(cookie, "; Path=/; HttpOnly; Secure; SameSite=Lax"), cookie)
}

func TestRefusesToStart(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-colour", "red"}, "-colour"},
		{"argument", []string{"serve"}, `unexpected argument "serve"`},
		{"address taken", []string{"-addr", taken.Addr().String()}, "-addr: "},
		{"empty database", []string{"-db", ""}, "-db: must not be empty"},
		{"unknown database", []string{"-db", "mongodb://127.0.0.1/x"}, "-db: must be a path, or a URL"},
		{"folder missing", []string{"-db", filepath.Join(t.TempDir(), "no", "such.db")}, "-db: "},
		{"short password", []string{"-password", "short"}, "account admin: ginsession: REQUEST_INVALID: password: must have 15"},
		{"negative age", []string{"-max-age", "-1s"}, "MaxAge: must be at least 1s"},
		{"never fresh", []string{"-fresh", "0s"}, "-fresh: must be positive"},
		{"idle too soon", []string{"-idle", "1s"}, "IdleTimeout: must be 0 or at least 2m"},
		{"refresh too early", []string{"-max-age", "60s", "-refresh", "60s"}, "RefreshThreshold: must be less than MaxAge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fails(t, append([]string{"-db", temporary(t)}, test.args...)...); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want something with %q", got, test.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-help"}, &out))
	for _, name := range []string{"-addr", "-db", "-max-age", "-refresh", "-idle", "-absolute", "-fresh", "-max-sessions", "-sync", "-password"} {
		require.Contains(t, out.String(), "  "+name+" ")
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, shutdown := context.WithCancel(t.Context())
	served := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		shutdown()
		w.WriteHeader(http.StatusTeapot)
	})
	go func() { served <- serve(ctx, listener, handler) }()
	a := newCaller(t, program{url: "http://" + listener.Addr().String()}, script).get("/")
	require.Equal(t, http.StatusTeapot, a.status)
	require.NoError(t, <-served)
}

func TestAddressToType(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.Equal(t, "localhost:"+port, address(listener))
}

func TestLogHoldsNoSecret(t *testing.T) {
	file := temporary(t)
	p := start(t, "-db", file)
	c := newCaller(t, p, visitor)
	cookie := c.login("admin", demoPassword).header.Get("Set-Cookie")
	token, _, _ := strings.Cut(strings.TrimPrefix(cookie, "session="), ";")
	require.Greater(t, len(token), 100)
	c.login("admin", "no such password")
	c.get("/dashboard")
	c.form("/auth/logout")
	p.stop()

	secret, err := os.ReadFile(file + ".secret")
	require.NoError(t, err)
	log := logged.String()
	require.Contains(t, log, "session_created", "the log must be the one that is looked at")
	for _, text := range []string{demoPassword, "no such password", token, strings.TrimSpace(string(secret)), "argon2id"} {
		require.NotContains(t, log, text)
	}
}

func TestRoutesAreShort(t *testing.T) {
	text, err := os.ReadFile("routes.go")
	require.NoError(t, err)
	if n := strings.Count(string(text), "\n"); n >= 80 {
		t.Errorf("routes.go has %d lines: too much to copy", n)
	}
}
