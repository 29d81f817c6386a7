// Do not copy this file: it makes a secret by itself, and accounts whose
// password is known to everybody. Both are for trying the example out.

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ginsession/gin-session/ginsession"
)

const demoPassword = "open sesame, please"

// demonstration is what the example does for a newcomer, and tells him of.
type demonstration struct {
	secret   string // where it is; empty if nothing was prepared
	password string // of the accounts; empty if none were seeded
}

// prepare makes cookies work over plain http, and signs them with a secret that
// is kept beside the database, so that a restart signs nobody out.
func (d *demonstration) prepare(config *ginsession.Config, at database) error {
	config.Insecure = true
	if os.Getenv("JWT_SECRET") != "" {
		d.secret = "JWT_SECRET, from the environment"
		return nil
	}
	file := at.file + ".secret"
	if at.file == "" {
		file = "example.secret"
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	key, err := developmentKey(file)
	if err != nil {
		return fmt.Errorf("development secret: %w", err)
	}
	config.Keys = []ginsession.Key{key}
	d.secret = file + " (made for development; JWT_SECRET replaces it)"
	return nil
}

// developmentKey reads the secret from a file, or makes the file, which only
// its owner may read. Of several processes that start at once one makes it.
func developmentKey(file string) (ginsession.Key, error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		text, err := os.ReadFile(file)
		key := ginsession.Key(strings.TrimSpace(string(text)))
		if err == nil && len(key) < 32 {
			err = fmt.Errorf("%s is not complete: remove it and start again", file)
		}
		return key, err
	}
	if err != nil {
		return "", err
	}
	secret := rand.Text() + rand.Text() // 260 bits
	_, err = f.WriteString(secret + "\n")
	return ginsession.Key(secret), errors.Join(err, f.Close())
}

// seed makes the accounts admin, editor and viewer, each with the role of that
// name. On a later start it puts right what has been changed about them.
func (d *demonstration) seed(ctx context.Context, accounts *ginsession.Accounts, password string) error {
	d.password = password
	if password == "" {
		d.password = demoPassword
	}
	for _, name := range []string{"admin", "editor", "viewer"} {
		if err := d.seedAccount(ctx, accounts, name); err != nil {
			return fmt.Errorf("account %s: %w", name, err)
		}
	}
	return nil
}

func (d *demonstration) seedAccount(ctx context.Context, accounts *ginsession.Accounts, name string) error {
	user, err := accounts.Find(ctx, name)
	if errors.Is(err, ginsession.ErrUserNotFound) {
		_, err = accounts.Create(ctx, ginsession.NewUser{
			Username: name,
			Email:    name + "@example.com",
			Role:     name,
			Password: d.password,
		})
		if !errors.Is(err, ginsession.ErrUserExists) {
			return err
		}
		user, err = accounts.Find(ctx, name) // another process was quicker
	}
	if err == nil {
		_, err = accounts.Authenticate(ctx, name, d.password)
	}
	if errors.Is(err, ginsession.ErrCredentialsInvalid) {
		// He has another password, or is disabled. A new password ends his sessions, so
		// he gets one only in this case.
		err = errors.Join(accounts.SetPassword(ctx, user.UserID, d.password), accounts.Enable(ctx, user.UserID))
	}
	if err == nil && user.Role != name {
		err = accounts.SetRole(ctx, user.UserID, name)
	}
	return err
}

// announce says what was done. In release mode the password came from the
// operator, who needs no reminder in a log.
func (d *demonstration) announce(text *strings.Builder, release bool) {
	if d.secret != "" {
		fmt.Fprintf(text, "  secret    %s\n", d.secret)
	}
	if d.password != "" {
		text.WriteString("  accounts  admin, editor, viewer\n")
	}
	if d.password != "" && !release {
		fmt.Fprintf(text, "  password  %s\n", d.password)
	}
}
