package sandbox

import (
	"fmt"
	"net/http"
	"strings"
)

// apiError is a refusal in Stripe's shape. The zero Type means
// invalid_request_error, the zero Status 400.
type apiError struct {
	Status  int
	Type    string
	Code    string
	Param   string
	Message string
	Headers map[string]string
	// beforeExecution says that the request was refused before it began, so
	// that its idempotency key stays free.
	beforeExecution bool
}

func (e *apiError) Error() string { return e.Message }

// body returns the wire form; requestID ends up in request_log_url.
func (e *apiError) body(requestID string) object {
	inner := object{
		"type":            orElse(e.Type, "invalid_request_error"),
		"message":         e.Message,
		"request_log_url": "https://dashboard.stripe.com/test/logs/" + requestID,
	}
	if e.Code != "" {
		inner["code"] = e.Code
		inner["doc_url"] = "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(e.Code, "_", "-")
	}
	if e.Param != "" {
		inner["param"] = e.Param
	}
	return object{"error": inner}
}

func (e *apiError) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// invalid refuses one parameter; code may be empty.
func invalid(code, param, format string, args ...any) *apiError {
	return &apiError{Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// malformed is invalid for what is wrong whatever the state: it is judged
// before execution, so no idempotency key remembers it.
func malformed(code, param, format string, args ...any) *apiError {
	e := invalid(code, param, format, args...)
	e.beforeExecution = true
	return e
}

// noSuch reports a missing object named by a parameter (400).
func noSuch(what, id, param string) *apiError {
	return invalid("resource_missing", param, "No such %s: '%s'%s", what, id, liveHint(id))
}

// notFound reports a missing object named by the path (404).
func notFound(what, id string) *apiError {
	e := noSuch(what, id, "id")
	e.Status = http.StatusNotFound
	return e
}

func unrecognizedURL(r *http.Request) *apiError {
	return &apiError{
		Status: http.StatusNotFound,
		Message: fmt.Sprintf("Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
			r.Method, r.URL.Path),
	}
}

// liveHint is what Stripe appends when an id carries the other mode.
func liveHint(id string) string {
	if !strings.Contains(id, "_live_") {
		return ""
	}
	return "; a similar object exists in live mode, but a test mode key was used to make this request."
}

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
