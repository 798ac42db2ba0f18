package billing

import (
	"cmp"

	"till/internal/audit"
	"till/internal/auth"
	"till/internal/customers"
)

// Actor returns what the audit keeps of a principal, also of one who may not act.
func (s *Service) Actor(p auth.Principal) audit.Actor {
	// Before the account is known only refusals are audited.
	account, _ := s.o.Gate.Account()
	a := audit.Actor{Account: account.ID, Livemode: s.o.Gate.o.Livemode, Issuer: p.Issuer}
	subject := s.o.SubjectForm.Apply(p.Subject)
	if p.Org == nil {
		a.Kind, a.Subject = string(customers.KindUser), subject
		return a
	}
	a.Kind, a.Subject, a.Member = string(customers.KindOrg), s.o.SubjectForm.Apply(p.Org.ID), subject
	return a
}

// Written names what a write has made or changed, and the customer whose it is.
func (s CheckoutSession) Written() (object, customer string) {
	return string(s.ID), string(cmp.Or(s.Customer, s.CustomerAccount))
}

// Written names what a write has made, and the customer whose it is.
func (s PortalSession) Written() (object, customer string) {
	return string(s.ID), string(cmp.Or(s.Customer, s.CustomerAccount))
}
