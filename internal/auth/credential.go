package auth

import (
	"errors"
	"net/http"
	"strings"

	"till/internal/problem"
)

// credential is a token as it came, and how it came.
type credential struct {
	token string
	// header is the proxy's header, in canonical form; "" for Authorization and cookie.
	header string
	// ambient is whether it came by itself, without the caller's doing.
	ambient bool
}

// carriers are the places that are looked at. Form and query (RFC 6750 sections 2.2 and
// 2.3) are never read.
type carriers struct {
	cookie  string   // "": none
	headers []string // of proxies, in canonical form
}

// credential returns the one credential of a request: the first that there is of
// Authorization, a proxy's header, the cookie. What was deliberately sent is never
// rescued by what came along, so a refused token ends it there.
func (c carriers) credential(r *http.Request) (credential, error) {
	if lines := r.Header.Values("Authorization"); given(lines) {
		token, err := bearer(lines)
		return credential{token: token}, err
	}
	for _, name := range c.headers {
		if lines := r.Header.Values(name); given(lines) {
			token, err := only(name, lines)
			return credential{token: token, header: name, ambient: true}, err
		}
	}
	if c.cookie == "" {
		return credential{}, reject(Missing, "no credential")
	}
	token, err := cookie(r.Header.Values("Cookie"), c.cookie)
	return credential{token: token, ambient: true}, err
}

// given reports whether a header says anything: an empty line is how some say nothing.
func given(lines []string) bool { return len(lines) > 1 || len(lines) == 1 && lines[0] != "" }

// only returns the line of a header that must have one. Two are problem.MalformedRequest,
// since whoever is in front of us may have judged the other one.
func only(name string, lines []string) (string, error) {
	if len(lines) > 1 {
		return "", problem.New(problem.MalformedRequest, errors.New("more than one "+name+" line"))
	}
	return lines[0], nil
}

// bearer reads Authorization (RFC 6750 section 2.1).
func bearer(lines []string) (string, error) {
	line, err := only("Authorization", lines)
	if err != nil {
		return "", err
	}
	// RFC 9110 section 11.4: scheme, one or more spaces, token68.
	scheme, token, _ := strings.Cut(line, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", reject(Scheme, "not the bearer scheme")
	}
	return strings.TrimLeft(token, " "), nil
}

// cookie returns the value of the one cookie of that name, as it is: net/http's own reader
// drops values it does not like, and a refused credential must not look like none. Two
// cookies of the name are Duplicate: a sibling host can add one, and which is ours cannot
// be told. A name with spaces around it is not ours, but others would take it for ours, so
// beside ours it makes two.
func cookie(lines []string, name string) (string, error) {
	var value string
	named, found := 0, false
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			// Only what stands between two cookies is not theirs.
			key, text, _ := strings.Cut(strings.TrimLeft(pair, " "), "=")
			if strings.Trim(key, " \t") != name {
				continue
			}
			if named++; key == name {
				found, value = true, text
			}
		}
	}
	switch {
	case named > 1:
		return "", reject(Duplicate, "more than one cookie of the name")
	case !found:
		return "", reject(Missing, "no credential")
	default:
		return value, nil
	}
}
