package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"till/internal/secret"
)

// Issuer is one trusted issuer and the policy for its tokens. Where a claim is named, a
// name that begins with a slash is a JSON Pointer into the claims.
type Issuer struct {
	// Issuer is the exact value of `iss`.
	Issuer string
	// Audience is what a token may be meant for: its `aud` must contain one of these.
	// Empty, with AuthorizedParties: tokens have no `aud`.
	Audience []string
	// AuthorizedParties are the clients whose tokens are taken: `azp` and `client_id`, as
	// far as a token has them, and it must have one, must be among these. Empty: anyone's.
	AuthorizedParties []string
	// Require says which further claims a token must have: each must be one of the given
	// values, or a list with one of them. Numbers and booleans count as JSON writes them.
	Require map[string][]string
	// Scopes must all be in a token's `scope` or `scp`.
	Scopes []string
	// Machines says what becomes of tokens that speak for a client and no person.
	Machines Machines
	// Header is the header in which a proxy puts this issuer's tokens; they are taken from
	// nowhere else, and no others from it. Empty: Authorization and the cookie.
	Header string

	// JWKSURL is where the keys are. Empty, without the three below: what OpenID discovery
	// below Issuer says.
	JWKSURL string
	// StaticJWKS is a JWK set given directly; nothing is fetched then.
	StaticJWKS []byte
	// Secret is shared with the issuer, which signs with HS256: 32 bytes at least.
	Secret secret.Secret
	// Introspection is whom to ask about tokens that are no JWT.
	Introspection Introspection
	// PrivateNetworks are addresses that are not public and may be connected to all the
	// same, for keys and introspection of this issuer.
	PrivateNetworks []netip.Prefix

	// Algorithms are the accepted values of `alg`: any of RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512, EdDSA. Empty: RS256, ES256, EdDSA; with Secret
	// HS256, and nothing else is possible.
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

// Machines is the policy for tokens that a client got for itself. A token is one when its
// subject is its client (RFC 9068 section 2.2), when `gty` or `idtyp` says so (Auth0,
// Entra ID), or when it has Claim.
type Machines struct {
	Allow bool
	Claim string
}

// Introspection is an endpoint of RFC 7662, and who we are there.
type Introspection struct {
	URL      string
	ClientID string
	Secret   secret.Secret
}

// Org names the claims of an organisation and the roles in it that may bill. The role
// may be a list of roles.
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

// withDefaults returns i with each empty policy filled in, and types and header in the
// one spelling that is compared.
func (i Issuer) withDefaults() Issuer {
	switch {
	case !i.Secret.IsZero():
		i.Algorithms = []string{secretAlgorithm}
	case len(i.Algorithms) == 0:
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
	i.Header = http.CanonicalHeaderKey(i.Header)
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
