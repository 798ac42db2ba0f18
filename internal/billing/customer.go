package billing

import (
	"till/internal/catalog"
)

// policy says what becomes of callers without a customer; the zero value makes one.
type policy struct{ refuseMissing, refuseDeleted bool }

// isCustomerGone reports whether Stripe refused a call because of the customer it
// names. The same code about a price, or a promotion code, is not that.
func isCustomerGone(err error) bool {
	param := paramOf(err)
	return catalog.IsMissing(err) && (param == "customer" || param == "customer_account")
}
