// What is sent to sign in, fuzzed.

package ginsession_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/ginsession/gin-session/ginsession"
	"github.com/ginsession/gin-session/models"
	"github.com/ginsession/gin-session/models/modelstest"
)

// FuzzLoginBody: whatever is sent, the answer is one of those that there are; and
// it signs somebody in if, and only if, another reader, a strict one, finds the
// right credentials in the body.
func FuzzLoginBody(f *testing.F) {
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	const right = `{"username":"ada","password":"` + password + `"}`
	for _, seed := range [][2]string{
		{asJSON, right},
		{asJSON + "; charset=utf-8", `{"password":"` + password + `","remember":true,"username":"ADA@example.com"}`},
		{asJSON, `{"\u0075sername":"ada","password":"correct\u0020horse battery"}`},
		{asJSON, right + right},
		{asJSON, strings.Replace(right, "}", ",}", 1)},
		{asJSON, strings.Replace(right, "{", `{"username":"bob",`, 1)},
		{asJSON, strings.Replace(right, "{", `{"Username":"bob",`, 1)},
		{asJSON, strings.Replace(right, "{", `{"remember":null,`, 1)},
		{asJSON, `{"username":["ada"],"password":{"$ne":""}}`},
		{asJSON, `{"username":"\ud800","password":"\u0000"}`},
		{asJSON, strings.Repeat("[", 8193)},
		{asJSON, "null"},
		{asForm, "username=ada&password=correct+horse+battery&next=/me"},
		{asForm, "username=bob%40example.com&password=correct%20horse%20battery&remember=on&other=1&other=2"},
		{asForm, "username=ada&username=bob&password=correct+horse+battery"},
		{asForm, "username=ada;password=x"},
		{"Application/JSON ; charset=\"utf-8\"", right},
		{"text/plain", right},
		{"multipart/form-data; boundary=x", "--x--"},
		{"", ""},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	a := newApp(f, modelstest.SQLite(f), func(c *ginsession.Config) {
		c.Logger = slog.New(slog.DiscardHandler) // it would grow
	})
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		a := *a
		a.t = t
		a.forgive()
		r := httptest.NewRequest("POST", "https://app.example.com/login", bytes.NewReader(body))
		r.Header["Content-Type"] = []string{contentType}
		answer := httptest.NewRecorder()
		a.engine.ServeHTTP(answer, r)

		if !slices.Contains([]int{200, 303, 400, 401, 413, 415, 429}, answer.Code) {
			t.Fatalf("answered %d: %s", answer.Code, answer.Body)
		}
		signedIn := answer.Code == 200 || answer.Code == 303
		if cookie := len(answer.Header()["Set-Cookie"]) > 0; cookie != signedIn {
			t.Errorf("answered %d, with a cookie: %v", answer.Code, cookie)
		}
		name, secret, form, ok := fuzzStrict(contentType, body)
		want := 0
		if user, err := a.sessions.Accounts().Find(t.Context(), name); ok && err == nil && user.UserID != "" && norm.NFKC.String(secret) == password {
			want = 200
			if form {
				want = 303
			}
		}
		if signedIn && want != answer.Code || !signedIn && want != 0 {
			t.Errorf("answered %d: %s; the strict reader: %v, %q", answer.Code, answer.Body, ok, name)
		}
		if signedIn {
			a.db.Where("1 = 1").Delete(&models.Session{})
		}
	})
}

// fuzzStrict reads a sign-in as strictly as it can be read, with nothing of the
// package. It looks for keys that are there twice first, because encoding/json
// does not mind them.
func fuzzStrict(contentType string, body []byte) (name, secret string, form, ok bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	if len(body) > 8192 || !utf8.Valid(body) || err != nil {
		return "", "", false, false
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		fields, err := url.ParseQuery(string(body))
		if err != nil {
			return "", "", true, false
		}
		for _, field := range []string{"username", "password", "remember", "next"} {
			if len(fields[field]) > 1 {
				return "", "", true, false
			}
		}
		remember := slices.Contains([]string{"", "on", "true", "1", "off", "false", "0"}, fields.Get("remember"))
		return fields.Get("username"), fields.Get("password"), true, remember
	case "application/json":
		var fields map[string]any
		if json.Unmarshal(body, &fields) != nil || fuzzTwice(body) {
			return "", "", false, false
		}
		name, isName := fields["username"].(string)
		secret, isSecret := fields["password"].(string)
		remember, given := fields["remember"]
		_, isBool := remember.(bool)
		known := 2
		if given {
			known = 3
		}
		return name, secret, false, isName && isSecret && (!given || isBool) && len(fields) == known
	}
	return "", "", false, false
}

// fuzzTwice reports whether the object has a key twice.
func fuzzTwice(body []byte) bool {
	tokens := json.NewDecoder(bytes.NewReader(body))
	depth, isKey, keys := 0, false, map[string]bool{}
	for {
		token, err := tokens.Token()
		if err == io.EOF {
			return false
		}
		if err != nil {
			return true
		}
		switch value := token.(type) {
		case json.Delim:
			if value == '{' || value == '[' {
				depth++
			} else {
				depth--
			}
			isKey = depth == 1
			continue
		case string:
			if depth == 1 && isKey {
				if keys[value] {
					return true
				}
				keys[value] = true
				isKey = false
				continue
			}
		}
		if depth == 1 {
			isKey = true
		}
	}
}
