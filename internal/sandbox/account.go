package sandbox

import "strconv"

func accountOperations() []operation {
	own := func(c *call) (any, error) { return c.show("account", c.find("account", c.state.account)), nil }
	return []operation{
		{"account.retrieve", "GET /v1/account", own},
		{"accounts.retrieve", "GET /v1/accounts/{account}", retrieveAccount},
	}
}

// retrieveAccount knows the own account only; Stripe refuses others with 403.
func retrieveAccount(c *call) (any, error) {
	r := c.find("account", c.path("account"))
	if r == nil {
		e := invalid("account_invalid", "", "The provided key does not have access to account '%s' (or that account does not exist). Application access may have been revoked.", c.path("account"))
		e.Status = 403
		return nil, e
	}
	return c.show("account", r), nil
}

func itoa(n int) string { return strconv.Itoa(n) }
