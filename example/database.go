// The database: SQLite, PostgreSQL or MySQL, by what -db says.

package main

import (
	"database/sql"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ginsession/gin-session/ginsession"
)

// database is where the data are.
type database struct {
	name string // to print: it holds no password
	file string // of SQLite; empty for a server
	dial gorm.Dialector
}

// locate reads a path or a URL. Its errors do not repeat what they found: it
// may hold a password.
func locate(text string) (database, error) {
	scheme, _, isURL := strings.Cut(text, "://")
	if !isURL {
		if text == "" {
			return database{}, errors.New("must not be empty")
		}
		file, err := filepath.Abs(text)
		if err != nil {
			return database{}, err
		}
		path := (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath() // a '?' would begin the settings
		return database{name: file, file: file, dial: sqliteFile(path)}, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return database{}, errors.New("is not a valid URL; write special characters of the password as %XX")
	}
	switch scheme {
	case "postgres", "postgresql":
		return database{name: "PostgreSQL at " + u.Host + u.Path, dial: postgres.Open(text)}, nil
	case "mysql":
		config, err := mysqlConfig(u)
		if err != nil {
			return database{}, err
		}
		connector, err := mysqldriver.NewConnector(config)
		if err != nil {
			return database{}, err
		}
		dial := mysql.New(mysql.Config{Conn: sql.OpenDB(connector), DSNConfig: config})
		return database{name: "MySQL at " + config.Addr + u.Path, dial: dial}, nil
	default:
		return database{}, errors.New("must be a path, or a URL that begins with postgres:// or mysql://")
	}
}

// mysqlConfig makes of mysql://user:password@host:port/name?settings what the
// driver takes instead of a URL. The settings are the driver's own.
func mysqlConfig(u *url.URL) (*mysqldriver.Config, error) {
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "3306"
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" {
		return nil, errors.New("must name a database: mysql://user:password@host:port/name")
	}
	// Only the settings pass through the driver's notation, in which names and
	// passwords with ':', '@' or '/' would mean something else.
	config, err := mysqldriver.ParseDSN("tcp(" + net.JoinHostPort(host, port) + ")/?" + u.Query().Encode())
	if err != nil {
		return nil, err
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = name
	return config, nil
}

// open connects. GORM's log is off, because it would print the values of
// statements that fail; errors are returned, and logged where they are handled.
func open(at database) (db *gorm.DB, closeDB func(), err error) {
	db, err = gorm.Open(at.dial, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	pool.SetConnMaxIdleTime(3 * time.Minute) // servers and proxies drop what is idle for long
	return db, func() { _ = pool.Close() }, nil
}

// unavailable makes a fault of the database what a client is told of it: 503.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &ginsession.Error{Code: ginsession.ErrStoreUnavailable, RetryAfter: 5 * time.Second, Err: err}
}
