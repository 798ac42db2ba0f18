// Package problem is the closed list of things a caller can be told went wrong.
// It decides code, status and title; it knows nothing of HTTP writers, Stripe or
// the database, and the cause it carries is for the log only.
package problem

import (
	"net/http"
	"time"
)

// Code names a problem for programs. The list is part of the contract
// (openapi.yaml, schema Problem).
type Code string

// The closed list.
const (
	MalformedRequest      Code = "malformed_request"
	IdempotencyKeyInvalid Code = "idempotency_key_invalid"
	Unauthenticated       Code = "unauthenticated"
	Forbidden             Code = "forbidden"
	CSRFRejected          Code = "csrf_rejected"
	NotFound              Code = "not_found"
	MethodNotAllowed      Code = "method_not_allowed"
	IdempotencyInProgress Code = "idempotency_in_progress"
	SessionNotOpen        Code = "session_not_open"
	AlreadySubscribed     Code = "already_subscribed"
	NoCustomer            Code = "no_customer"
	RequestTimeout        Code = "request_timeout"
	PayloadTooLarge       Code = "payload_too_large"
	URITooLong            Code = "uri_too_long"
	UnsupportedMediaType  Code = "unsupported_media_type"
	ValidationFailed      Code = "validation_failed"
	RedirectNotAllowed    Code = "redirect_not_allowed"
	CatalogNotAllowed     Code = "catalog_not_allowed"
	IdempotencyKeyReused  Code = "idempotency_key_reused"
	RateLimited           Code = "rate_limited"
	Internal              Code = "internal"
	UpstreamError         Code = "upstream_error"
	Overloaded            Code = "overloaded"
	DependencyUnavailable Code = "dependency_unavailable"
	PlanUnavailable       Code = "plan_unavailable"
	UpstreamTimeout       Code = "upstream_timeout"
)

type meaning struct {
	status int
	title  string
}

var meanings = map[Code]meaning{
	MalformedRequest:      {http.StatusBadRequest, "The request could not be read."},
	IdempotencyKeyInvalid: {http.StatusBadRequest, "The Idempotency-Key must be 1 to 255 visible ASCII characters."},
	Unauthenticated:       {http.StatusUnauthorized, "A valid credential is required."},
	Forbidden:             {http.StatusForbidden, "The caller may not do this."},
	CSRFRejected:          {http.StatusForbidden, "The request does not prove that it comes from an allowed page."},
	NotFound:              {http.StatusNotFound, "There is no such thing here."},
	MethodNotAllowed:      {http.StatusMethodNotAllowed, "The method is not allowed here."},
	IdempotencyInProgress: {http.StatusConflict, "A request with this Idempotency-Key is still running."},
	SessionNotOpen:        {http.StatusConflict, "The session is not open."},
	AlreadySubscribed:     {http.StatusConflict, "The caller already has this subscription."},
	NoCustomer:            {http.StatusConflict, "The caller has no customer yet."},
	RequestTimeout:        {http.StatusRequestTimeout, "The request did not arrive in time."},
	PayloadTooLarge:       {http.StatusRequestEntityTooLarge, "The request body is too large."},
	URITooLong:            {http.StatusRequestURITooLong, "The address is too long."},
	UnsupportedMediaType:  {http.StatusUnsupportedMediaType, "The body is not of a media type that is accepted here."},
	ValidationFailed:      {http.StatusUnprocessableEntity, "A field has a value that is not allowed."},
	RedirectNotAllowed:    {http.StatusUnprocessableEntity, "The URL is not on the list of allowed redirects."},
	CatalogNotAllowed:     {http.StatusUnprocessableEntity, "The catalogue does not allow this."},
	IdempotencyKeyReused:  {http.StatusUnprocessableEntity, "The Idempotency-Key was used with another request."},
	RateLimited:           {http.StatusTooManyRequests, "Too many requests."},
	Internal:              {http.StatusInternalServerError, "Something went wrong on our side."},
	UpstreamError:         {http.StatusBadGateway, "The payment provider gave no usable answer."},
	Overloaded:            {http.StatusServiceUnavailable, "The service is busy."},
	DependencyUnavailable: {http.StatusServiceUnavailable, "Something the service depends on is not available."},
	PlanUnavailable:       {http.StatusServiceUnavailable, "The plan cannot be sold at the moment."},
	UpstreamTimeout:       {http.StatusGatewayTimeout, "The payment provider did not answer in time."},
}

// Codes returns the whole list, in no particular order.
func Codes() []Code {
	codes := make([]Code, 0, len(meanings))
	for c := range meanings {
		codes = append(codes, c)
	}
	return codes
}

// Status returns the HTTP status of c; 500 for a code that is not on the list.
func (c Code) Status() int {
	if m, ok := meanings[c]; ok {
		return m.status
	}
	return http.StatusInternalServerError
}

// Title returns a sentence for people; it never depends on the request.
func (c Code) Title() string {
	if m, ok := meanings[c]; ok {
		return m.title
	}
	return meanings[Internal].title
}

// Field is one member of the request that is wrong.
type Field struct {
	// Pointer is a JSON Pointer (RFC 6901) into the request body.
	Pointer string `json:"pointer"`
	// Detail is one of our own sentences, never text from a library or from Stripe.
	Detail string `json:"detail"`
}

// Error is a problem on its way to the caller.
type Error struct {
	Code   Code
	Fields []Field
	// RetryAfter is sent as Retry-After in whole seconds, rounded up; zero sends none.
	RetryAfter time.Duration
	// Err is the cause, for the log. It never reaches the caller.
	Err error
}

// Error implements error. The text is for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns a problem with a cause (which may be nil).
func New(code Code, cause error) *Error { return &Error{Code: code, Err: cause} }

// At returns a problem with one wrong member of the body.
func At(code Code, pointer, detail string) *Error {
	return &Error{Code: code, Fields: []Field{{Pointer: pointer, Detail: detail}}}
}
