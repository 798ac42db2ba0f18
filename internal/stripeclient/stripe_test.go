package stripeclient_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/customers"
	"till/internal/problem"
	"till/internal/secret"
	"till/internal/stripeclient"
)

// What must never be printed. The fake puts all of it into every body.
const (
	secretKey    = "sk_test_51CanaryKeyabcdefghij"
	clientSecret = "cs_test_a1_secret_CanaryClientSecret"
	portalURL    = "https://billing.stripe.com/p/session/test_CanaryPortal"
	email        = "canary.person@customers.example"
)

var canaries = []string{secretKey, "CanaryKey", "CanaryClientSecret", "CanaryPortal", "canary.person", "customers.example", "Canary Ann"}

// leaky is all of it in one sentence.
const leaky = "key " + secretKey + " secret " + clientSecret + " at " + portalURL + " of '" + email + "'"

// object is a JSON object of Stripe's.
type object = map[string]any

// absent takes a member away, see with.
type absent struct{}

// with returns base with other members.
func with(base object, pairs ...any) object {
	changed := maps.Clone(base)
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].(string)
		changed[name] = pairs[i+1]
		if pairs[i+1] == (absent{}) {
			delete(changed, name)
		}
	}
	return changed
}

var (
	checkoutSession = object{
		"id": "cs_test_a1", "object": "checkout.session", "livemode": false, "mode": "subscription",
		"status": "open", "customer": "cus_1", "url": "https://checkout.stripe.com/c/pay/cs_test_a1",
		"amount_total": 2000, "currency": "eur", "metadata": object{"till_plan": "pro"},
		"customer_details": object{"email": email},
	}
	portalSession = object{
		"id": "bps_1", "object": "billing_portal.session", "livemode": false, "customer": "cus_1", "url": portalURL,
	}
	newCustomer = object{
		"id": "cus_1", "object": "customer", "livemode": false, "email": email,
		"metadata": object{"till_subject": "alice", "till_issuer": "https://id.example/"},
	}
	priceObject = object{
		"id": "price_1", "object": "price", "active": true, "livemode": false, "lookup_key": "pro_monthly",
		"currency": "eur", "unit_amount": 2000, "recurring": object{"usage_type": "licensed"},
	}
	deletedCustomer = object{"id": "cus_1", "object": "customer", "deleted": true}
	promotionObject = object{
		"id": "promo_1", "object": "promotion_code", "livemode": false, "active": true, "code": "SPRING",
	}
)

func listOf(data ...any) object {
	if data == nil {
		data = []any{}
	}
	return object{"object": "list", "data": data, "has_more": false}
}

// ann is a person, with a name that no pattern would find.
var ann = customers.Profile{Email: email, Name: "Canary Ann"}

var (
	createCheckout = billing.NewSession{
		IdempotencyKey: "key-1", Customer: "cus_1",
		Params: catalog.Params{"mode": "subscription", "customer": "cus_1"},
	}
	createPortal = billing.NewSession{
		IdempotencyKey: "key-1", Customer: "cus_1", Params: catalog.Params{"customer": "cus_1"},
	}
	createCustomer = customers.NewCustomer{
		IdempotencyKey: "key-1", Version: "2023-10-16",
		Params: "metadata%5Btill_subject%5D=alice&metadata%5Btill_issuer%5D=https%3A%2F%2Fid.example%2F",
	}
)

// answers writes v with a status, and headers as in "Name: value".
func answers(status int, v any, headers ...string) http.HandlerFunc {
	body, isText := v.(string)
	if !isText {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		body = string(data)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refuses answers with an error as Stripe writes it, which says too much.
func refuses(status int, kind, code, param string, headers ...string) http.HandlerFunc {
	return answers(status, object{"error": object{
		"type": kind, "code": code, "param": param, "message": "No, because of " + leaky + ".",
		"request_log_url": portalURL, "doc_url": portalURL,
		"payment_intent": object{"id": "pi_1", "object": "payment_intent", "client_secret": clientSecret, "receipt_email": email},
	}}, append([]string{"Request-Id: req_1"}, headers...)...)
}

// raw takes the connection over.
func raw(f func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		f(conn)
	}
}

// wire writes text as it is and closes the connection.
func wire(text string) http.HandlerFunc {
	return raw(func(c net.Conn) { _, _ = io.WriteString(c, text) })
}

// request is one that reached Stripe.
type request struct {
	*http.Request
	body string
	at   time.Time
}

// fake is a Stripe that does as it is told and remembers what reached it.
type fake struct {
	busy   sync.WaitGroup
	mu     sync.Mutex
	closed bool
	got    []request
	answer http.HandlerFunc
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	answer := f.answer
	if f.closed {
		answer = func(http.ResponseWriter, *http.Request) {}
	} else {
		f.busy.Add(1)
		defer f.busy.Done()
	}
	f.got = append(f.got, request{r, string(body), at})
	f.mu.Unlock()
	answer(w, r)
}

// close waits for the requests that are being answered.
func (f *fake) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.busy.Wait()
}

func (f *fake) set(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// requests returns what has reached Stripe since the last time it was asked.
func (f *fake) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

// inMemory is a network of one listener, for use in bubbles of synctest.
type inMemory struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (m inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m inMemory) Close() error { return nil }

func (m inMemory) Addr() net.Addr { return &net.TCPAddr{} }

func (m inMemory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble returns a client and the Stripe it talks to, both within the bubble of
// the test that calls it.
func inBubble(t *testing.T, answer http.HandlerFunc, o stripeclient.Options) (*client, *fake) {
	t.Helper()
	f := &fake{answer: answer}
	o.BaseURL, o.DialContext = "http://stripe.test", inMemoryServer(t, f, nil)
	return newClient(t, o), f
}

// inMemoryServer serves f, by TLS if there is a certificate, and returns how to
// reach it.
func inMemoryServer(t *testing.T, f *fake, config *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	network := inMemory{make(chan net.Conn), make(chan struct{})}
	var listener net.Listener = network
	if config != nil {
		// Both sides would wait for the other to read: net.Pipe holds nothing, and the
		// tickets are sent before the client has done.
		config = config.Clone()
		config.SessionTicketsDisabled = true
		listener = tls.NewListener(network, config)
	}
	server := &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		close(network.closed)
		_ = server.Close()
		<-ended
		f.close()
	})
	return network.dial
}

// client is a Client with the metrics it writes.
type client struct {
	*stripeclient.Client
	metrics *prometheus.Registry
}

func newClient(t testing.TB, o stripeclient.Options) *client {
	t.Helper()
	reg := prometheus.NewRegistry()
	if o.Key.IsZero() {
		o.Key = secret.New(secretKey)
	}
	o.Metrics = reg
	c, err := stripeclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &client{c, reg}
}

// metric returns the sum of a metric's series that have the labels, given as in
// "outcome=ok". Of a histogram it is the count.
func (c *client) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := c.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, m := range family.GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			for _, l := range labels {
				if !has[l] {
					continue series
				}
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if !found {
		t.Fatalf("there is no metric %s with %v", name, labels)
	}
	return sum
}

func (c *client) calls(t *testing.T, outcome string) int {
	t.Helper()
	return int(c.metric(t, "till_stripe_calls_total", "outcome="+outcome))
}

func (c *client) violations(t *testing.T) int {
	t.Helper()
	return int(c.metric(t, "till_upstream_contract_violations_total"))
}

// operations are all calls, with the zero value of what each returns.
var operations = []struct {
	name   string
	call   func(context.Context, *client) (any, error)
	answer object
	zero   any
	write  bool
}{
	{"create checkout", func(ctx context.Context, c *client) (any, error) {
		return c.CreateCheckoutSession(ctx, createCheckout)
	}, checkoutSession, billing.CheckoutSession{}, true},
	{"create portal", func(ctx context.Context, c *client) (any, error) {
		return c.CreatePortalSession(ctx, createPortal)
	}, portalSession, billing.PortalSession{}, true},
	{"create customer", func(ctx context.Context, c *client) (any, error) {
		return c.CreateCustomer(ctx, createCustomer)
	}, newCustomer, customers.Created{}, true},
	{"read checkout", func(ctx context.Context, c *client) (any, error) {
		return c.CheckoutSession(ctx, "cs_test_a1", false)
	}, checkoutSession, billing.CheckoutSession{}, false},
	{"past subscriptions", func(ctx context.Context, c *client) (any, error) {
		return c.PastSubscriptions(ctx, customers.Customer{ID: "cus_1"}, true)
	}, listOf(aSubscription), []billing.PastSubscription(nil), false},
	{"open sessions", func(ctx context.Context, c *client) (any, error) {
		return c.OpenSessions(ctx, customers.Customer{ID: "cus_1"})
	}, listOf(checkoutSession), []billing.OpenSession(nil), false},
	{"close session", func(ctx context.Context, c *client) (any, error) {
		if err := c.CloseSession(ctx, "cs_test_a1", customers.Customer{ID: "cus_1"}); err != nil {
			return "", err
		}
		return "closed", nil
	}, anExpiredSession, "", true},
	{"list customers", func(ctx context.Context, c *client) (any, error) {
		listed, more, err := c.CustomersCreated(ctx, time.Unix(1000, 0), time.Unix(2000, 0), "")
		if more && err != nil {
			return nil, errors.New("more, and an error")
		}
		return listed, err
	}, listOf(newCustomer), []customers.Listed(nil), false},
	{"time", func(ctx context.Context, c *client) (any, error) {
		return c.Time(ctx)
	}, listOf(newCustomer), customers.Moment{}, false},
	{"customer's life", func(ctx context.Context, c *client) (any, error) {
		return c.CustomerLife(ctx, "cus_1")
	}, deletedCustomer, customers.Alive, false},
	{"update profile", func(ctx context.Context, c *client) (any, error) {
		if err := c.UpdateProfile(ctx, "cus_1", ann); err != nil {
			return "", err
		}
		return "told", nil
	}, newCustomer, "", true},
	{"read price", func(ctx context.Context, c *client) (any, error) {
		return c.PriceByID(ctx, "price_1")
	}, priceObject, catalog.Price{}, false},
	{"list prices", func(ctx context.Context, c *client) (any, error) {
		return c.PricesByLookupKey(ctx, []string{"pro_monthly"})
	}, listOf(priceObject), []catalog.Price(nil), false},
	{"account", func(ctx context.Context, c *client) (any, error) {
		return c.AccountID(ctx)
	}, object{"id": "acct_1", "object": "account", "email": email}, "", false},
	{"promotion code", func(ctx context.Context, c *client) (any, error) {
		return c.PromotionCodeID(ctx, "spring")
	}, listOf(promotionObject), "", false},
	{"flow's subscription", func(ctx context.Context, c *client) (any, error) {
		return c.FlowTarget(ctx, "sub_1")
	}, subscriptionObject, billing.FlowTarget{}, false},
	{"flow's subscriptions", func(ctx context.Context, c *client) (any, error) {
		all, _, err := c.FlowTargetsOf(ctx, alice)
		return all, err
	}, listOf(subscriptionObject), []billing.FlowTarget(nil), false},
	{"portal configuration", func(ctx context.Context, c *client) (any, error) {
		return c.PortalConfiguration(ctx, "bpc_1")
	}, configurationObject, billing.PortalConfiguration{}, false},
	{"default portal configuration", func(ctx context.Context, c *client) (any, error) {
		return c.PortalConfiguration(ctx, "")
	}, listOf(configurationObject), billing.PortalConfiguration{}, false},
	{"list checkouts", func(ctx context.Context, c *client) (any, error) {
		return c.CheckoutSessions(ctx, listing)
	}, listOf(checkoutSession), billing.List[billing.CheckoutSession]{}, false},
	{"list items", func(ctx context.Context, c *client) (any, error) {
		return c.CheckoutLineItems(ctx, "cs_test_a1", listing.Params)
	}, listOf(itemObject), billing.List[billing.LineItem]{}, false},
	{"update checkout", func(ctx context.Context, c *client) (any, error) {
		return c.UpdateCheckoutSession(ctx, update)
	}, checkoutSession, billing.CheckoutSession{}, true},
	{"expire checkout", func(ctx context.Context, c *client) (any, error) {
		return c.ExpireCheckoutSession(ctx, expiry)
	}, expiredSession, billing.CheckoutSession{}, true},
	{"list subscriptions", func(ctx context.Context, c *client) (any, error) {
		return c.Subscriptions(ctx, listing)
	}, listOf(shownSubscription), billing.List[billing.Subscription]{}, false},
	{"read subscription", func(ctx context.Context, c *client) (any, error) {
		customer, _, err := c.SubscriptionOwner(ctx, "sub_1", false)
		return customer, err
	}, shownSubscription, billing.ID(""), false},
}

// wantSilence walks the whole chain of err and looks for what must not be printed.
func wantSilence(t *testing.T, err error, more ...string) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v\n%+v\n%#v\n%s\n%q", e, e, e, e, e)
		for _, c := range append(more, canaries...) {
			if strings.Contains(text, c) {
				t.Errorf("%q is in the text of the error: %s", c, text)
			}
		}
	}
}

// wantProblem checks what the caller will be told.
func wantProblem(t *testing.T, err error, code problem.Code, retryAfter time.Duration) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok {
		t.Fatalf("the error is %v (%T), want a problem", err, err)
	}
	if p.Code != code || p.RetryAfter != retryAfter {
		t.Errorf("the problem is %s, retry after %v; want %s, %v (%v)", p.Code, p.RetryAfter, code, retryAfter, err)
	}
}
