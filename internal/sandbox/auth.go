package sandbox

import (
	"crypto/subtle"
	"net/http"
	"regexp"
	"strings"
)

var (
	testKey = regexp.MustCompile(`^(sk|rk)_test_[A-Za-z0-9_]{1,120}$`)
	liveKey = regexp.MustCompile(`^(sk|rk|pk)_live_`)
)

// authenticate judges the request's secret key as Stripe does: bearer, or the
// user name of basic authentication. Nil means accepted.
func (s *Sandbox) authenticate(r *http.Request) *apiError {
	key := secretKey(r)
	if err := checkKey(key); err != nil {
		return err
	}
	if len(s.keys) > 0 && !s.knows(key) {
		return unauthorized("Invalid API Key provided: %s", redact(key))
	}
	return s.checkAccountHeader(r)
}

func secretKey(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

func checkKey(key string) *apiError {
	switch {
	case key == "":
		return unauthorized("You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). In the sandbox any test key will do, for example sk_test_123.")
	case liveKey.MatchString(key):
		return unauthorized("This is a sandbox: it refuses live keys. Take the live key out of the configuration and use any test key, for example sk_test_123.")
	case !testKey.MatchString(key):
		return unauthorized("Invalid API Key provided: %s", redact(key))
	}
	return nil
}

func unauthorized(format string, args ...any) *apiError {
	e := malformed("", "", format, args...)
	e.Status = http.StatusUnauthorized
	return e
}

// redact shows a key as Stripe does: enough to find it, not to use it.
func redact(key string) string {
	if len(key) <= 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:3] + strings.Repeat("*", 12) + key[len(key)-4:]
}

func (s *Sandbox) knows(key string) bool {
	found := 0
	for _, known := range s.keys {
		found |= subtle.ConstantTimeCompare([]byte(key), []byte(known))
	}
	return found == 1
}

// checkAccountHeader refuses Stripe-Account for any account but our own: the
// sandbox has no connected ones.
func (s *Sandbox) checkAccountHeader(r *http.Request) *apiError {
	account := r.Header.Get("Stripe-Account")
	if account == "" {
		return nil
	}
	s.mu.Lock()
	own := s.state.account
	s.mu.Unlock()
	if account == own {
		return nil
	}
	e := malformed("account_invalid", "", "The provided key does not have access to account '%s' (or that account does not exist). Application access may have been revoked.", account)
	e.Status = http.StatusForbidden
	return e
}
