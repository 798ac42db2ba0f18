package auth

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxClaims    = 256
	maxAudiences = 100
)

// claims is the claims set of a token whose signature may not have been checked yet.
type claims struct {
	object
	issuer   string
	validity validity
}

// parseClaims reads the claims set and its issuer, which says whose policy applies.
func parseClaims(data []byte) (claims, error) {
	o, err := parseObject(data, maxClaims)
	if err != nil {
		return claims{}, &Rejection{Reason: Claims, Err: err}
	}
	issuer, present, err := o.text("iss")
	if !present || err != nil {
		return claims{}, reject(Issued, "iss is missing or not a string")
	}
	return claims{object: o, issuer: issuer}, nil
}

// clock is the time a token is judged at, and how far the issuer's may be from it.
type clock struct {
	now    time.Time
	leeway time.Duration
}

// check judges everything in c that does not need the key (RFC 7519 section 4.1, RFC 8725
// section 3), and fills in what the principal is made from.
func (c *claims) check(i Issuer, typ string, t clock) error {
	if err := c.checkAudience(i.Audience); err != nil {
		return err
	}
	if err := c.checkParty(i.AuthorizedParties); err != nil {
		return err
	}
	if err := c.checkRequired(i.Require); err != nil {
		return err
	}
	if err := c.readTimes(typ); err != nil {
		return err
	}
	if err := c.validity.check(i.MaxLifetime, t); err != nil {
		return err
	}
	if subject, _, err := c.text("sub"); err != nil || !fitName(subject) {
		return reject(Subject, "sub is not a string of 1 to 255 bytes without control characters")
	}
	// A token bound to a key (RFC 7800) is worth nothing without proof of that key, and
	// the bearer scheme has none.
	if c.has("cnf") {
		return reject(Confirmation, "cnf is present")
	}
	return nil
}

// fitName reports whether s can be a name in a database, a log and Stripe's metadata. It
// is not normalised: names are compared byte by byte.
func fitName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, unicode.IsControl)
}

// checkAudience wants one of ours in aud, a string or an array of strings. Who has no name
// of his own must refuse what is addressed to anybody (RFC 7519 section 4.1.3).
func (c *claims) checkAudience(ours []string) error {
	if len(ours) == 0 && !c.has("aud") {
		return nil
	}
	audiences, err := words(c.object["aud"], maxAudiences)
	if err != nil {
		return reject(Audience, "aud is not a string or an array of at most 100 strings")
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(ours, a) }) {
		return reject(Audience, "aud does not name this service")
	}
	return nil
}

// clients returns whom the token was issued to: azp is OpenID Connect's name for it,
// client_id that of RFC 9068.
func (c *claims) clients() ([]string, error) {
	var ids []string
	for _, name := range []string{"azp", "client_id"} {
		id, present, err := c.text(name)
		if err != nil {
			return nil, err
		}
		if present {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// checkParty wants every client that the token names to be one of ours, and one at least.
func (c *claims) checkParty(ours []string) error {
	if len(ours) == 0 {
		return nil
	}
	ids, err := c.clients()
	if err != nil || len(ids) == 0 {
		return reject(Party, "neither azp nor client_id, or not a string")
	}
	for _, id := range ids {
		if !slices.Contains(ours, id) {
			return reject(Party, "azp or client_id is not an authorized party")
		}
	}
	return nil
}

func (c *claims) checkRequired(required map[string][]string) error {
	for name, allowed := range required {
		// What is absent or cannot be reached is no value, and so none of those allowed.
		if value, _, _ := c.at(name); !oneOf(value, allowed) {
			return reject(Required, "a required claim is missing or has another value")
		}
	}
	return nil
}

// maxWords bounds claims that are lists of roles, groups or scopes.
const maxWords = 250

// oneOf reports whether value is one of allowed, or a list of strings with one of them.
func oneOf(value jsontext.Value, allowed []string) bool {
	switch value.Kind() {
	case '0', 't', 'f':
		return slices.Contains(allowed, string(value))
	default:
		found, err := words(value, maxWords)
		return err == nil && slices.ContainsFunc(found, func(w string) bool { return slices.Contains(allowed, w) })
	}
}

// validity is when a token says that it is good.
type validity struct {
	expires   time.Time
	notBefore time.Time // zero: always
	issued    time.Time // zero: it does not say
}

// readTimes reads exp, nbf and iat.
func (c *claims) readTimes(typ string) error {
	expires, hasExpires, errExpires := c.date("exp")
	notBefore, _, errNotBefore := c.date("nbf")
	issued, hasIssued, errIssued := c.date("iat")
	if !hasExpires || errExpires != nil || errNotBefore != nil || errIssued != nil {
		return reject(Claims, "exp is missing, or exp, nbf or iat is not a number of seconds")
	}
	if !hasIssued && typ == accessTokenType { // RFC 9068 section 2.2
		return reject(Claims, "iat is missing from an access token")
	}
	c.validity = validity{expires, notBefore, issued}
	return nil
}

// check judges exp, nbf and iat at a time. The limit on the whole lifetime also catches an
// exp in milliseconds, which would else be good for fifty thousand years.
func (v validity) check(maxLifetime time.Duration, t clock) error {
	issued := v.issued
	if issued.IsZero() {
		issued = t.now
	}
	switch {
	case v.endedBy(t):
		return reject(Expired, "exp has passed")
	case v.notBefore.After(t.now.Add(t.leeway)):
		return reject(NotYetValid, "nbf has not come")
	case issued.After(t.now.Add(t.leeway)):
		return reject(NotYetValid, "iat has not come")
	case v.expires.Sub(issued) > maxLifetime:
		return reject(Lifetime, "exp is further from iat than the issuer's max_lifetime")
	default:
		return nil
	}
}

func (v validity) endedBy(t clock) bool { return !t.now.Before(v.expires.Add(t.leeway)) }
