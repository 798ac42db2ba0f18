package auth

import (
	"errors"

	"till/internal/problem"
)

// Reason is why a credential was refused: for metrics and logs, never for the caller.
type Reason string

// The closed list.
const (
	Missing      Reason = "missing"          // no credential at all
	Scheme       Reason = "scheme"           // a credential that is not a bearer token
	Duplicate    Reason = "duplicate_cookie" // two cookies of our name: one is a stranger's
	TooLarge     Reason = "too_large"        // more bytes than any honest token has
	Malformed    Reason = "malformed"        // not a JWS in compact form
	Header       Reason = "header"           // the protected header is not what RFC 7515 asks for
	Algorithm    Reason = "algorithm"        // alg is not the issuer's or not the key's
	Critical     Reason = "critical"         // crit or b64: an extension we do not have
	Type         Reason = "type"             // typ or cty of some other kind of token
	Claims       Reason = "claims"           // the claims or one of the times cannot be read
	Issued       Reason = "issuer"           // iss is nobody we trust, or not in this header
	Audience     Reason = "audience"         // aud names others only
	Party        Reason = "party"            // azp or client_id is somebody else
	Required     Reason = "required"         // a claim that the issuer's policy wants has another value
	Expired      Reason = "expired"          // exp has passed
	NotYetValid  Reason = "not_yet_valid"    // nbf or iat is still to come
	Lifetime     Reason = "lifetime"         // valid for longer than the issuer may say
	Subject      Reason = "subject"          // sub is missing or unfit to be a name
	Confirmation Reason = "confirmation"     // cnf: bound to a key the caller has not shown
	UnknownKey   Reason = "unknown_key"      // the issuer has no such key
	Signature    Reason = "signature"        // the key says no
	Inactive     Reason = "inactive"         // the issuer, asked, says no

	// The token is genuine, and not enough.
	Scope        Reason = "scope"        // a required scope is missing
	Machine      Reason = "machine"      // a client speaks for itself
	Organisation Reason = "organisation" // the organisation cannot be read
)

// Reasons returns the whole list.
func Reasons() []Reason {
	return []Reason{
		Missing, Scheme, Duplicate, TooLarge, Malformed, Header, Algorithm, Critical, Type, Claims, Issued,
		Audience, Party, Required, Expired, NotYetValid, Lifetime, Subject, Confirmation, UnknownKey,
		Signature, Inactive, Scope, Machine, Organisation,
	}
}

// Rejection is a refused credential. Its text is ours and holds nothing of the token.
type Rejection struct {
	Reason Reason
	Err    error
}

// Error implements error. The text is for logs.
func (r *Rejection) Error() string {
	if r.Err == nil {
		return string(r.Reason)
	}
	return string(r.Reason) + ": " + r.Err.Error()
}

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// Challenge returns the value of WWW-Authenticate, "" for none. A caller who sent no
// bearer token is told the scheme and no error code (RFC 6750 section 3.1); one whose
// genuine token lacks a scope is told that; all others get one constant answer, so that it
// does not tell them which check they passed.
func (r *Rejection) Challenge() string {
	switch r.Reason {
	case Missing, Scheme:
		return "Bearer"
	case Scope:
		return `Bearer error="insufficient_scope"`
	case Machine, Organisation:
		return ""
	default:
		return `Bearer error="invalid_token"`
	}
}

// code returns what a refused caller is told.
func (r *Rejection) code() problem.Code {
	switch r.Reason {
	case Scope, Machine, Organisation:
		return problem.Forbidden
	default:
		return problem.Unauthenticated
	}
}

func reject(reason Reason, why string) error {
	return &Rejection{Reason: reason, Err: errors.New(why)}
}
