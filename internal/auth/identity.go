package auth

import (
	"slices"
	"strings"
)

// principal says who c is, after c was checked and its signature was good. From here on a
// refusal is Forbidden: the token is genuine.
func (c claims) principal(i Issuer) (Principal, error) {
	subject, _, err := c.text("sub")
	if err != nil {
		return Principal{}, reject(Subject, "sub is not a string")
	}
	if err := c.checkScopes(i.Scopes); err != nil {
		return Principal{}, err
	}
	machine := c.machine(subject, i.Machines)
	if machine && !i.Machines.Allow {
		return Principal{}, reject(Machine, "the token speaks for a client, and the issuer's machines are not allowed")
	}
	org, err := c.membership(i.Org)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{Issuer: i.Issuer, Subject: subject, Org: org, ExpiresAt: c.validity.expires, Machine: machine}
	p.Name = c.optionalText(i.Profile.Name)
	if verified := i.Profile.EmailVerified; verified == "" || c.isTrue(verified) {
		p.Email = c.optionalText(i.Profile.Email)
	}
	return p, nil
}

// checkScopes wants every required scope in scope, a string with spaces (RFC 9068 section
// 2.2.3), or in scp, which others write, and write as a list too.
func (c claims) checkScopes(required []string) error {
	var granted []string
	for _, name := range []string{"scope", "scp"} {
		values, err := words(c.object[name], maxWords)
		if err != nil {
			continue // grants nothing
		}
		for _, value := range values {
			granted = append(granted, strings.Split(value, " ")...)
		}
	}
	for _, scope := range required {
		if !slices.Contains(granted, scope) {
			return reject(Scope, "a required scope is missing")
		}
	}
	return nil
}

// machine reports whether a client speaks for itself. What cannot be read counts as the
// sign of it.
func (c claims) machine(subject string, m Machines) bool {
	ids, err := c.clients()
	if err != nil || c.optionalText("gty") == "client-credentials" || c.optionalText("idtyp") == "app" {
		return true
	}
	for _, id := range ids {
		if subject == id || subject == id+"@clients" { // the latter is Auth0's
			return true
		}
	}
	if m.Claim == "" {
		return false
	}
	_, present, err := c.at(m.Claim)
	return present || err != nil
}

// membership reads the organisation. A token without the claim is personal; one with it is
// never, whatever the claim holds: acting for the person instead would bill the wrong one.
func (c claims) membership(o Org) (*Membership, error) {
	if o.Claim == "" {
		return nil, nil
	}
	value, present, err := c.at(o.Claim)
	if err == nil && !present {
		return nil, nil
	}
	if err != nil {
		return nil, reject(Organisation, err.Error())
	}
	id, err := unquote(value)
	if err != nil || !fitName(id) {
		return nil, reject(Organisation, "the organisation claim is not a string of 1 to 255 bytes without control characters")
	}
	role, mayBill := c.role(o)
	return &Membership{ID: id, Role: role, MayBill: mayBill}, nil
}

// role returns the role that bills, if there is one, and else the first.
func (c claims) role(o Org) (role string, mayBill bool) {
	value, _, err := c.at(o.RoleClaim)
	if err != nil {
		return "", false
	}
	roles, err := words(value, maxWords)
	if err != nil {
		return "", false
	}
	roles = slices.DeleteFunc(roles, func(r string) bool { return !fitName(r) })
	if n := slices.IndexFunc(roles, func(r string) bool { return slices.Contains(o.BillingRoles, r) }); n >= 0 {
		return roles[n], true
	}
	if len(roles) == 0 {
		return "", false
	}
	return roles[0], false
}

// isTrue reports whether a claim is the literal true; "true" in quotes has been seen to be
// what a user wrote about himself.
func (c claims) isTrue(name string) bool {
	value, _, err := c.at(name)
	return err == nil && value.Kind() == 't'
}

// optionalText returns a claim that may be missing or unfit without harm; it is "" then.
func (c claims) optionalText(name string) string {
	if name == "" {
		return ""
	}
	raw, _, err := c.at(name)
	if err != nil {
		return ""
	}
	value, err := unquote(raw)
	if err != nil || !fitName(value) {
		return ""
	}
	return value
}
