package billing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/idempotency"
	"till/internal/problem"
	"till/internal/redirect"
	"till/internal/store/storetest"
)

type params = catalog.Params

// fakeStripe has an account, prices, promotion codes, and the sessions that were
// created. A set function comes before it.
type fakeStripe struct {
	accountID  func() (string, error)
	create     func(billing.NewSession) error // of both kinds of session
	prices     map[string]catalog.Price       // by id; those with a lookup key also by that
	promotions map[string]string
	priceErr   error // of every look-up of prices
	existing   existing

	mu        sync.Mutex
	calls     map[string]int
	sent      []billing.NewSession
	sessions  map[string]billing.CheckoutSession // by id, as they are
	keys      map[string]billing.CheckoutSession // by idempotency key, as they were made
	customers int
	lost      []string // the customers that were deleted
	told      []customers.Profile
	toldTo    []string // whom, beside told
	tellErr   error    // of every profile
	history   history

	portal portalStripe
}

// stripeError is what stripeclient's error is to this package.
type stripeError struct {
	text, param                 string
	missing, denied, unknownKey bool
	silent                      bool // nobody has answered
}

func (e *stripeError) Error() string          { return e.text }
func (e *stripeError) Param() string          { return e.param }
func (e *stripeError) Missing() bool          { return e.missing }
func (e *stripeError) PermissionDenied() bool { return e.denied }
func (e *stripeError) KeyRefused() bool       { return e.unknownKey }

func refused(e stripeError) error { return problem.New(problem.UpstreamError, &e) }

func (f *fakeStripe) count(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[call]++
}

// since returns the calls made until now, and forgets them.
func (f *fakeStripe) since() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// sells replaces the prices while others may be reading them.
func (f *fakeStripe) sells(prices map[string]catalog.Price) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prices = prices
}

func (f *fakeStripe) AccountID(context.Context) (string, error) {
	f.count("account")
	if f.accountID != nil {
		return f.accountID()
	}
	return "acct_1", nil
}

func (f *fakeStripe) PricesByLookupKey(_ context.Context, keys []string) ([]catalog.Price, error) {
	f.count("prices")
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []catalog.Price
	if f.priceErr != nil {
		return nil, f.priceErr
	}
	for _, key := range keys {
		for _, p := range f.prices {
			if p.LookupKey == key && p.Active {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func (f *fakeStripe) PriceByID(_ context.Context, id string) (catalog.Price, error) {
	f.count("price")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.priceErr != nil {
		return catalog.Price{}, f.priceErr
	}
	p, ok := f.prices[id]
	if !ok {
		return p, refused(stripeError{text: "resource_missing", missing: true})
	}
	return p, nil
}

func (f *fakeStripe) PromotionCodeID(_ context.Context, code string) (string, error) {
	f.count("promotion code")
	id, ok := f.promotions[code]
	if !ok {
		return "", refused(stripeError{text: "resource_missing", missing: true})
	}
	return id, nil
}

func (f *fakeStripe) CreateCheckoutSession(_ context.Context, s billing.NewSession) (billing.CheckoutSession, error) {
	f.count("create checkout")
	if err := f.creating(s); err != nil {
		return billing.CheckoutSession{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if made, known := f.keys[s.IdempotencyKey]; known {
		made.Replayed = true
		return made, nil
	}
	id := fmt.Sprintf("cs_test_%d", len(f.sessions)+1)
	session := billing.CheckoutSession{
		ID: billing.ID(id), Object: "checkout.session", Customer: billing.ID(s.Customer), Livemode: s.Livemode,
		Status: new("open"), PaymentStatus: "unpaid", URL: new("https://checkout.stripe.com/c/pay/" + id),
	}
	if f.sessions == nil {
		f.sessions, f.keys = map[string]billing.CheckoutSession{}, map[string]billing.CheckoutSession{}
	}
	f.remembers(&session, s)
	f.sessions[id], f.keys[s.IdempotencyKey] = session, session
	return session, nil
}

func (f *fakeStripe) CheckoutSession(ctx context.Context, id string, _ bool) (billing.CheckoutSession, error) {
	f.count("read checkout")
	if f.existing.reading != nil {
		f.existing.reading(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.sessions[id]
	if !ok {
		return s, refused(stripeError{text: "resource_missing", missing: true})
	}
	return s, nil
}

func (f *fakeStripe) CreatePortalSession(_ context.Context, s billing.NewSession) (billing.PortalSession, error) {
	f.count("create portal")
	if err := f.creating(s); err != nil {
		return billing.PortalSession{}, err
	}
	return billing.PortalSession{ID: "bps_1", Customer: billing.ID(s.Customer), URL: "https://billing.stripe.com/p/session/x"}, nil
}

// creating keeps what was sent as it was at that moment.
func (f *fakeStripe) creating(s billing.NewSession) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Params = deepCopy(s.Params).(params)
	f.sent = append(f.sent, s)
	if f.create != nil {
		return f.create(s)
	}
	if _, known := f.keys[s.IdempotencyKey]; !known && slices.Contains(f.lost, s.Customer) {
		return refused(stripeError{text: "resource_missing", param: "customer", missing: true})
	}
	return nil
}

func (f *fakeStripe) last(t *testing.T) billing.NewSession {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.sent) == 0 {
		t.Fatal("nothing was sent")
	}
	return f.sent[len(f.sent)-1]
}

func deepCopy(v any) any {
	switch v := v.(type) {
	case params:
		c := maps.Clone(v)
		for k := range c {
			c[k] = deepCopy(c[k])
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = deepCopy(v[i])
		}
		return c
	default:
		return v
	}
}

// customerStripe makes customers: cus_1 for the first owner, cus_2 for the next.
type customerStripe struct{ f *fakeStripe }

func (c customerStripe) CreateCustomer(context.Context, customers.NewCustomer) (customers.Created, error) {
	c.f.count("create customer")
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.customers++
	return customers.Created{ID: fmt.Sprintf("cus_%d", c.f.customers)}, nil
}

// Now and Time say the host's.
func (c customerStripe) Now() (customers.Moment, bool) { return customers.At(time.Now()), true }

func (c customerStripe) Time(context.Context) (customers.Moment, error) {
	return customers.At(time.Now()), nil
}

// CustomerLife knows the customers that were lost.
func (c customerStripe) CustomerLife(_ context.Context, id string) (customers.Life, error) {
	c.f.count("customer life")
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if slices.Contains(c.f.lost, id) {
		return customers.Deleted, nil
	}
	return customers.Alive, nil
}

// UpdateProfile keeps what was told.
func (c customerStripe) UpdateProfile(_ context.Context, id string, p customers.Profile) error {
	c.f.count("update customer")
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.told, c.f.toldTo = append(c.f.told, p), append(c.f.toldTo, id)
	return c.f.tellErr
}

func (c customerStripe) CustomersCreated(context.Context, time.Time, time.Time, string) ([]customers.Listed, bool, error) {
	return nil, false, errors.New("nothing is to be looked for")
}

// service is the use cases over a catalogue, with a gate that is open.
type service struct {
	*billing.Service
	stripe   *fakeStripe
	store    *storetest.Memory
	catalog  *catalog.Catalog
	registry *prometheus.Registry
	// later is how long it is after what the clock says.
	later atomic.Int64
}

func (s *service) now() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }

// pass lets time go by, as far as what was read grows old.
func (s *service) pass(d time.Duration) { s.later.Add(int64(d)) }

func newService(t *testing.T, edit ...func(*config)) *service {
	t.Helper()
	c := config{
		plans: plans(), portals: portals(),
		redirects: redirect.Options{Allow: []string{"https://app.example.com"}, Default: "https://app.example.com/account"},
		stripe:    &fakeStripe{prices: prices(), promotions: map[string]string{"SPRING": "promo_1"}},
	}
	for _, e := range edit {
		e(&c)
	}
	if c.store == nil {
		c.store = storetest.NewMemory()
	}
	s := &service{stripe: c.stripe, store: c.store, catalog: catalog.New(c.plans, c.portals), registry: prometheus.NewRegistry()}
	policy, err := redirect.New(c.redirects)
	if err != nil {
		t.Fatal(err)
	}
	mapping, err := customers.New(s.store, customerStripe{c.stripe}, s.registry, customers.Options{SubjectForm: c.form})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mapping.Close)
	if !c.unresolved {
		if _, err := s.catalog.Refresh(t.Context(), c.stripe, true); err != nil {
			t.Fatal(err)
		}
	}
	if c.gate == nil {
		c.gate = opened(t, c.stripe)
	}
	s.Service, err = billing.New(billing.Options{
		Gate: c.gate, Catalog: s.catalog, Customers: mapping, Redirects: policy, Stripe: versioned{c.stripe, c.version},
		Metrics: s.registry, SubjectForm: c.form, Idempotency: newKeys(t, c, s.registry), Now: s.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.stripe.since()
	return s
}

type config struct {
	plans     []catalog.Plan
	portals   []catalog.Portal
	redirects redirect.Options
	stripe    *fakeStripe
	form      customers.SubjectForm
	gate      *billing.Gate // one of acct_1 in live mode by default
	keys      idempotency.Store
	store     *storetest.Memory
	version   string
	// unresolved leaves Stripe unasked for the prices.
	unresolved bool
}

func (s *service) caller(t *testing.T, subject string) billing.Caller {
	t.Helper()
	c, err := s.Caller(auth.Principal{Issuer: "https://id.example.com/", Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// buys creates a session and returns what was sent for it.
func (s *service) buys(t *testing.T, subject string, req billing.CheckoutRequest) billing.NewSession {
	t.Helper()
	if _, err := s.CreateCheckout(t.Context(), s.caller(t, subject), req); err != nil {
		t.Fatal(err)
	}
	return s.stripe.last(t)
}

// untouched holds that nothing was asked of Stripe and nobody was reserved.
func (s *service) untouched(t *testing.T) {
	t.Helper()
	if calls := s.stripe.since(); len(calls) != 0 {
		t.Errorf("Stripe was called: %v", calls)
	}
	if rows := s.store.Records(); len(rows) != 0 {
		t.Errorf("somebody was reserved: %+v", rows)
	}
}

func request(t *testing.T, body string) (req billing.CheckoutRequest) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		t.Fatal(err)
	}
	return req
}

// verdict is what a refusal says, in a form to compare.
type verdict struct {
	Code     problem.Code
	Pointers []string
}

func verdictOf(t *testing.T, err error) verdict {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok {
		t.Fatalf("got %v, want a problem", err)
	}
	v := verdict{Code: p.Code}
	for _, f := range p.Fields {
		if f.Detail == "" {
			t.Errorf("%s says nothing", f.Pointer)
		}
		v.Pointers = append(v.Pointers, f.Pointer)
	}
	return v
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
