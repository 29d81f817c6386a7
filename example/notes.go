// Notes: something for signed-in users to change.

package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
)

// note is a row of notes.
type note struct {
	ID        int64        `gorm:"primaryKey;autoIncrement" json:"id"`
	UserID    models.Exact `gorm:"size:255;not null;index" json:"-"`
	Author    string       `gorm:"size:255;not null" json:"author"`
	Text      string       `gorm:"size:500;not null" json:"text"`
	WrittenAt models.Time  `gorm:"not null" json:"writtenAt"`
}

// migrateNotes makes or completes the table.
func migrateNotes(db *gorm.DB) error {
	if db.Name() == "mysql" { // whose default may have no room for all characters
		db = db.Set("gorm:table_options", "DEFAULT CHARSET=utf8mb4")
	}
	return db.AutoMigrate(&note{})
}

const (
	maxNote  = 500 // characters; see note.Text
	noteRule = "must have 1 to 500 characters, and none that do not print"
)

// everybody stands for the notes of all users.
const everybody = ""

// readNote reads the field "text" of a JSON object or a form. With
// ErrRequestInvalid it also returns what it could read.
func readNote(c *gin.Context) (string, error) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 8<<10)
	var in struct {
		Text string `json:"text"`
	}
	var err error
	switch c.ContentType() {
	case gin.MIMEJSON:
		err = c.ShouldBindJSON(&in)
	case gin.MIMEPOSTForm:
		err = c.Request.ParseForm()
		in.Text = c.Request.PostForm.Get("text")
	default:
		return "", ginsession.ErrMediaType
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return "", ginsession.ErrRequestTooLarge
	}
	if err != nil {
		return "", invalid(`body: must be like {"text":"..."}`)
	}
	text := strings.TrimSpace(strings.ReplaceAll(in.Text, "\r\n", "\n"))
	if n := utf8.RuneCountInString(text); n < 1 || n > maxNote || strings.ContainsFunc(text, unprintable) {
		return text, invalid("text: " + noteRule)
	}
	return text, nil
}

// unprintable finds what PostgreSQL would not store, and more: bytes that are
// not UTF-8 and control characters other than the end of a line.
func unprintable(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) && r != '\n' && r != '\t'
}

func invalid(text string) error {
	return &ginsession.Error{Code: ginsession.ErrRequestInvalid, Err: errors.New(text)}
}

func (s *site) addNote(ctx context.Context, text string) (note, error) {
	session, _ := ginsession.FromContext(ctx)
	n := note{
		UserID:    models.Exact(session.User.UserID),
		Author:    session.User.Username,
		Text:      text,
		WrittenAt: models.At(time.Now()),
	}
	err := s.db.WithContext(ctx).Create(&n).Error
	return n, unavailable(err)
}

// notesOf returns the last notes of a user, the newest first.
func (s *site) notesOf(ctx context.Context, userID string) ([]note, error) {
	query := s.db.WithContext(ctx).Order("id DESC").Limit(20)
	if userID != everybody {
		query = query.Where("user_id = ?", models.Exact(userID))
	}
	notes := []note{}
	err := query.Find(&notes).Error
	return notes, unavailable(err)
}

func (s *site) notesPage(c *gin.Context) { s.notes(c, http.StatusOK, "", "") }

// notes shows the user's notes, with what is wrong about one that was just sent.
func (s *site) notes(c *gin.Context, status int, message, draft string) {
	session, _ := ginsession.From(c)
	notes, err := s.notesOf(c.Request.Context(), session.User.UserID)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	s.show(c, status, "notes.html", view{Title: "Your notes", Notes: notes, Message: message, Draft: draft})
}

// noteForm takes a note from the page.
func (s *site) noteForm(c *gin.Context) {
	text, err := readNote(c)
	if errors.Is(err, ginsession.ErrRequestInvalid) {
		s.notes(c, http.StatusBadRequest, "The note "+noteRule+".", text)
		return
	}
	if err == nil {
		_, err = s.addNote(c.Request.Context(), text)
	}
	done(c, err, "/notes")
}
