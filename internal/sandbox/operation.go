package sandbox

import "net/http"

// operation is one of Stripe's API calls.
type operation struct {
	name  string // "checkout.sessions.create": names its parameters and faults
	route string // a ServeMux pattern
	run   func(*call) (any, error)
}

// operations is the whole API.
func operations() []operation {
	var all []operation
	for _, some := range [][]operation{
		accountOperations(), customerOperations(), productOperations(), priceOperations(),
		couponOperations(), promotionCodeOperations(), shippingRateOperations(),
		checkoutOperations(), subscriptionOperations(), paymentOperations(), portalOperations(),
	} {
		all = append(all, some...)
	}
	return all
}

func (s *Sandbox) apiRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, op := range operations() {
		mux.HandleFunc(op.route, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, op) })
	}
	return mux
}

// call is one request on its way through an operation, under Sandbox.mu.
type call struct {
	*state
	sandbox *Sandbox
	request *http.Request
	params  params
	version string
	now     int64
}

// path is a wildcard of the route.
func (c *call) path(name string) string { return c.request.PathValue(name) }

// create stores a new object of a kind.
func (c *call) create(kind, id string, fields object, hidden any) (*record, error) {
	return c.tables[kind].add(id, c.now, fields, hidden)
}

// fromPath finds the object that the path names, or 404 resource_missing.
func (c *call) fromPath(kind, wildcard string) (*record, error) {
	id := c.path(wildcard)
	if r := c.find(kind, id); r != nil {
		return r, nil
	}
	return nil, notFound(c.tables[kind].noun, id)
}

// fromParam finds the object that a parameter names, or 400 resource_missing.
func (c *call) fromParam(kind, id, param string) (*record, error) {
	if r := c.find(kind, id); r != nil {
		return r, nil
	}
	return nil, noSuch(c.tables[kind].noun, id, param)
}

// retrieve is the operation that every kind has.
func retrieve(kind, wildcard string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		r, err := c.fromPath(kind, wildcard)
		if err != nil {
			return nil, err
		}
		return c.show(kind, r), nil
	}
}
