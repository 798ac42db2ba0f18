package auth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

// Check returns everything that is wrong with i by itself, each with the way to put it
// right; nil when i can be used.
func (i Issuer) Check() []error {
	var problems []error
	for _, check := range []func(Issuer) error{
		checkIssuerURL, checkAudience, checkParties, checkRequire, checkScopeNames, checkHeader,
		checkKeySource, checkSecret, checkIntrospection, checkNetworks,
		checkAlgorithms, checkLifetime, checkOrg, checkProfile, checkMachines,
	} {
		if err := check(i); err != nil {
			problems = append(problems, fmt.Errorf("issuer %q: %w", i.Issuer, err))
		}
	}
	return problems
}

// checkIssuerURL holds `iss` to what OpenID Connect Core section 2 and RFC 8414 section 2
// say an issuer is.
func checkIssuerURL(i Issuer) error {
	u, err := checkURL(i.Issuer)
	if err != nil {
		return fmt.Errorf("issuer %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return errors.New("issuer has a query; write the issuer exactly as its tokens say in iss")
	}
	return nil
}

func checkAudience(i Issuer) error {
	if len(i.Audience) == 0 && len(i.AuthorizedParties) == 0 {
		return errors.New("audience is empty; list the value that the issuer puts into aud for this service, " +
			"or, if its tokens have no aud, authorized_parties")
	}
	if slices.Contains(i.Audience, "") {
		return errors.New("audience contains an empty value; remove it")
	}
	return nil
}

func checkParties(i Issuer) error {
	if slices.Contains(i.AuthorizedParties, "") {
		return errors.New("authorized_parties contains an empty value; remove it")
	}
	return nil
}

func checkRequire(i Issuer) error {
	for _, name := range slices.Sorted(maps.Keys(i.Require)) {
		if !validClaimName(name) {
			return fmt.Errorf("require names %q, which is no claim; write a name, or a JSON Pointer such as /o/id", name)
		}
		if len(i.Require[name]) == 0 || slices.Contains(i.Require[name], "") {
			return fmt.Errorf("require has no value, or an empty one, for %q; list those that are accepted", name)
		}
	}
	return nil
}

// scopeToken is RFC 6749 section 3.3.
var scopeToken = regexp.MustCompile(`^[!#-[\]-~]+$`)

func checkScopeNames(i Issuer) error {
	for _, scope := range i.Scopes {
		if !scopeToken.MatchString(scope) {
			return errors.New("scopes contains what is no scope; list each by itself, without spaces")
		}
	}
	return nil
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// takenHeaders have a meaning of their own.
var takenHeaders = []string{"Authorization", "Cookie", "Host", "Idempotency-Key", "Origin", "Proxy-Authorization", "X-Csrf"}

func checkHeader(i Issuer) error {
	if i.Header == "" {
		return nil
	}
	if !headerName.MatchString(i.Header) || slices.Contains(takenHeaders, http.CanonicalHeaderKey(i.Header)) {
		return errors.New("header is not a header of a proxy's own; write such as X-Goog-IAP-JWT-Assertion")
	}
	return nil
}

func checkAlgorithms(i Issuer) error {
	if !i.Secret.IsZero() {
		if len(i.Algorithms) > 0 && !slices.Equal(i.Algorithms, []string{secretAlgorithm}) {
			return errors.New("algorithms has more than HS256 beside secret_env; leave it out")
		}
		return nil
	}
	for _, name := range i.Algorithms {
		if name == secretAlgorithm {
			return errors.New("algorithms contains HS256 without secret_env; name the secret, or remove it")
		}
		if _, known := algorithms[name]; !known {
			return fmt.Errorf("algorithms contains %q; use some of %v", name, publicAlgorithms())
		}
	}
	return nil
}

func checkLifetime(i Issuer) error {
	if i.MaxLifetime < 0 {
		return errors.New("max_lifetime is negative; leave it out for 24h")
	}
	return nil
}

// checkOrg refuses half an organisation: with a claim but no way to bill, every member
// would get 403, and an empty role would let those bill who have none.
func checkOrg(i Issuer) error {
	o := i.Org
	if o.Claim == "" && o.RoleClaim == "" && len(o.BillingRoles) == 0 {
		return nil
	}
	if o.Claim == "" || o.RoleClaim == "" || len(o.BillingRoles) == 0 {
		return errors.New("org is incomplete; give claim, role_claim and billing_roles, or none of them")
	}
	if slices.Contains(o.BillingRoles, "") {
		return errors.New("org.billing_roles contains an empty role; remove it")
	}
	if !validClaimName(o.Claim) || !validClaimName(o.RoleClaim) {
		return errors.New("org names what is no claim; write a name, or a JSON Pointer such as /o/id")
	}
	return nil
}

func checkProfile(i Issuer) error {
	if i.Profile.EmailVerified != "" && i.Profile.Email == "" {
		return errors.New("profile.email_verified is given without profile.email; give both or neither")
	}
	for _, name := range []string{i.Profile.Email, i.Profile.EmailVerified, i.Profile.Name} {
		if name != "" && !validClaimName(name) {
			return errors.New("profile names what is no claim; write a name, or a JSON Pointer such as /user_metadata/name")
		}
	}
	return nil
}

func checkMachines(i Issuer) error {
	if i.Machines.Claim != "" && !validClaimName(i.Machines.Claim) {
		return errors.New("machines.claim is no claim; write a name, or a JSON Pointer such as /o/id")
	}
	return nil
}
