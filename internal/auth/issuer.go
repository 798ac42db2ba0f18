package auth

import (
	"slices"
	"strings"
	"time"
)

// Issuer is one trusted issuer and the policy for its tokens.
type Issuer struct {
	// Issuer is the exact value of `iss`.
	Issuer string
	// Audience is what a token may be meant for: its `aud` must contain one of these.
	// Required, because without it every token of the issuer would open this service.
	Audience []string
	// JWKSURL is where the keys are. Empty, without StaticJWKS: what OpenID discovery
	// below Issuer says.
	JWKSURL string
	// StaticJWKS is a JWK set given directly; nothing is fetched then.
	StaticJWKS []byte
	// Algorithms are the accepted values of `alg`: any of RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512, EdDSA. Empty: RS256, ES256, EdDSA.
	Algorithms []string
	// Types are the accepted values of `typ`, in any case and with or without the
	// prefix "application/"; the empty string stands for a token without `typ`.
	// Empty: none, "JWT", "at+jwt".
	Types []string
	// MaxLifetime is the most that `exp` may lie after `iat`. 0: 24 h.
	MaxLifetime time.Duration
	// Org says which claims name an organisation. Zero: no organisations.
	Org Org
	// Profile names the claims to take e-mail and name from. Zero: nothing is trusted.
	Profile Profile
}

// Org names the claims of an organisation and the roles in it that may bill.
type Org struct {
	Claim, RoleClaim string
	BillingRoles     []string
}

// Profile names the claims that describe the person.
type Profile struct{ Email, EmailVerified, Name string }

const (
	defaultMaxLifetime = 24 * time.Hour
	accessTokenType    = "at+jwt" // RFC 9068 section 2.1
)

// withDefaults returns i with each empty policy filled in and the types in the form that
// normalType gives.
func (i Issuer) withDefaults() Issuer {
	if len(i.Algorithms) == 0 {
		i.Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	if len(i.Types) == 0 {
		i.Types = []string{"", "JWT", accessTokenType}
	}
	types := make([]string, len(i.Types))
	for n, t := range i.Types {
		types[n] = normalType(t)
	}
	i.Types = types
	if i.MaxLifetime == 0 {
		i.MaxLifetime = defaultMaxLifetime
	}
	return i
}

// normalType returns the one spelling of a media type: `typ` is compared without regard
// to case, and "application/" may be left out (RFC 7515 section 4.1.9).
func normalType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// accepts judges the header members on which issuers differ.
func (i Issuer) accepts(h header) error {
	if !slices.Contains(i.Algorithms, h.algorithm) {
		return reject(Algorithm, "alg is not one of the issuer's algorithms")
	}
	if !slices.Contains(i.Types, h.typ) {
		return reject(Type, "typ is not one of the issuer's types")
	}
	return nil
}
