// The program: flags, wiring, server, shutdown.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if os.Getenv(gin.EnvGinMode) == "" {
		// Gin's list of routes would hide the address. GIN_MODE=debug brings it back.
		gin.DebugPrintFunc = func(string, ...any) {}
	}
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. JWT_SECRET is read from the environment, because
// that is where ginsession looks for it.
func run(ctx context.Context, args []string, out io.Writer) error {
	set, err := parseFlags(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	release := gin.Mode() == gin.ReleaseMode

	at, err := locate(set.database)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	db, closeDB, err := open(at)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer closeDB()

	config := ginsession.Config{
		MaxAge:           set.maxAge,
		RefreshThreshold: set.refresh,
		IdleTimeout:      set.idle,
		AbsoluteTimeout:  set.absolute,
		MaxSessions:      set.maxSessions,
		SyncEvery:        set.sync,
	}
	var demo demonstration
	if !release {
		if err := demo.prepare(&config, at); err != nil {
			return err
		}
	}
	s, err := newSite(db, config, set, ctx.Done())
	if err != nil {
		return err
	}
	if err := errors.Join(models.Migrate(db), migrateNotes(db)); err != nil {
		return err
	}
	if !release || set.password != "" {
		if err := demo.seed(ctx, s.sessions.Accounts(), set.password); err != nil {
			return err
		}
	}

	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", set.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "gin-session example: http://%s\n\n  data      %s\n", address(listener), at.name)
	if release {
		text.WriteString("  cookies   for https only: a proxy that speaks TLS belongs in front\n")
	}
	demo.announce(&text, release)
	text.WriteByte('\n')
	if _, err := io.WriteString(out, text.String()); err != nil {
		return errors.Join(err, listener.Close())
	}

	// Run ends after the last request, so that it can write what that has left.
	upkeep, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var handler http.Handler
	if release {
		handler = routes(s)
	} else {
		l, err := newLab(upkeep, s, config, set)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer l.running.Wait()
		handler = l
	}
	ended := make(chan error, 1)
	go func() { ended <- s.sessions.Run(upkeep) }()
	err = serve(ctx, listener, handler)
	stop()
	return errors.Join(err, <-ended)
}

// serve answers until ctx ends, and then lets the requests under way finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}

// address is what to type into a browser.
func address(listener net.Listener) string {
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return listener.Addr().String()
}

// settings are the flags.
type settings struct {
	addr, database, password string
	maxAge, refresh, idle    time.Duration
	absolute, fresh, sync    time.Duration
	maxSessions              int
}

// warn is how long before its end a session says so: five minutes, or less if it is
// short.
func (s settings) warn() time.Duration {
	shortest := s.maxAge
	if s.idle > 0 {
		shortest = min(shortest, s.idle)
	}
	return min(5*time.Minute, shortest/4)
}

func parseFlags(args []string, out io.Writer) (settings, error) {
	var set settings
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error
	flags.StringVar(&set.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	flags.StringVar(&set.database, "db", "example.db", "SQLite `file`, or a postgres:// or mysql:// URL")
	flags.DurationVar(&set.maxAge, "max-age", ginsession.DefaultMaxAge, "how long an unused session lives")
	flags.DurationVar(&set.refresh, "refresh", 0, "how long before its end a session in use is refreshed\n"+
		"(default 30m, or half of -max-age where that is less)")
	flags.DurationVar(&set.idle, "idle", 0, "how long a session may be idle, 2m at least (default: -max-age alone rules)")
	flags.DurationVar(&set.absolute, "absolute", ginsession.DefaultAbsoluteTimeout, "how long a session lives at all")
	flags.DurationVar(&set.fresh, "fresh", 10*time.Minute, "how long after signing in the settings open without the password;\n"+
		"forms may be sent three times as long")
	flags.IntVar(&set.maxSessions, "max-sessions", ginsession.DefaultMaxSessions, "how many sessions a user may have")
	flags.DurationVar(&set.sync, "sync", ginsession.DefaultSyncEvery, "how often to ask what other processes have changed")
	flags.StringVar(&set.password, "password", "", "`password` of the demo accounts admin, editor and viewer\n"+
		"(default \""+demoPassword+"\"; with GIN_MODE=release there are no accounts without it)")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(flags.Output(), "Usage of example:")
		flags.PrintDefaults()
		_, _ = fmt.Fprintln(flags.Output(), "\nTo see a refresh and an expiry within a minute: -max-age 60s -refresh 40s")
	}
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out)
		flags.Usage()
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil && set.fresh <= 0 {
		err = errors.New("-fresh: must be positive")
	}
	return set, err
}
