// What can go wrong, as codes with the HTTP status and the words of each.

package ginsession

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// A Code names what went wrong, on the wire and in Go: each is an error itself,
// so that errors.Is(err, ginsession.ErrSessionExpired) asks for it.
type Code string

// The codes.
const (
	// No cookie came, or its session has been ended. 401.
	ErrSessionNotFound Code = "SESSION_NOT_FOUND"
	// The session has run out: unused for too long, idle, or at its absolute end. 401.
	ErrSessionExpired Code = "SESSION_EXPIRED"
	// The token is genuine, but its session cannot stand: the user is disabled or
	// gone, or the secret is not the session's. 401.
	ErrSessionInvalid Code = "SESSION_INVALID"
	// The cookie is not a token of ours. 401.
	ErrTokenInvalid Code = "JWT_INVALID"
	// Unknown user, wrong password or disabled user: nobody is told which. 401.
	ErrCredentialsInvalid Code = "CREDENTIALS_INVALID"

	// Signed in, but without the role. 403.
	ErrRoleRequired Code = "ROLE_REQUIRED"
	// Signed in, but with a role that does not have the permission. 403.
	ErrPermissionRequired Code = "PERMISSION_REQUIRED"
	// Signed in, but the last proof of who the user is was too long ago. 403.
	ErrReauthRequired Code = "REAUTH_REQUIRED"
	// Not to be done in the name of another. 403.
	ErrImpersonation Code = "IMPERSONATION_FORBIDDEN"
	// The user has as many sessions as he may, and none is to go for a new one. 403.
	ErrSessionLimit Code = "SESSION_LIMIT"
	// The request was made by a page of another origin. 403.
	ErrCrossOrigin Code = "CROSS_ORIGIN"

	// The request does not have the form it should have. 400.
	ErrRequestInvalid Code = "REQUEST_INVALID"
	// The user has no such session. 404.
	ErrNoSuchSession Code = "NO_SUCH_SESSION"
	// No such user. 404.
	ErrUserNotFound Code = "USER_NOT_FOUND"
	// The handler does not answer this method. 405.
	ErrMethodNotAllowed Code = "METHOD_NOT_ALLOWED"
	// Another user has this username or e-mail. 409.
	ErrUserExists Code = "USER_EXISTS"
	// The body is too large. 413.
	ErrRequestTooLarge Code = "REQUEST_TOO_LARGE"
	// The body is of a type that the handler does not read. 415.
	ErrMediaType Code = "MEDIA_TYPE_UNSUPPORTED"

	// Too much at once, or too often; [Error.RetryAfter] says how long to wait. 429.
	ErrRateLimited Code = "RATE_LIMITED"
	// The database does not answer. Nobody is let in and nobody is signed out. 503.
	ErrStoreUnavailable Code = "STORE_UNAVAILABLE"
	// A mistake in the program, such as a guard without Load before it. 500.
	ErrInternal Code = "INTERNAL"
)

// Error implements error.
func (c Code) Error() string { return string(c) }

// Status returns the HTTP status that goes with the code.
func (c Code) Status() int {
	status, _ := c.answer()
	return status
}

// Message returns the words for the client that go with the code.
func (c Code) Message() string {
	_, message := c.answer()
	return message
}

// answer is the table of statuses and of the words for the client.
func (c Code) answer() (status int, message string) {
	switch c {
	case ErrSessionNotFound:
		return http.StatusUnauthorized, "Not signed in."
	case ErrSessionExpired:
		return http.StatusUnauthorized, "The session has expired."
	case ErrSessionInvalid:
		return http.StatusUnauthorized, "The session is no longer valid."
	case ErrTokenInvalid:
		return http.StatusUnauthorized, "The session cookie is not valid."
	case ErrCredentialsInvalid:
		return http.StatusUnauthorized, "Username or password is wrong."
	case ErrRoleRequired:
		return http.StatusForbidden, "Your role does not allow this."
	case ErrPermissionRequired:
		return http.StatusForbidden, "Your role does not permit this."
	case ErrReauthRequired:
		return http.StatusForbidden, "Confirm first that it is you."
	case ErrImpersonation:
		return http.StatusForbidden, "This is not to be done in the name of another."
	case ErrSessionLimit:
		return http.StatusForbidden, "You are signed in on too many devices. Sign out on one of them first."
	case ErrCrossOrigin:
		return http.StatusForbidden, "The request came from another site."
	case ErrRequestInvalid:
		return http.StatusBadRequest, "The request is not valid."
	case ErrNoSuchSession:
		return http.StatusNotFound, "There is no such session."
	case ErrUserNotFound:
		return http.StatusNotFound, "There is no such user."
	case ErrMethodNotAllowed:
		return http.StatusMethodNotAllowed, "The method is not allowed here."
	case ErrUserExists:
		return http.StatusConflict, "The username or e-mail is taken."
	case ErrRequestTooLarge:
		return http.StatusRequestEntityTooLarge, "The request is too large."
	case ErrMediaType:
		return http.StatusUnsupportedMediaType, "The content type is not supported."
	case ErrRateLimited:
		return http.StatusTooManyRequests, "Too many attempts. Try again later."
	case ErrStoreUnavailable:
		return http.StatusServiceUnavailable, "The session store does not answer. Try again later."
	default:
		return http.StatusInternalServerError, "Something went wrong."
	}
}

// Error is the error that every function of this package returns but [New]. It
// matches its Code and its cause with [errors.Is].
type Error struct {
	Code Code
	Time time.Time // the instant of the request that met it

	// RetryAfter is how long to wait before another try; zero where waiting does
	// not help.
	RetryAfter time.Duration

	// Reason is why the session was ended that the request came with, if it was.
	Reason Reason

	// Err is the cause, for the log. Clients see it with three codes only: with
	// ErrRequestInvalid it names the field and what was expected of it; with
	// ErrRoleRequired and ErrPermissionRequired it says what was needed, as the end
	// of the sentence that the words of the code begin.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	text := "ginsession: " + string(e.Code)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives [errors.Is] and [errors.As] the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// Message returns the words for the client: those of the code, and after them the role
// or permission that was needed; for ErrRequestInvalid those of the cause, which says
// what is wrong with the request.
func (e *Error) Message() string {
	words := e.Code.Message()
	if e.Err == nil {
		return words
	}
	switch e.Code {
	case ErrRequestInvalid:
		return e.Err.Error()
	case ErrRoleRequired, ErrPermissionRequired:
		return strings.TrimSuffix(words, ".") + ": " + e.Err.Error() + "."
	default:
		return words
	}
}

// stamp makes err an *Error of the instant now: every error that leaves the
// package has passed here. What is neither an *Error nor a Code is a mistake of
// the program.
func stamp(err error, now time.Time) *Error {
	var stamped Error
	var code Code
	switch e := (*Error)(nil); {
	case errors.As(err, &e):
		stamped = *e
	case errors.As(err, &code):
		stamped = Error{Code: code}
	default:
		stamped = Error{Code: ErrInternal, Err: err}
	}
	if stamped.Time.IsZero() {
		stamped.Time = now
	}
	if waits := stamped.Code == ErrRateLimited || stamped.Code == ErrStoreUnavailable; waits && stamped.RetryAfter <= 0 {
		stamped.RetryAfter = defaultRetryAfter
	}
	return &stamped
}

// unavailable makes err, which a database or an application's Users returned, a
// fault of the store, unless it says something else itself.
func unavailable(err error) error {
	var code Code
	if err == nil || errors.As(err, &code) {
		return err
	}
	return &Error{Code: ErrStoreUnavailable, Err: err}
}

// defaultRetryAfter is how long a client waits that was told to wait, where
// nobody knows how long it will take.
const defaultRetryAfter = 5 * time.Second
