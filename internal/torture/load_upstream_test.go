//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// upstream answers as Stripe does, with the right shapes and no memory but of who came
// when: the sandbox does its work properly, and is too slow for a crowd.
type upstream struct {
	address string
	// takes is how long an answer takes, in nanoseconds.
	takes atomic.Int64
	// trouble, if any, says what happens in place of an answer; nil is nothing.
	trouble atomic.Pointer[func(arrival) http.HandlerFunc]

	inFlight, peak atomic.Int64

	mu       sync.Mutex
	server   *http.Server
	arrivals []arrival
}

// arrival is one call as Stripe sees it.
type arrival struct {
	at time.Time
	// operation is the one whose budget it counts against.
	operation string
	// id is the same for all tries of a call.
	id string
	// customer is whom the call is about, as far as it says so.
	customer string
	// refused says that there was trouble, until when.
	refused time.Time
}

// stripeTakes is how long Stripe takes for an answer.
const stripeTakes = 20 * time.Millisecond

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.takes.Store(int64(stripeTakes))
	must(t, u.open())
	t.Cleanup(u.shut)
	return u
}

func (u *upstream) url() string { return "http://" + u.address }

// open begins to listen, where it did before.
func (u *upstream) open() error {
	address := u.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: u, ReadHeaderTimeout: patience}
	u.mu.Lock()
	u.address, u.server = l.Addr().String(), server
	u.mu.Unlock()
	go func() { _ = server.Serve(l) }()
	return nil
}

// shut breaks every connection and takes no more.
func (u *upstream) shut() {
	u.mu.Lock()
	server := u.server
	u.mu.Unlock()
	_ = server.Close()
}

// swallow is for what is shut: nobody refuses a connection, and nobody takes one. It
// returns what ends that.
func (u *upstream) swallow() (end func(), err error) {
	to, err := net.ResolveTCPAddr("tcp", u.address)
	if err != nil {
		return nil, err
	}
	address := &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	var sockets []int
	end = func() {
		for _, s := range sockets {
			_ = syscall.Close(s)
		}
	}
	socket := func() (int, error) {
		s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		sockets = append(sockets, s)
		return s, err
	}
	l, err := socket()
	if err != nil {
		return end, err
	}
	if err := errors.Join(
		syscall.SetsockoptInt(l, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1), syscall.Bind(l, address), syscall.Listen(l, 0),
	); err != nil {
		return end, err
	}
	// What the queue of the kernel has room for.
	for range 4 {
		s, err := socket()
		if err != nil {
			return end, err
		}
		_ = syscall.Connect(s, address)
	}
	return end, nil
}

// when installs trouble; nil ends it.
func (u *upstream) when(trouble func(arrival) http.HandlerFunc) {
	if trouble == nil {
		u.trouble.Store(nil)
		return
	}
	u.trouble.Store(&trouble)
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.peak.Store(max(u.peak.Load(), u.inFlight.Add(1)))
	defer u.inFlight.Add(-1)
	form, a := u.read(r)
	var refuse http.HandlerFunc
	if trouble := u.trouble.Load(); trouble != nil {
		refuse = (*trouble)(a)
	}
	u.mu.Lock()
	a.at = time.Now() // in order
	n := len(u.arrivals)
	u.arrivals = append(u.arrivals, a)
	u.mu.Unlock()
	if refuse != nil {
		defer func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.arrivals[n].refused = time.Now()
		}()
		refuse(w, r)
		return
	}
	wait(r.Context(), time.Duration(u.takes.Load()))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_torture")
	fmt.Fprint(w, u.answer(r, form, a, n))
}

func (u *upstream) read(r *http.Request) (url.Values, arrival) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	a := arrival{operation: r.Method + " " + r.URL.Path, id: r.Header.Get("Idempotency-Key"), customer: form.Get("customer")}
	if a.id == "" {
		a.id = r.URL.RequestURI()
	}
	if session, ok := strings.CutPrefix(r.URL.Path, "/v1/checkout/sessions/"); ok {
		a.operation, a.customer = "GET /v1/checkout/sessions/id", customerOf(session)
	}
	if r.URL.Path == "/v1/checkout/sessions" && r.Method == http.MethodGet {
		a.operation, a.customer = "GET /v1/checkout/sessions", r.URL.Query().Get("customer")
	}
	return form, a
}

// sessionOf names one of any number of sessions that a customer has.
func sessionOf(customer string, n int) string {
	return fmt.Sprintf("cs_test_%s_%d", strings.TrimPrefix(customer, "cus_"), n)
}

func customerOf(session string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(session, "cs_test_"), "_")
	return "cus_" + name
}

const (
	sessionText = `{"id":%q,"object":"checkout.session","livemode":false,"customer":%q,"mode":"subscription","status":"open",` +
		`"payment_status":"unpaid","ui_mode":"hosted","currency":"usd","amount_subtotal":2000,"amount_total":2000,"created":%d,"expires_at":%d,` +
		`"success_url":"https://app.example.com/","cancel_url":"https://app.example.com/","locale":null,"return_url":null,"client_secret":null,` +
		`"subscription":null,"payment_intent":null,"setup_intent":null,"invoice":null,"metadata":{},"url":"https://checkout.stripe.com/c/pay/%[1]s"}`
	listText  = `{"object":"list","has_more":false,"url":"/v1/x","data":[%s]}`
	priceText = `{"id":"price_torture","object":"price","active":true,"livemode":false,"lookup_key":"pro_monthly","currency":"usd",` +
		`"unit_amount":2000,"recurring":{"usage_type":"licensed","interval":"month","interval_count":1}}`
	errorText = `{"error":{"type":%q,"code":%q,"message":"The torture says no."}}`
)

func (u *upstream) answer(r *http.Request, form url.Values, a arrival, n int) string {
	now := time.Now().Unix()
	session := func(id string) string { return fmt.Sprintf(sessionText, id, a.customer, now, now+86400) }
	switch a.operation {
	case "POST /v1/checkout/sessions":
		return session(sessionOf(a.customer, n))
	case "GET /v1/checkout/sessions":
		return fmt.Sprintf(listText, session(sessionOf(a.customer, 0)))
	case "GET /v1/checkout/sessions/id":
		return session(strings.TrimPrefix(r.URL.Path, "/v1/checkout/sessions/"))
	case "POST /v1/customers":
		return u.person(form)
	case "GET /v1/prices":
		return fmt.Sprintf(listText, priceText)
	case "GET /v1/account":
		return `{"id":"acct_torture","object":"account"}`
	default:
		return fmt.Sprintf(listText, "")
	}
}

// person is a customer with the metadata that was sent; whoever is the same is the same.
func (u *upstream) person(form url.Values) string {
	var pairs []string
	for name, values := range form {
		if key, ok := strings.CutPrefix(name, "metadata["); ok {
			pairs = append(pairs, fmt.Sprintf("%q:%q", strings.TrimSuffix(key, "]"), values[0]))
		}
	}
	return fmt.Sprintf(`{"id":"cus_%s","object":"customer","livemode":false,"metadata":{%s}}`,
		form.Get("metadata[till_subject]"), strings.Join(pairs, ","))
}

// stripeError answers with an error of Stripe's own.
func stripeError(status int, kind, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, errorText, kind, code)
	}
}

// unavailable is what stands in front of a Stripe that is down.
func unavailable(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprint(w, "<html><body><h1>503 Service Unavailable</h1></body></html>")
}

// resetCall ends the connection before there is an answer.
func resetCall(w http.ResponseWriter, _ *http.Request) { hangUp(w, true) }

// neverAnswer says nothing until the caller goes.
func neverAnswer(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// since returns what has arrived from then on, in order.
func (u *upstream) since(from time.Time) []arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, _ := slices.BinarySearchFunc(u.arrivals, from, func(a arrival, t time.Time) int { return a.at.Compare(t) })
	return slices.Clone(u.arrivals[at:])
}

// between returns what arrived from one moment until another.
func (u *upstream) between(from, to time.Time) []arrival {
	all := u.since(from)
	at, _ := slices.BinarySearchFunc(all, to, func(a arrival, t time.Time) int { return a.at.Compare(t) })
	return all[:at]
}

// busiest is the most that arrived within any span of the given length.
func busiest(arrivals []arrival, span time.Duration) (most int) {
	first := 0
	for i, a := range arrivals {
		for a.at.Sub(arrivals[first].at) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// byOperation groups arrivals.
func byOperation(arrivals []arrival) map[string][]arrival {
	groups := map[string][]arrival{}
	for _, a := range arrivals {
		groups[a.operation] = append(groups[a.operation], a)
	}
	return groups
}

// tries counts how often each call was tried.
func tries(arrivals []arrival) map[string]int {
	count := map[string]int{}
	for _, a := range arrivals {
		count[a.id]++
	}
	return count
}
