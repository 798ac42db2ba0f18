package sandbox

import "time"

const (
	maxSessions = 50_000  // the oldest are forgotten
	maxObjects  = 100_000 // per kind; more are refused
)

// state is everything that a reset forgets. The owner holds Sandbox.mu.
type state struct {
	tables   map[string]*table
	advanced time.Duration // how far the clock was moved
	idem     *idempotency
	faults   []*fault
	struck   map[string]int // by kind: how many requests a fault made a difference to
	journal  *journal
	portals  *portalLinks
	account  string          // the sandbox's own
	accounts map[string]bool // customer accounts (Accounts v2) by id
}

// kinds lists what is stored: Stripe's `object`, its noun in messages.
var kinds = []struct{ kind, noun string }{
	{"account", "account"},
	{"customer", "customer"},
	{"product", "product"},
	{"price", "price"},
	{"coupon", "coupon"},
	{"promotion_code", "promotion code"},
	{"shipping_rate", "shipping rate"},
	{"checkout.session", "checkout.session"},
	{"subscription", "subscription"},
	{"payment_intent", "payment_intent"},
	{"setup_intent", "setupintent"},
	{"payment_method", "PaymentMethod"},
	{"invoice", "invoice"},
	{"billing_portal.configuration", "configuration"},
	{"billing_portal.session", "portal session"},
}

func newState(templates map[string]object) *state {
	st := &state{tables: map[string]*table{}, idem: newIdempotency(), journal: &journal{}, struck: map[string]int{}, accounts: map[string]bool{}, portals: newPortalLinks()}
	for _, k := range kinds {
		t := &table{
			kind: k.kind, noun: k.noun, template: templates[k.kind], limit: maxObjects,
			byID: map[string]*record{}, byCustomer: map[string][]*record{},
		}
		if k.kind == "checkout.session" || k.kind == "billing_portal.session" {
			t.limit, t.evicts = maxSessions, true
		}
		st.tables[k.kind] = t
	}
	return st
}

// find looks an object up by id, nil if there is none.
func (st *state) find(kind, id string) *record { return st.tables[kind].byID[id] }
