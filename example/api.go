// The JSON routes under /api.

package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

func me(c *gin.Context) {
	session, _ := ginsession.From(c)
	c.JSON(http.StatusOK, gin.H{"user": session.User, "session": session})
}

// activity is something that a user does. A page cannot see cookies, so the answer
// says whether it has a new one.
func activity(c *gin.Context) {
	session, _ := ginsession.From(c)
	c.JSON(http.StatusOK, gin.H{"renewed": c.Writer.Header().Get("Set-Cookie") != "", "expiresAt": session.ExpiresAt})
}

// sensitive stands for what is done only by somebody who has just proved who he is.
func sensitive(c *gin.Context) {
	session, _ := ginsession.From(c)
	c.JSON(http.StatusOK, gin.H{"done": true, "authenticatedAt": session.AuthenticatedAt})
}

func (s *site) postNote(c *gin.Context) {
	text, err := readNote(c)
	var n note
	if err == nil {
		n, err = s.addNote(c.Request.Context(), text)
	}
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.JSON(http.StatusCreated, gin.H{"note": n})
}

func (s *site) allNotes(c *gin.Context) {
	notes, err := s.notesOf(c.Request.Context(), everybody)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"notes": notes})
}

func (s *site) allAccounts(c *gin.Context) {
	accounts, err := s.accounts(c.Request.Context())
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"accounts": accounts})
}
