// Package ginsessiontest helps to test applications that use ginsession.
package ginsessiontest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
)

// Client calls a handler as a browser would: over https, and it keeps cookies
// by their rules. It is not safe for concurrent use.
type Client struct {
	// Jar holds the cookies. A copy of the client shares them.
	Jar http.CookieJar
	// Header is sent with every request.
	Header http.Header

	handler http.Handler
	origin  *url.URL
}

// NewClient returns a client of handler without cookies.
func NewClient(handler http.Handler) *Client {
	jar, _ := cookiejar.New(nil) // has no error to return
	return &Client{
		Jar:     jar,
		Header:  http.Header{},
		handler: handler,
		origin:  &url.URL{Scheme: "https", Host: "app.example.com"},
	}
}

// Response is an answer whose body has been read.
type Response struct {
	*http.Response
	Text string
}

// Get asks for a page.
func (c *Client) Get(path string) Response {
	return c.Do(http.MethodGet, path, "", nil)
}

// PostJSON sends body, which is anything that encoding/json takes.
func (c *Client) PostJSON(path string, body any) Response {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("ginsessiontest: %v", err))
	}
	return c.Do(http.MethodPost, path, "application/json", strings.NewReader(string(encoded)))
}

// PostForm sends a form as an HTML page does.
func (c *Client) PostForm(path string, form url.Values) Response {
	return c.Do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// Do sends a request. It follows no redirect.
func (c *Client) Do(method, path, contentType string, body io.Reader) Response {
	r := httptest.NewRequestWithContext(context.Background(), method, c.origin.String()+path, body)
	for name, values := range c.Header {
		r.Header[name] = append([]string(nil), values...)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, cookie := range c.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	recorder := httptest.NewRecorder()
	c.handler.ServeHTTP(recorder, r)
	response := recorder.Result()
	c.Jar.SetCookies(r.URL, response.Cookies())
	return Response{Response: response, Text: recorder.Body.String()}
}

// Cookie returns the value of the cookie that the client would send under this
// name, or nothing.
func (c *Client) Cookie(name string) string {
	for _, cookie := range c.Jar.Cookies(c.origin) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}
