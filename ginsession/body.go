// Reading what a client sends to sign in.

package ginsession

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxBody is the size of the largest body that is read.
const maxBody = 8 << 10

// credentials are the fields of a sign-in, or of some of it.
type credentials struct {
	username, password string
	remember           bool
	token              bool   // JSON only: the token is asked for, in place of a cookie
	next               string // forms only
}

const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// mediaType returns the content type of a request without its parameters, or
// nothing if it is not well formed: what others take it for is anybody's guess.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// readCredentials reads some fields of a sign-in from the body, as JSON or as a form:
// username and password are required where they are among them. What stands in the
// URL counts for nothing: it is in every log. Its errors are ErrMediaType,
// ErrRequestTooLarge and ErrRequestInvalid; with the last, what could be read is
// returned too.
func readCredentials(w http.ResponseWriter, r *http.Request, fields ...string) (credentials, error) {
	var parse func([]byte, []string) (credentials, error)
	switch mediaType(r) {
	case typeJSON:
		parse = parseJSON
	case typeForm:
		parse = parseForm
	}
	if parse == nil || r.Header.Get("Content-Encoding") != "" {
		return credentials{}, ErrMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return credentials{}, ErrRequestTooLarge
	}
	if err != nil {
		return credentials{}, invalid("body: could not be read to its end")
	}
	if !utf8.Valid(body) {
		return credentials{}, invalid("body: must be UTF-8")
	}
	in, err := parse(body, fields)
	switch {
	case err != nil:
	case in.username == "" && slices.Contains(fields, "username"):
		err = invalid("username: is required")
	case in.password == "":
		err = invalid("password: is required")
	}
	return in, err
}

// parseJSON reads one flat object. It takes the tokens one by one, because
// decoding into a struct would let pass a name that is there twice, a name in
// another case, and whatever comes after the object.
func parseJSON(body []byte, fields []string) (credentials, error) {
	var in credentials
	object := invalid("body: must be one JSON object")
	tokens := json.NewDecoder(bytes.NewReader(body))
	if t, err := tokens.Token(); err != nil || t != json.Delim('{') {
		return in, object
	}
	seen := make(map[string]bool, 3)
	for tokens.More() {
		name, err := tokens.Token()
		if err != nil {
			return in, object
		}
		value, err := tokens.Token()
		if err != nil {
			return in, object
		}
		field, _ := name.(string) // names are strings: the decoder sees to it
		if seen[field] {
			return in, invalid("body: has a field twice")
		}
		seen[field] = true
		ok := false
		if field == "next" || !slices.Contains(fields, field) {
			return in, invalid("body: has a field other than " + strings.Join(slices.DeleteFunc(slices.Clone(fields), isNext), ", "))
		}
		switch field {
		case "username":
			in.username, ok = value.(string)
		case "password":
			in.password, ok = value.(string)
		case "remember":
			in.remember, ok = value.(bool)
		case "token":
			in.token, ok = value.(bool)
		}
		if !ok {
			return in, invalid(field + ": is of the wrong type")
		}
	}
	if t, err := tokens.Token(); err != nil || t != json.Delim('}') {
		return in, object
	}
	if _, err := tokens.Token(); !errors.Is(err, io.EOF) {
		return in, object
	}
	return in, nil
}

// parseForm reads the fields of an HTML form. Fields of other names are the
// page's own business.
func parseForm(body []byte, fields []string) (credentials, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return credentials{}, invalid("body: must be a URL-encoded form")
	}
	in := credentials{
		username: form.Get("username"),
		password: form.Get("password"),
		next:     localPath(form.Get("next")),
	}
	for _, name := range fields {
		if len(form[name]) > 1 {
			return in, invalid(name + ": must be there once")
		}
	}
	remember := form.Get("remember")
	if !slices.Contains(fields, "remember") {
		remember = "" // the page's own
	}
	switch remember {
	case "on", "true", "1":
		in.remember = true
	case "", "off", "false", "0":
	default:
		return in, invalid("remember: must be on or off")
	}
	if !utf8.ValidString(in.username + in.password) {
		return in, invalid("body: must be UTF-8")
	}
	return in, nil
}

func isNext(field string) bool { return field == "next" }

// invalid is the error of a bad request. text names the field and says what was
// expected; it is shown to the client.
func invalid(text string) error {
	return &Error{Code: ErrRequestInvalid, Err: errors.New(text)}
}
