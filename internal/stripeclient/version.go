package stripeclient

import (
	"fmt"
	"maps"
	"slices"
)

// floors are the first Stripe-Versions that know an operation, of those that came
// after the one stripe-go was made for.
var floors = map[operation]string{opCheckoutUpdate: "2024-09-30.acacia"}

// version is the Stripe-Version of op: the one configured for it, else the common
// one, unless that is older than the operation.
func (c *Client) version(op operation) string { return c.atLeast(op, floors[op]) }

// atLeast is version for a call that needs a newer one than others of its operation.
func (c *Client) atLeast(op operation, floor string) string {
	if own := c.o.Versions[string(op)]; own != "" {
		return own
	}
	// They begin with their date, so the later one is the greater one.
	return max(c.o.Version, floor)
}

// accountsVersion is the first version in which an account can stand in for a customer.
const accountsVersion = "2025-12-15.clover"

// versionFor is version for a call about a customer, or an account in its place.
func (c *Client) versionFor(op operation, isAccount bool) string {
	if isAccount {
		return c.atLeast(op, max(floors[op], accountsVersion))
	}
	return c.version(op)
}

// CustomerVersion is the Stripe-Version that customers are created with. It is
// frozen with their parameters.
func (c *Client) CustomerVersion() string { return c.version(opCustomerCreate) }

// Operations returns the names that Options.Versions may have, which metrics have too,
// each with the first Stripe-Version that knows it; "" where that is any.
func Operations() map[string]string {
	all := map[string]string{}
	for _, op := range operations {
		all[string(op)] = floors[op]
	}
	return all
}

// checkVersions refuses versions of what is no operation: they would never be sent.
func checkVersions(versions map[string]string) error {
	known := Operations()
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("a Stripe-Version is given for %q, which is no operation", name)
		}
	}
	return nil
}
