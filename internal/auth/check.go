package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Check returns everything that is wrong with i by itself, each with the way to put it
// right; nil when i can be used.
func (i Issuer) Check() []error {
	var problems []error
	for _, check := range []func(Issuer) error{
		checkIssuerURL, checkAudience, checkKeySource, checkAlgorithms, checkLifetime, checkOrg, checkProfile,
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
	if len(i.Audience) == 0 {
		return errors.New("audience is empty; list the value that the issuer puts into aud for this service")
	}
	if slices.Contains(i.Audience, "") {
		return errors.New("audience contains an empty value; remove it")
	}
	return nil
}

func checkKeySource(i Issuer) error {
	switch {
	case len(i.StaticJWKS) > 0 && i.JWKSURL != "":
		return errors.New("both a static key set and jwks_url are given; keep one")
	case len(i.StaticJWKS) > 0:
		return checkStaticKeys(i)
	case i.JWKSURL != "":
		return checkFetchURL("jwks_url", i.JWKSURL)
	default:
		return checkFetchURL("issuer", i.Issuer)
	}
}

func checkStaticKeys(i Issuer) error {
	set, err := parseKeySet(i.StaticJWKS, i.withDefaults().Algorithms)
	if set.ignored[ignoredPrivate] > 0 {
		return errors.New("the static key set contains private or symmetric key material; give the public keys only")
	}
	if err != nil {
		return fmt.Errorf("the static key set %w", err)
	}
	return nil
}

// checkFetchURL refuses addresses that the dialer would refuse for ever. A URL that
// cannot be read is another check's to report when it is the issuer.
func checkFetchURL(name, address string) error {
	u, err := checkURL(address)
	if err != nil && name == "issuer" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !ip.IsLoopback() && !publicAddress(ip) {
		return fmt.Errorf("%s names a private address, to which no connection is made; use the issuer's public host name", name)
	}
	return nil
}

// checkURL parses an absolute URL that may be trusted with keys: https, or http on this
// machine; no userinfo, no fragment.
func checkURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return nil, errors.New("is not an absolute URL; write it with https:// and a host")
	}
	here := u.Scheme == "http" && loopbackHost(u.Hostname())
	if u.Scheme != "https" && !here {
		return nil, errors.New("is not https; plain http is for loopback hosts only")
	}
	if u.User != nil || strings.Contains(address, "#") {
		return nil, errors.New("has userinfo or a fragment; remove it")
	}
	return u, nil
}

func checkAlgorithms(i Issuer) error {
	for _, name := range i.Algorithms {
		if _, known := algorithms[name]; !known {
			return fmt.Errorf("algorithms contains %q; use some of %v", name, algorithmNames())
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
	return nil
}

func checkProfile(i Issuer) error {
	if i.Profile.EmailVerified != "" && i.Profile.Email == "" {
		return errors.New("profile.email_verified is given without profile.email; give both or neither")
	}
	return nil
}
