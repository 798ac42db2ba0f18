//go:build torture && linux

package torture_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
)

// mishap is one way in which a call to Stripe goes wrong, by the number it has in the
// catalogue of faults.
type mishap struct {
	name   string
	weight int
	// order is a fault of the sandbox's own; nil for what happens on the wire.
	order object
	wire  func(*proxy, http.ResponseWriter, *http.Request)
}

// proxy stands between the service and Stripe. What the sandbox cannot do by itself
// happens here: connections that break, answers that stop.
type proxy struct {
	stripe *stripe
	server *httptest.Server
	client *http.Client
	// plans are the mishaps of each operation, and how likely one is.
	plans map[string]plan
	calm  atomic.Bool

	mu     sync.Mutex
	dice   *rand.Rand
	struck map[string]int
	hits   map[string]int // as struck, by operation
	calls  map[string]int
}

type plan struct {
	share   float64
	mishaps []mishap
}

func newProxy(s *stripe, name string, plans map[string]plan) *proxy {
	p := &proxy{
		stripe: s, plans: plans, dice: dice(name), struck: map[string]int{}, hits: map[string]int{}, calls: map[string]int{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}},
	}
	p.server = httptest.NewServer(p)
	return p
}

// operations are those that can go wrong.
var operations = map[string]string{
	"POST /v1/customers": "customers.create", "GET /v1/customers": "customers.list",
	"POST /v1/checkout/sessions": "checkout.sessions.create", "POST /v1/billing_portal/sessions": "billing_portal.sessions.create",
}

func operationOf(r *http.Request) string {
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/customers/") {
		return "customers.retrieve"
	}
	return operations[r.Method+" "+r.URL.Path]
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := operationOf(r)
	m := p.roll(operation)
	switch {
	case m == nil:
		forward(p, w, r)
	case m.wire != nil:
		m.wire(p, w, r)
	default:
		// The next call of the operation gets it; this one, nearly always.
		if err := p.stripe.fault(r.Context(), operation, m.order); err != nil {
			p.count(p.struck, "not installed: "+m.name)
		}
		forward(p, w, r)
	}
}

// roll decides what happens to a call; nil is nothing.
func (p *proxy) roll(operation string) *mishap {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[operation]++
	plan := p.plans[operation]
	if p.calm.Load() || p.dice.Float64() >= plan.share {
		return nil
	}
	sum := 0
	for _, m := range plan.mishaps {
		sum += m.weight
	}
	at := p.dice.IntN(sum)
	for i := range plan.mishaps {
		m := &plan.mishaps[i]
		if at -= m.weight; at < 0 {
			p.struck[m.name]++
			p.hits[operation]++
			return m
		}
	}
	return nil
}

func (p *proxy) count(in map[string]int, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in[name]++
}

// strikes returns what went wrong, and the share of an operation's calls that did.
func (p *proxy) strikes() (byName string, total int, calls string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.struck {
		total += n
	}
	return counts(p.struck), total, counts(p.calls)
}
