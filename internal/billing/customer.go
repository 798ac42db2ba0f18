package billing

import (
	"context"

	"till/internal/catalog"
	"till/internal/customers"
)

// policy says what becomes of callers without a customer; the zero value makes one.
type policy struct{ refuseMissing, refuseDeleted bool }

// withCustomer calls use with the caller's customer. When Stripe answers that this
// customer is gone, and the policy has nothing against it, the caller gets another
// one and use a second try; there is no third.
func withCustomer[T any](ctx context.Context, s *Service, c Caller, p policy, use func(customers.Customer) (T, error)) (T, error) {
	var none T
	resolve := s.o.Customers.Ensure
	if p.refuseMissing {
		resolve = s.o.Customers.Require
	}
	customer, err := resolve(ctx, c.owner)
	if err != nil {
		return none, err
	}
	s.o.Customers.Tell(ctx, c.owner, customer, c.profile)
	answer, err := use(customer)
	if !isCustomerGone(err) {
		return answer, err
	}
	if p.refuseDeleted || customer.IsAccount {
		return none, s.o.Customers.Refuse(err)
	}
	if err := s.o.Gate.Confirm(ctx); err != nil {
		return none, err
	}
	if customer, err = s.o.Customers.Heal(ctx, c.owner, customer); err != nil {
		return none, err
	}
	s.o.Customers.Tell(ctx, c.owner, customer, c.profile)
	return use(customer)
}

// isCustomerGone reports whether Stripe refused a call because of the customer it
// names. The same code about a price, or a promotion code, is not that.
func isCustomerGone(err error) bool {
	param := paramOf(err)
	return catalog.IsMissing(err) && (param == "customer" || param == "customer_account")
}
