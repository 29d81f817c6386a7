// The client: a browser without a network.

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
// by their rules. Two clients are two browsers. One is not safe for concurrent use.
//
// A path may also be a whole URL, for what hangs on the scheme or the host:
//
//	browser.Get("http://app.example.com/") // without the cookies that are Secure
type Client struct {
	// Jar holds the cookies. A copy of the client shares them.
	Jar http.CookieJar
	// Header is sent with every request.
	Header http.Header

	handler http.Handler
	origin  *url.URL
}

// NewClient returns a client of handler without cookies, at https://app.example.com.
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

// Do sends a request, and returns when the handler does. It follows no redirect.
func (c *Client) Do(method, path, contentType string, body io.Reader) Response {
	r := c.request(method, path, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return c.serve(r, c.handler)
}

// request returns a request with all that the client sends each time.
func (c *Client) request(method, path string, body io.Reader) *http.Request {
	if strings.HasPrefix(path, "/") {
		path = c.origin.String() + path
	}
	// No context of a test: what belongs to another bubble of synctest than the
	// application does would keep its clock from going on.
	r := httptest.NewRequestWithContext(context.Background(), method, path, body)
	for name, values := range c.Header {
		r.Header[name] = append([]string(nil), values...)
	}
	for _, cookie := range c.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	return r
}

// serve lets a handler answer a request, and keeps the cookies of the answer.
func (c *Client) serve(r *http.Request, handler http.Handler) Response {
	w := recorder{httptest.NewRecorder()}
	handler.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	c.Jar.SetCookies(r.URL, response.Cookies())
	return Response{Response: response, Text: w.Body.String()}
}

// recorder is one with what Gin's Context.Stream asks for: a client that stays.
type recorder struct{ *httptest.ResponseRecorder }

// CloseNotify implements http.CloseNotifier.
func (recorder) CloseNotify() <-chan bool { return nil }

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
