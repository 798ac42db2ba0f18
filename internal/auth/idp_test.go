package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/auth"
	"till/internal/secret"
)

// network is the internet of a test: hosts with key sets, reached without sockets, so that
// the clock of testing/synctest runs.
type network struct {
	mu    sync.Mutex
	hosts map[string]http.HandlerFunc
	calls atomic.Int64
	times []time.Time
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	serve, known := n.hosts[r.URL.Host]
	n.calls.Add(1)
	n.times = append(n.times, time.Now())
	n.mu.Unlock()
	if !known {
		return nil, context.DeadlineExceeded
	}
	w := httptest.NewRecorder()
	serve(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

// host puts a host on the network, or another in its place; nil takes it away.
func (n *network) host(name string, serve http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = map[string]http.HandlerFunc{}
	}
	if n.hosts[name] = serve; serve == nil {
		delete(n.hosts, name)
	}
}

// attempts returns when the network was used, counted from start.
func (n *network) attempts(start time.Time) []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	var since []time.Duration
	for _, at := range n.times {
		since = append(since, at.Sub(start))
	}
	return since
}

func serving(set []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }
}

// service is a Verifier that runs, with what one looks at from outside.
type service struct {
	*auth.Verifier
	registry *prometheus.Registry
	network  *network
	stop     context.CancelFunc
	ended    chan error
}

// start runs a Verifier over n inside a synctest bubble and lets its first fetches end.
// Tokens are judged at now plus the time that passes in the bubble.
func start(t testing.TB, n *network, issuers ...auth.Issuer) *service {
	t.Helper()
	return startWith(t, n, auth.Options{Cookie: cookieName, TokenCache: 100}, issuers...)
}

func startWith(t testing.TB, n *network, o auth.Options, issuers ...auth.Issuer) *service {
	t.Helper()
	began := time.Now()
	s := &service{registry: prometheus.NewRegistry(), network: n, ended: make(chan error, 1)}
	var err error
	o.Client, o.Metrics = &http.Client{Transport: n}, s.registry
	o.Now = func() time.Time { return time.Unix(now, 0).Add(time.Since(began)) }
	s.Verifier, err = auth.New(issuers, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.ended <- s.Run(ctx) }()
	t.Cleanup(cancel)
	synctest.Wait()
	return s
}

// end stops the service; a bubble must be empty at its end.
func (s *service) end(t *testing.T) {
	t.Helper()
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// metric returns the value of one series; labels are name, value pairs.
func (s *service) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	for series, value := range s.series(t) {
		if series == seriesName(name, labels...) {
			return value
		}
	}
	t.Errorf("no series %s", seriesName(name, labels...))
	return 0
}

func seriesName(name string, labels ...string) string {
	for _, l := range labels {
		name += "," + l
	}
	return name
}

func (s *service) series(t testing.TB) map[string]float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name = seriesName(name, l.GetName(), l.GetValue())
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

// sharedSecret is that of the issuer which signs with HS256.
const sharedSecret = "a secret of more than thirty-two bytes"

// The issuers of the hostile catalogue: each has one policy that the others have not.
func catalogueIssuers() []auth.Issuer {
	every := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	roles := []string{"owner", "billing"}
	at := func(name string, i auth.Issuer) auth.Issuer {
		i.Issuer, i.JWKSURL = "https://"+name+".example.com", "https://id.example.com/jwks"
		if i.AuthorizedParties == nil {
			i.Audience = []string{"till"}
		}
		return i
	}
	both := at("both", auth.Issuer{AuthorizedParties: []string{"web", "mobile"}})
	both.Audience = []string{"till"}
	return []auth.Issuer{
		{Issuer: "https://id.example.com/", Audience: []string{"till"}, JWKSURL: "https://id.example.com/jwks"},
		{Issuer: "https://every.example.com", Audience: []string{"other", "till"}, JWKSURL: "https://id.example.com/jwks", Algorithms: every},
		{Issuer: "https://typed.example.com", Audience: []string{"till"}, JWKSURL: "https://id.example.com/jwks", Types: []string{"AT+JWT"}, MaxLifetime: time.Hour},
		{Issuer: "https://single.example.com", Audience: []string{"till"}, JWKSURL: "https://single.example.com/jwks"},
		{Issuer: "https://b.example.com", Audience: []string{"till"}, JWKSURL: "https://b.example.com/jwks"},
		{Issuer: "https://secret.example.com", Audience: []string{"till"}, Secret: secret.New(sharedSecret)},
		both,
		at("party", auth.Issuer{AuthorizedParties: []string{"web", "mobile"}}),
		at("scoped", auth.Issuer{Scopes: []string{"billing", "https://example.com/x"}}),
		at("required", auth.Issuer{Require: map[string][]string{
			"token_use": {"access", "api"}, "/a~1b/c": {"x"}, "ver": {"2"}, "anonymous": {"false"}, "groups": {"customers"},
		}}),
		at("machines", auth.Issuer{Machines: auth.Machines{Allow: true}}),
		at("claimed", auth.Issuer{Machines: auth.Machines{Claim: "/act/client"}}),
		at("org", auth.Issuer{Org: auth.Org{Claim: "/o/id", RoleClaim: "/o/rol", BillingRoles: roles}}),
		at("listed", auth.Issuer{Org: auth.Org{Claim: "/organization/0", RoleClaim: "/realm_access/roles", BillingRoles: roles}}),
		at("url-org", auth.Issuer{Org: auth.Org{Claim: "https://example.com/org.id", RoleClaim: "role", BillingRoles: roles}}),
	}
}

func catalogueNetwork() *network {
	k, n := keys(), &network{}
	n.host("id.example.com", serving(allKeys()))
	n.host("single.example.com", serving(jwks(ecJWK("only", &k.p256.PublicKey, ""))))
	n.host("b.example.com", serving(jwks(rsaJWK("rsa", &k.otherRSA.PublicKey, ""))))
	return n
}
