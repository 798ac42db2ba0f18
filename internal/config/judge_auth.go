package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"till/internal/auth"
)

func (l *loader) judgeAuth() Auth {
	a := Auth{CookieName: l.doc.Auth.Cookie.Name}
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

func (l *loader) judgeCookie(name string) {
	if name == "" {
		return
	}
	if !cookieName.MatchString(name) {
		l.rule("auth.cookie.name", "is not a cookie name", "write such as __Host-session")
	}
	l.warn("auth.cookie", "cookies are not read in this version: only Authorization: Bearer is")
}

// maxLifetime bounds how long somebody who has lost his rights can go on: a token
// is good until it ends.
const maxLifetime = 7 * 24 * time.Hour

func (l *loader) judgeIssuer(path string, body issuerBody) auth.Issuer {
	issuer := auth.Issuer{
		Issuer: body.Issuer, Audience: body.Audience, JWKSURL: body.JWKSURL, Algorithms: body.Algorithms,
		Types: body.Types, MaxLifetime: body.MaxLifetime,
		Org:     auth.Org{Claim: body.Org.Claim, RoleClaim: body.Org.RoleClaim, BillingRoles: body.Org.BillingRoles},
		Profile: auth.Profile{Email: body.Profile.Email, EmailVerified: body.Profile.EmailVerified, Name: body.Profile.Name},
	}
	issuer.StaticJWKS = l.keySet(path+".jwks_file", body.JWKSFile)
	if issuer.MaxLifetime > maxLifetime {
		l.rule(path+".max_lifetime", "tokens may live for 7 days at most", "write 168h or less")
	}
	for _, err := range issuer.Check() {
		l.issuerRule(path, err)
	}
	return issuer
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
	"issuer": "issuer", "audience": "audience", "jwks_url": "jwks_url", "algorithms": "algorithms", "max_lifetime": "max_lifetime",
	"org": "org", "org.billing_roles": "org.billing_roles", "profile.email_verified": "profile.email_verified",
	"the": "jwks_file", "both": "jwks_url",
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
