// Story: an application with a users table of its own.

package ginsession_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/ginsession/ginsessiontest"
	"github.com/ginsession/gin-session/models"
)

// Customers is a users table of the application's own.
type Customers struct{ db *gorm.DB }

// Customer is a row of it.
type Customer struct {
	Number string `gorm:"primaryKey"`
	Name   string
	Code   string // not how to keep a password
	Locked bool
}

// Authenticate implements ginsession.Users.
func (u Customers) Authenticate(ctx context.Context, login, password string) (ginsession.Identity, error) {
	var row Customer
	err := u.db.WithContext(ctx).Where("name = ?", login).First(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) || err == nil && (row.Locked || row.Code != password) {
		return ginsession.Identity{}, ginsession.ErrCredentialsInvalid
	}
	return ginsession.Identity{UserID: row.Number, Username: row.Name, Role: "customer"}, err
}

// Identity implements ginsession.Users.
func (u Customers) Identity(ctx context.Context, userID string) (ginsession.Identity, error) {
	var row Customer
	err := u.db.WithContext(ctx).Where("number = ?", userID).First(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) || row.Locked {
		return ginsession.Identity{}, ginsession.ErrUserNotFound
	}
	return ginsession.Identity{UserID: row.Number, Username: row.Name, Role: "customer"}, err
}

// An application with users of its own.
func ExampleUsers() {
	db, done := exampleDB()
	defer done()
	must(models.MigrateSessions(db)) // no users table of ours
	must(db.AutoMigrate(&Customer{}))
	must(db.Create(&Customer{Number: "7", Name: "ada", Code: "open sesame"}).Error)

	sessions, err := ginsession.New(db, ginsession.Config{
		Keys:  []ginsession.Key{"an example key, which nobody must use"},
		Users: Customers{db},
	})
	must(err)
	r := gin.New()
	r.Use(sessions.Load)
	sessions.Routes(r)
	r.GET("/me", ginsession.Require, func(c *gin.Context) {
		s, _ := ginsession.From(c)
		c.String(http.StatusOK, "customer %s, %s", s.User.UserID, s.User.Username)
	})

	browser := ginsessiontest.NewClient(r)
	browser.PostJSON("/login", gin.H{"username": "ada", "password": "open sesame"})
	fmt.Println(browser.Get("/me").Text)

	must(db.Model(&Customer{}).Where("number = ?", "7").Update("locked", true).Error)
	must(sessions.UserChanged(context.Background(), "7")) // or it would show within Config.CacheFor only
	fmt.Println(browser.Get("/me").StatusCode)
	// Output:
	// customer 7, ada
	// 401
}
