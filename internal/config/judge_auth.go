package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"till/internal/auth"
	"till/internal/secret"
)

func (l *loader) judgeAuth() Auth {
	a := Auth{CookieName: l.doc.Auth.Cookie.Name, TokenCache: l.doc.Auth.Cached}
	l.atLeast("auth.token_cache", a.TokenCache, 0)
	if a.TokenCache > auth.MaxTokenCache {
		l.rule("auth.token_cache", "is too large", fmt.Sprintf("write %d or less", auth.MaxTokenCache))
	}
	for i, text := range l.doc.Auth.Origins {
		a.Origins = append(a.Origins, l.judgeOrigin(fmt.Sprintf("auth.origins.%d", i), text, a.Origins))
	}
	l.judgeCookie(a.CookieName)
	for i, body := range l.doc.Auth.Issuers {
		path := fmt.Sprintf("auth.issuers.%d", i)
		issuer := l.judgeIssuer(path, body)
		if issuer.Issuer != "" && slices.ContainsFunc(a.Issuers, func(other auth.Issuer) bool { return other.Issuer == issuer.Issuer }) {
			l.rule(path+".issuer", "is listed twice", "keep one entry for each issuer")
		}
		if issuer.Introspection.URL != "" && slices.ContainsFunc(a.Issuers, asks) {
			l.rule(path+".introspection", "is given for a second issuer, and an opaque token does not say whose it is", "keep one")
		}
		a.Issuers = append(a.Issuers, issuer)
	}
	if len(a.Issuers) == 0 && !l.Dev {
		l.rule("auth.issuers", "nobody could call: at least one issuer is required", "add {issuer: https://id.example.com/, audience: [till]}")
	}
	return a
}

// judgeOrigin wants the very text that a browser sends: it is compared as it is.
func (l *loader) judgeOrigin(path, text string, before []string) string {
	origin := l.originRule(path, text, "https://app.example.com")
	switch {
	case origin != "" && origin != text:
		l.rule(path, "is not written as browsers send it", "write "+origin)
	case slices.Contains(before, origin):
		l.rule(path, "is listed twice", "keep one")
	}
	return origin
}

// cookieName is RFC 6265's token.
var cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// judgeCookie holds the name to what browsers do with it: one with a prefix cannot be set
// by a sibling host (__Host-), or without TLS (__Secure-). They take the prefix in any
// case, so that a name in another case would look protected to us and not be ours.
func (l *loader) judgeCookie(name string) {
	if name == "" {
		return
	}
	host, secure := strings.HasPrefix(name, "__Host-"), strings.HasPrefix(name, "__Secure-")
	lower := strings.ToLower(name)
	switch {
	case !cookieName.MatchString(name) || name == "__Host-" || name == "__Secure-":
		l.rule("auth.cookie.name", "is not a cookie name", "write such as __Host-session")
	case !host && strings.HasPrefix(lower, "__host-"), !secure && strings.HasPrefix(lower, "__secure-"):
		l.rule("auth.cookie.name", "has a prefix in another case", "write __Host- or __Secure-, which browsers and Till compare as they are")
	case !host && !secure:
		l.warn("auth.cookie.name", "has neither __Host- nor __Secure- in front: sites beside this one, and anyone on the network, may plant such a cookie")
	}
}

func asks(i auth.Issuer) bool { return i.Introspection.URL != "" }

// maxLifetime bounds how long somebody who has lost his rights can go on: a token
// is good until it ends.
const maxLifetime = 7 * 24 * time.Hour

func (l *loader) judgeIssuer(path string, body issuerBody) auth.Issuer {
	issuer := auth.Issuer{
		Issuer: body.Issuer, Audience: body.Audience, AuthorizedParties: body.AuthorizedParties,
		Require: body.Require, Scopes: body.Scopes, Header: body.Header,
		JWKSURL: body.JWKSURL, Algorithms: body.Algorithms, Types: body.Types, MaxLifetime: body.MaxLifetime,
		Machines:      auth.Machines{Allow: body.Machines.Allow, Claim: body.Machines.Claim},
		Introspection: auth.Introspection{URL: body.Introspection.URL, ClientID: body.Introspection.ClientID},
		Org:           auth.Org{Claim: body.Org.Claim, RoleClaim: body.Org.RoleClaim, BillingRoles: body.Org.BillingRoles},
		Profile:       auth.Profile{Email: body.Profile.Email, EmailVerified: body.Profile.EmailVerified, Name: body.Profile.Name},
	}
	issuer.StaticJWKS = l.keySet(path+".jwks_file", body.JWKSFile)
	issuer.Secret = l.namedSecret(path+".secret_env", body.SecretEnv)
	issuer.Introspection.Secret = l.namedSecret(path+".introspection.secret_env", body.Introspection.SecretEnv)
	for n, text := range body.PrivateNetworks {
		issuer.PrivateNetworks = append(issuer.PrivateNetworks, l.network(fmt.Sprintf("%s.private_networks.%d", path, n), text))
	}
	if issuer.MaxLifetime > maxLifetime {
		l.rule(path+".max_lifetime", "tokens may live for 7 days at most", "write 168h or less")
	}
	for _, err := range issuer.Check() {
		l.issuerRule(path, err)
	}
	return issuer
}

// variableName is what a secret_env can hold. A secret that was put there by mistake has
// hardly this form, and no message shows it.
var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// namedSecret returns the secret in the variable of that name, or in the file that the
// variable with _FILE names.
func (l *loader) namedSecret(path, name string) secret.Secret {
	if name == "" {
		return secret.Secret{}
	}
	if !variableName.MatchString(name) {
		l.rule(path, "is not the name of a variable", "write the name, such as TILL_ISSUER_SECRET, and put the secret into the variable")
		return secret.Secret{}
	}
	value, _ := l.secret(name)
	if value == "" && !l.spoiled(name) {
		l.rule(path, "names a variable that is not set", "set it, or with _FILE behind its name to a file that holds the secret")
	}
	if value == "" {
		l.spoil(path)
	}
	return secret.New(value)
}

// namedSecrets are the variables that the file names.
func (l *loader) namedSecrets() []string {
	var names []string
	for _, body := range l.doc.Auth.Issuers {
		names = append(names, body.SecretEnv, body.Introspection.SecretEnv)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func (l *loader) network(path, text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() {
		l.rule(path, "is not a network", "write an address with zeros behind the prefix and its length, such as 10.1.0.0/16")
	}
	return p
}

func (l *loader) keySet(path, file string) []byte {
	if file == "" {
		return nil
	}
	data, err := l.ReadFile(file)
	if err != nil {
		l.rule(path, "cannot be read: "+reason(err), "name a file with a JWK set that this user may read")
	}
	return data
}

// issuerFields are the settings that a finding of auth can begin with.
var issuerFields = map[string]string{
	"issuer": "issuer", "audience": "audience", "authorized_parties": "authorized_parties", "require": "require",
	"scopes": "scopes", "header": "header", "jwks_url": "jwks_url", "the": "jwks_file", "both": "jwks_url",
	"secret_env": "secret_env", "introspection": "introspection", "introspection.url": "introspection.url",
	"private_networks": "private_networks", "algorithms": "algorithms", "max_lifetime": "max_lifetime",
	"machines.claim": "machines.claim", "org": "org", "org.billing_roles": "org.billing_roles",
	"profile": "profile", "profile.email_verified": "profile.email_verified",
}

// issuerRule reports a finding of auth, `issuer "…": audience is empty; list …`, at
// the setting it speaks of, or at the issuer when that is not clear.
func (l *loader) issuerRule(path string, err error) {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	text, fix, _ := strings.Cut(err.Error(), "; ")
	word, rest, _ := strings.Cut(text, " ")
	if name, ok := issuerFields[word]; ok {
		path = join(path, name)
		if word == name {
			text = rest
		}
	}
	if !l.touched(path) {
		l.refuse(path, text, fix)
	}
}
