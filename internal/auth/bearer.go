package auth

import (
	"errors"
	"net/http"
	"strings"

	"till/internal/problem"
)

// bearer returns the token of a request (RFC 6750 section 2.1: the other two places, form
// and query, are never read). Missing, Scheme or Malformed; two Authorization lines are
// problem.MalformedRequest, since whoever is in front of us may have judged the other one.
func bearer(r *http.Request) (string, error) {
	lines := r.Header.Values("Authorization")
	if len(lines) > 1 {
		return "", problem.New(problem.MalformedRequest, errors.New("more than one Authorization line"))
	}
	if len(lines) == 0 || lines[0] == "" {
		return "", reject(Missing, "no credential")
	}
	// RFC 9110 section 11.4: scheme, one or more spaces, token68.
	scheme, token, _ := strings.Cut(lines[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", reject(Scheme, "not the bearer scheme")
	}
	return strings.TrimLeft(token, " "), nil
}
