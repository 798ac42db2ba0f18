package auth

import "errors"

// Reason is why a credential was refused: for metrics and logs, never for the caller.
type Reason string

// The closed list.
const (
	Missing      Reason = "missing"       // no credential at all
	Scheme       Reason = "scheme"        // a credential that is not a bearer token
	TooLarge     Reason = "too_large"     // more bytes than any honest token has
	Malformed    Reason = "malformed"     // not a JWS in compact form
	Header       Reason = "header"        // the protected header is not what RFC 7515 asks for
	Algorithm    Reason = "algorithm"     // alg is not the issuer's or not the key's
	Critical     Reason = "critical"      // crit or b64: an extension we do not have
	Type         Reason = "type"          // typ or cty of some other kind of token
	Claims       Reason = "claims"        // the claims or one of the times cannot be read
	Issued       Reason = "issuer"        // iss is nobody we trust
	Audience     Reason = "audience"      // aud names others only
	Expired      Reason = "expired"       // exp has passed
	NotYetValid  Reason = "not_yet_valid" // nbf or iat is still to come
	Lifetime     Reason = "lifetime"      // valid for longer than the issuer may say
	Subject      Reason = "subject"       // sub is missing or unfit to be a name
	Confirmation Reason = "confirmation"  // cnf: bound to a key the caller has not shown
	UnknownKey   Reason = "unknown_key"   // the issuer has no such key
	Signature    Reason = "signature"     // the key says no
)

// Reasons returns the whole list.
func Reasons() []Reason {
	return []Reason{
		Missing, Scheme, TooLarge, Malformed, Header, Algorithm, Critical, Type, Claims, Issued,
		Audience, Expired, NotYetValid, Lifetime, Subject, Confirmation, UnknownKey, Signature,
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

// Challenge returns the value of WWW-Authenticate. A caller who sent no bearer token is
// told the scheme and no error code (RFC 6750 section 3.1); all others get one constant
// answer, so that it does not tell them which check they passed.
func (r *Rejection) Challenge() string {
	if r.Reason == Missing || r.Reason == Scheme {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

func reject(reason Reason, why string) error {
	return &Rejection{Reason: reason, Err: errors.New(why)}
}
