// The devices of a user: where he is signed in.

package main

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ginsession/gin-session/ginsession"
)

// devicesPage lists the sessions. Its forms go to the ready handlers Revoke and
// RevokeOthers, which come back here.
func (s *site) devicesPage(c *gin.Context) {
	own, _ := ginsession.From(c)
	list, err := s.sessions.Sessions(c.Request.Context(), own.User.UserID)
	if err != nil {
		ginsession.Refuse(c, err)
		return
	}
	s.show(c, http.StatusOK, "devices.html", view{Title: "Your devices", Sessions: list})
}

// deviceInWords makes of a user agent what a user recognizes: "Firefox 145 on
// Windows". Browsers name others before themselves, so the order counts.
func deviceInWords(agent string) string {
	name := "Unknown program"
	for _, b := range [][2]string{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Version/", "Safari"}, {"curl/", "curl"},
	} {
		if _, rest, ok := strings.Cut(agent, b[0]); ok {
			version, _, _ := strings.Cut(rest, ".")
			name = strings.TrimSpace(b[1] + " " + version)
			break
		}
	}
	for _, system := range [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, system[0]) {
			return name + " on " + system[1]
		}
	}
	return name
}
