package auth

import (
	"errors"
	"slices"

	"till/internal/problem"
)

// principal says who c is, after c was checked and its signature was good. An
// organisation that cannot be read is problem.Forbidden: the token is genuine, but acting
// for the person instead would bill the wrong one.
func (c claims) principal(i Issuer) (Principal, error) {
	subject, _, err := c.text("sub")
	if err != nil {
		return Principal{}, reject(Subject, "sub is not a string")
	}
	org, err := c.membership(i.Org)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{Issuer: i.Issuer, Subject: subject, Org: org, ExpiresAt: c.expiresAt}
	p.Name = c.optionalText(i.Profile.Name)
	if verified := i.Profile.EmailVerified; verified == "" || c.object[verified].Kind() == 't' {
		p.Email = c.optionalText(i.Profile.Email)
	}
	return p, nil
}

// membership reads the organisation. A token without the claim is personal; one with it is
// never, whatever the claim holds.
func (c claims) membership(o Org) (*Membership, error) {
	if o.Claim == "" || !c.has(o.Claim) {
		return nil, nil
	}
	id, _, err := c.text(o.Claim)
	if err != nil || !fitName(id) {
		return nil, problem.New(problem.Forbidden,
			errors.New("the organisation claim is not a string of 1 to 255 bytes without control characters"))
	}
	role := c.optionalText(o.RoleClaim)
	return &Membership{ID: id, Role: role, MayBill: role != "" && slices.Contains(o.BillingRoles, role)}, nil
}

// optionalText returns a claim that may be missing or unfit without harm; it is "" then.
func (c claims) optionalText(name string) string {
	if name == "" {
		return ""
	}
	value, _, err := c.text(name)
	if err != nil || !fitName(value) {
		return ""
	}
	return value
}
