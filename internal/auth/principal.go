package auth

import "time"

// Principal is who a verified credential says is calling.
type Principal struct {
	// Issuer and Subject identify the person together; both are compared byte by byte.
	Issuer, Subject string
	// Org is the organisation the token acts for; nil for a personal token.
	Org *Membership
	// Email and Name come from the claims that the issuer's Profile names, and are empty
	// when it names none or the claim is not fit to use; Email also when the profile names
	// a claim that does not say that the address is verified.
	Email, Name string
	// ExpiresAt is the token's exp.
	ExpiresAt time.Time
	// Machine is whether a client speaks for itself, which its issuer must allow.
	Machine bool
	// Ambient is whether the credential was not in Authorization but came by itself: in a
	// cookie, or in a header that a proxy adds. A page of anybody's can cause such a
	// request, so it needs a proof of its own before it may change anything.
	Ambient bool
}

// Membership is the organisation in a token and the caller's part in it.
type Membership struct {
	ID, Role string
	// MayBill is whether Role is one of the issuer's billing roles. A member who may not
	// bill is still a member: there is no falling back to the person.
	MayBill bool
}
