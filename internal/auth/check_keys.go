package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

func checkKeySource(i Issuer) error {
	switch {
	case !i.Secret.IsZero():
		return nil // checkSecret's to judge
	case len(i.StaticJWKS) > 0 && i.JWKSURL != "":
		return errors.New("both a static key set and jwks_url are given; keep one")
	case len(i.StaticJWKS) > 0:
		return checkStaticKeys(i)
	case i.JWKSURL != "":
		return checkFetchURL("jwks_url", i.JWKSURL, i.reach())
	case i.Introspection.URL != "":
		return nil // it has no keys
	default:
		return checkFetchURL("issuer", i.Issuer, i.reach())
	}
}

const minSecret = 32 // bytes: RFC 7518 section 3.2

// checkSecret keeps secrets apart from keys that everyone may have: where one issuer had
// both, a public key could be taken for the secret.
func checkSecret(i Issuer) error {
	switch {
	case i.Secret.IsZero():
		return nil
	case i.JWKSURL != "" || len(i.StaticJWKS) > 0 || i.Introspection.URL != "":
		return errors.New("secret_env is given beside jwks_url, jwks_file or introspection; keep one")
	case len(i.Secret.Reveal()) < minSecret:
		return errors.New("secret_env names a secret of less than 32 bytes; use the issuer's own, or a longer one")
	case strings.Contains(i.Secret.Reveal(), "-----BEGIN") || strings.HasPrefix(strings.TrimSpace(i.Secret.Reveal()), "{"):
		return errors.New("secret_env names a PEM or JWK text, which is no shared secret; give public keys with jwks_file")
	default:
		return nil
	}
}

func checkIntrospection(i Issuer) error {
	to := i.Introspection
	if to == (Introspection{}) {
		return nil
	}
	if to.URL == "" || to.ClientID == "" || to.Secret.IsZero() {
		return errors.New("introspection is incomplete; give url, client_id and secret_env")
	}
	return checkFetchURL("introspection.url", to.URL, i.reach())
}

// privateSpace is what private networks are made of.
var privateSpace = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("fc00::/7"),
}

// checkNetworks refuses to open what no identity provider is in: loopback, link-local
// addresses, where clouds keep their metadata, and everything.
func checkNetworks(i Issuer) error {
	for _, p := range i.PrivateNetworks {
		inside := func(space netip.Prefix) bool { return space.Contains(p.Addr()) && p.Bits() >= space.Bits() }
		if !p.IsValid() || !slices.ContainsFunc(privateSpace, inside) {
			return fmt.Errorf("private_networks contains %s, which is not within %v; list the networks of the issuer", p, privateSpace)
		}
	}
	return nil
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
func checkFetchURL(name, address string, r reach) error {
	u, err := checkURL(address)
	if err != nil && name == "issuer" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !ip.IsLoopback() && !r.allows(ip) {
		return fmt.Errorf("%s names a private address, to which no connection is made; use the issuer's public host name, or list private_networks", name)
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
