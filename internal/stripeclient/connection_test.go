package stripeclient_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"till/internal/problem"
	"till/internal/stripeclient"
)

// counted returns a server and how many connections it has accepted.
func counted(t testing.TB, h http.Handler) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	accepted := new(atomic.Int64)
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, accepted
}

// Bodies are read to the end and connections go back to the pool, also after
// errors, and also after a burst.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const concurrency = 64
	var answer atomic.Pointer[http.HandlerFunc]
	// gate holds every request of a round until all are there.
	gate := make(chan chan struct{}, concurrency)
	var held atomic.Bool
	server, accepted := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if held.Load() {
			wait := make(chan struct{})
			gate <- wait
			<-wait
		}
		(*answer.Load())(w, r)
	}))
	// A call that times out is tried again, on another connection: a busy machine must not
	// be taken for a client that opens too many.
	c := newClient(t, stripeclient.Options{BaseURL: server.URL, TryTimeout: time.Minute, Deadline: 5 * time.Minute})
	t.Cleanup(c.Close)
	set := func(h http.HandlerFunc) { answer.Store(&h) }
	call := func() error {
		_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
		return err
	}
	long := with(checkoutSession, "metadata", object{"a": strings.Repeat("x", 20<<10)})

	set(answers(http.StatusOK, checkoutSession))
	for range 200 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []http.HandlerFunc{
		answers(http.StatusOK, long), refuses(400, "invalid_request_error", "", ""), answers(404, "<html>"+strings.Repeat("x", 100<<10)),
		answers(302, "<html>", "Location: /"), answers(200, with(checkoutSession, "customer", "cus_2")), answers(403, ""),
	} {
		set(h)
		for range 4 { // more in a row would open the breaker
			_ = call()
		}
		set(answers(http.StatusOK, checkoutSession))
		_ = call()
	}
	if got := accepted.Load(); got != 1 {
		t.Errorf("%d connections for calls one after the other, want 1", got)
	}

	set(answers(http.StatusOK, long))
	burst := func() {
		held.Store(true)
		done := make(chan int)
		go func() { done <- together(concurrency, call) }()
		var waiting []chan struct{}
		for range concurrency {
			waiting = append(waiting, <-gate)
		}
		held.Store(false)
		for _, w := range waiting {
			close(w)
		}
		if good := <-done; good != concurrency {
			t.Fatalf("%d calls of %d succeeded", good, concurrency)
		}
	}
	burst()
	for range 5 {
		burst()
	}
	if got := accepted.Load(); got > concurrency {
		t.Errorf("%d connections for bursts of %d", got, concurrency)
	}
	if good := together(200, call); good != 200 {
		t.Errorf("%d calls of 200 succeeded", good)
	}
}

// What a start asks of Stripe leaves a warm connection behind: the first caller
// dials none.
func TestStartWarmsAConnection(t *testing.T) {
	t.Parallel()
	f := &fake{answer: func(w http.ResponseWriter, r *http.Request) {
		answer := checkoutSession
		switch r.URL.Path {
		case "/v1/account":
			answer = object{"id": "acct_1", "object": "account"}
		case "/v1/prices":
			answer = listOf(priceObject)
		}
		answers(http.StatusOK, answer)(w, r)
	}}
	server, accepted := counted(t, f)
	c := newClient(t, stripeclient.Options{BaseURL: server.URL})
	if got := accepted.Load(); got != 0 {
		t.Errorf("New opened %d connections", got)
	}
	_, account := c.AccountID(t.Context())
	_, prices := c.PricesByLookupKey(t.Context(), []string{"pro_monthly"})
	if err := errors.Join(account, prices); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateCheckoutSession(t.Context(), createCheckout); err != nil || accepted.Load() != 1 {
		t.Errorf("%d connections, want 1 (%v)", accepted.Load(), err)
	}
	c.Close()
	if _, err := c.AccountID(t.Context()); err != nil || accepted.Load() != 2 {
		t.Errorf("%d connections after Close, want a new one (%v)", accepted.Load(), err)
	}
}

// net/http sends a request again by itself when a pooled connection breaks, as
// often as there are such connections. Here every send is a counted try.
func TestNoSilentReplay(t *testing.T) {
	t.Parallel()
	const pooled = 8
	for _, ending := range []string{"closed", "reset"} {
		for _, op := range operations[:4] {
			t.Run(ending+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int64
				var broken atomic.Bool
				arrived, release := make(chan struct{}, pooled), make(chan struct{})
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = listener.Close() })
				serve := func(conn net.Conn) {
					defer conn.Close()
					for in := bufio.NewReader(conn); ; {
						r, err := http.ReadRequest(in)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, r.Body)
						if broken.Load() {
							requests.Add(1)
							if ending == "reset" {
								_ = conn.(*net.TCPConn).SetLinger(0)
							}
							return
						}
						arrived <- struct{}{}
						<-release
						_, _ = io.WriteString(conn, "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}")
					}
				}
				go func() {
					for {
						conn, err := listener.Accept()
						if err != nil {
							return
						}
						go serve(conn)
					}
				}()
				c := newClient(t, stripeclient.Options{BaseURL: "http://" + listener.Addr().String()})
				go func() {
					for range pooled {
						<-arrived
					}
					close(release)
				}()
				together(pooled, func() error { _, err := op.call(t.Context(), c); return err })
				if got := c.calls(t, "refused"); got != pooled {
					t.Fatalf("%d calls warmed the pool, want %d", got, pooled)
				}

				broken.Store(true)
				_, err = op.call(t.Context(), c)
				wantProblem(t, err, problem.UpstreamError, 0)
				wantSilence(t, err)
				if retries := int64(c.metric(t, "till_stripe_retries_total")); requests.Load() != retries+1 || retries != 2 {
					t.Errorf("%d requests reached Stripe, and %d retries are counted; want 3 and 2", requests.Load(), retries)
				}
				if c.calls(t, "network") != 1 {
					t.Error("the call is not counted as network")
				}
			})
		}
	}
}

func reset(text string) http.HandlerFunc {
	return raw(func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).SetLinger(0)
	})
}

// F09: connections that break, on real sockets.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, outcome string
		answer        http.HandlerFunc
	}{
		{"reset before", "network", reset("")},
		{"reset in the headers", "network", reset("HTTP/1.1 200 OK\r\nX: " + leaky)},
		{"reset in the middle", "nonsense", reset("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"url\":\"" + portalURL)},
		{"closed in the middle", "nonsense", wire("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"url\":\"" + portalURL)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, stripe := onLoopback(t, tt.answer, stripeclient.Options{})
			_, err := c.CreateCheckoutSession(t.Context(), createCheckout)
			wantProblem(t, err, problem.UpstreamError, 0)
			wantSilence(t, err)
			// What was written before a reset may be lost with it.
			if c.calls(t, tt.outcome)+c.calls(t, "network") == 0 {
				t.Errorf("the call is not counted as %s", tt.outcome)
			}
			wantTries(t, c, stripe.requests(), 3)
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		base := "http://" + listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, stripeclient.Options{BaseURL: base})
		_, err = c.CreateCheckoutSession(t.Context(), createCheckout)
		wantProblem(t, err, problem.UpstreamError, 0)
		if !errors.Is(err, syscall.ECONNREFUSED) || c.calls(t, "network") != 1 || c.metric(t, "till_stripe_retries_total") != 2 {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("no such host", func(t *testing.T) {
		t.Parallel()
		c := newClient(t, stripeclient.Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "api.stripe.com", IsNotFound: true}}
		}})
		_, err := c.AccountID(t.Context())
		wantProblem(t, err, problem.UpstreamError, 0)
		if _, ok := errors.AsType[*net.DNSError](err); !ok || !strings.HasSuffix(err.Error(), "lookup api.stripe.com: no such host") {
			t.Errorf("the error is %v", err)
		}
	})
}

// A redirect takes neither the request nor the key anywhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, op := range operations {
			var elsewhere atomic.Int64
			other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
			t.Cleanup(other.Close)
			for _, location := range []string{other.URL + "/v1/account", "/v1/elsewhere", "//evil.example/", "", "::"} {
				c, stripe := onLoopback(t, answers(status, op.answer, "Location: "+location), stripeclient.Options{})
				got, err := op.call(t.Context(), c)
				wantProblem(t, err, problem.UpstreamError, 0)
				if len(stripe.requests()) != 1 || elsewhere.Load() != 0 {
					t.Errorf("%s followed a %d to %q and returned %v", op.name, status, location, got)
				}
			}
		}
	}
}

// F18: no doubt about who answers, and never less than TLS 1.2.
func TestTLS(t *testing.T) {
	t.Parallel()
	old := serverTLS(trusted)
	old.MaxVersion = tls.VersionTLS11
	tests := []struct {
		name   string
		config *tls.Config
		tries  int
		ok     bool
	}{
		{"trusted", serverTLS(trusted), 1, true},
		{"expired", serverTLS(expired), 1, false},
		{"another host", serverTLS(otherHost), 1, false},
		{"unknown authority", serverTLS(unknownCA), 1, false},
		{"TLS 1.1", old, 3, false},
		{"no TLS", nil, 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{answer: answers(http.StatusOK, object{"id": "acct_1", "object": "account"})}
			reach := inMemoryServer(t, f, tt.config)
			var dials atomic.Int64
			c := newClient(t, stripeclient.Options{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				if address != "api.stripe.com:443" {
					t.Errorf("dialled %s", address)
				}
				return reach(ctx, network, address)
			}})
			_, err := c.AccountID(t.Context())
			if ok := err == nil; ok != tt.ok {
				t.Fatalf("succeeded: %v, want %v (%v)", ok, tt.ok, err)
			}
			if got := dials.Load(); got != int64(tt.tries) {
				t.Errorf("%d connections, want %d", got, tt.tries)
			}
			if tt.ok {
				if got := only(t, f); got.Proto != "HTTP/1.1" || got.TLS.Version < tls.VersionTLS12 {
					t.Errorf("the request came by %s, TLS %x", got.Proto, got.TLS.Version)
				}
				return
			}
			wantProblem(t, err, problem.UpstreamError, 0)
			wantSilence(t, err)
			if got := len(f.requests()); got != 0 {
				t.Errorf("%d requests were sent", got)
			}
		})
	}
}

// A caller who leaves gets an answer at once, also from a real socket.
func TestCallerLeavesASocket(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	c, _ := onLoopback(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}, stripeclient.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	start := time.Now()
	_, err := c.CreateCheckoutSession(ctx, createCheckout)
	wantProblem(t, err, problem.UpstreamTimeout, 0)
	if took := time.Since(start); took > 2*time.Second || !errors.Is(err, context.Canceled) {
		t.Errorf("returned after %v: %v", took, err)
	}
}
