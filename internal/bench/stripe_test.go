//go:build bench && linux

package bench_test

import (
	"bytes"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"till/internal/sandbox"
)

// What a role is told in its environment.
const (
	certificateVariable = "BENCH_CERTIFICATE"
	privateKeyVariable  = "BENCH_PRIVATE_KEY"
	publicKeysVariable  = "BENCH_KEYS"
	stripeVariable      = "BENCH_STRIPE"
	issuerKeyVariable   = "BENCH_ISSUER_KEY"
	databaseVariable    = "BENCH_DATABASE"
)

// template is a fresh session of a subscription, written as Stripe writes it.
//
//go:embed testdata/session.json
var template string

// The id of a session begins with these; then come how long Stripe took in microseconds,
// and the number of the customer, both as eight hexadecimal digits.
const idBegins = "cs_test_a1Z"

// idEnds makes ids as long as Stripe's.
const idEnds = "ZPoNm5LkJi4HgFe3DcBa2YxWvUtSr"

// customerBegins is followed by the number of the customer, in seven digits.
const customerBegins = "cus_Bench"

// upstream is Stripe: the sandbox, but for the creation of sessions.
type upstream struct {
	pieces  []string // of template, around the marks @ID@ and @CUSTOMER@, which alternate with them
	sandbox http.Handler
	delays  atomic.Pointer[delays]

	counts traffic
	serial atomic.Int64
	bodies sync.Pool
}

// traffic is what has reached the upstream so far.
type traffic struct {
	Sessions, Others, Connections, Handshakes atomic.Int64
}

// Counts is traffic as a client reads it.
type counts struct{ Sessions, Others, Connections, Handshakes int64 }

func (c counts) minus(o counts) counts {
	return counts{c.Sessions - o.Sessions, c.Others - o.Others, c.Connections - o.Connections, c.Handshakes - o.Handshakes}
}

// delays are how long the next calls take, the same for whoever is measured.
type delays struct {
	next  atomic.Int64
	times []time.Duration
}

// latency is the distribution of delays: none, fixed, or lognormal where sigma is not 0.
type latency struct {
	Median time.Duration `json:"median"`
	Sigma  float64       `json:"sigma"`
}

func (l latency) delays() *delays {
	d := &delays{times: make([]time.Duration, 1<<15)}
	dice := rand.New(rand.NewPCG(6, 6))
	for i := range d.times {
		d.times[i] = time.Duration(float64(l.Median) * math.Exp(l.Sigma*dice.NormFloat64()))
	}
	return d
}

func (d *delays) take() time.Duration {
	return d.times[int(d.next.Add(1)-1)%len(d.times)]
}

// playStripe serves TLS, and a control address without it.
func playStripe() error {
	certificate, err := tls.LoadX509KeyPair(os.Getenv(certificateVariable), os.Getenv(privateKeyVariable))
	if err != nil {
		return err
	}
	keys, err := os.ReadFile(os.Getenv(publicKeysVariable))
	if err != nil {
		return err
	}
	box, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return err
	}
	u := &upstream{sandbox: box.Handler(), pieces: split(template)}
	u.delays.Store(latency{}.delays())
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	silent := log.New(io.Discard, "", 0)
	go func() {
		ended <- (&http.Server{Handler: u.control(keys), ErrorLog: silent}).Serve(control)
	}()
	go func() {
		ended <- (&http.Server{
			Handler: u, ErrorLog: silent, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 128},
			ConnState: func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					u.counts.Connections.Add(1)
				}
			},
			TLSConfig: &tls.Config{
				Certificates: []tls.Certificate{certificate},
				VerifyConnection: func(tls.ConnectionState) error {
					u.counts.Handshakes.Add(1)
					return nil
				},
			},
		}).ServeTLS(api, "", "")
	}()
	fmt.Fprintf(os.Stdout, `{"addr":%q,"ops_addr":%q}`+"\n", api.Addr(), control.Addr())
	return <-ended
}

// split cuts a text at its marks.
func split(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "@CUSTOMER@", "@ID@"), "@ID@")
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/checkout/sessions" {
		u.counts.Others.Add(1)
		u.sandbox.ServeHTTP(w, r)
		return
	}
	began := time.Now()
	u.counts.Sessions.Add(1)
	body, _ := u.bodies.Get().(*bytes.Buffer)
	if body == nil {
		body = &bytes.Buffer{}
	}
	defer u.bodies.Put(body)
	body.Reset()
	customer, err := customerOf(body, r)
	if err != nil {
		http.Error(w, `{"error":{"type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	if d := u.delays.Load().take(); d > 0 {
		time.Sleep(d)
	}
	body.Reset()
	u.answer(w, r, body, customer, time.Since(began))
}

// customerOf reads the form and finds the customer's number in it.
func customerOf(body *bytes.Buffer, r *http.Request) (int, error) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer sk_test_") {
		return 0, errors.New("no key")
	}
	if _, err := body.ReadFrom(io.LimitReader(r.Body, 1<<16)); err != nil {
		return 0, err
	}
	_, after, found := bytes.Cut(body.Bytes(), []byte("customer="+customerBegins))
	if !found || len(after) < 7 {
		return 0, errors.New("no customer")
	}
	return strconv.Atoi(string(after[:7]))
}

func (u *upstream) answer(w http.ResponseWriter, r *http.Request, body *bytes.Buffer, customer int, took time.Duration) {
	id := fmt.Sprintf("%s%08x%08x%s", idBegins, took.Microseconds(), customer, idEnds)
	fill := [...]string{id, customerID(customer), id}
	for i, piece := range u.pieces {
		body.WriteString(piece)
		if i < len(fill) {
			body.WriteString(fill[i])
		}
	}
	h := w.Header()
	for name, value := range stripesHeaders {
		h[name] = value
	}
	for _, echoed := range []string{"Idempotency-Key", "Stripe-Version"} {
		if value := r.Header[echoed]; value != nil {
			h[echoed] = value
		}
	}
	h.Set("Request-Id", fmt.Sprintf("req_%014d", u.serial.Add(1)))
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = w.Write(body.Bytes())
}

// customerID is the id that the caller of that number has at Stripe.
func customerID(n int) string { return fmt.Sprintf("%s%07d", customerBegins, n) }

// stripesHeaders are as many and as long as Stripe's.
var stripesHeaders = http.Header{
	"Server":                           {"nginx"},
	"Content-Type":                     {"application/json"},
	"Access-Control-Allow-Credentials": {"true"},
	"Access-Control-Allow-Methods":     {"GET, HEAD, PUT, PATCH, POST, DELETE"},
	"Access-Control-Allow-Origin":      {"*"},
	"Access-Control-Expose-Headers":    {"Request-Id, Stripe-Manage-Version, Stripe-Should-Retry, X-Stripe-External-Auth-Required, X-Stripe-Privileged-Session-Required"},
	"Access-Control-Max-Age":           {"300"},
	"Cache-Control":                    {"no-cache, no-store"},
	"Content-Security-Policy":          {"base-uri 'none'; default-src 'none'; form-action 'none'; frame-ancestors 'none'; img-src 'self'; script-src 'self' 'report-sample'; style-src 'self'; worker-src 'none'; upgrade-insecure-requests"},
	"Strict-Transport-Security":        {"max-age=63072000; includeSubDomains; preload"},
	"Vary":                             {"Origin"},
	"X-Wc":                             {"ABGHI"},
}

// control has the public keys of tokens, the counts, and takes another latency.
func (u *upstream) control(keys []byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys)
	})
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		c := &u.counts
		_ = json.NewEncoder(w).Encode(counts{c.Sessions.Load(), c.Others.Load(), c.Connections.Load(), c.Handshakes.Load()})
	})
	mux.HandleFunc("POST /latency", func(w http.ResponseWriter, r *http.Request) {
		var l latency
		if err := json.NewDecoder(r.Body).Decode(&l); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		u.delays.Store(l.delays())
	})
	return mux
}
