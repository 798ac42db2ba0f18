//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/openloop"
)

// TestLoadHostile lets somebody buy a thousand times a second beside 50 honest people: as
// one owner, and as many from one address.
func TestLoadHostile(t *testing.T) {
	const ownerLimit, addressLimit = 60, 600
	t.Run("owner", func(t *testing.T) { hostile(t, 1, ownerLimit) })
	t.Run("address", func(t *testing.T) { hostile(t, 200, addressLimit) })
}

// hostile has so many owners; most is how often a minute they may make Stripe create a
// session.
func hostile(t *testing.T, owners, most int) {
	const (
		name = "hostile"
		rate = 1000
	)
	ctx := t.Context()
	s := newShop(ctx, t, 1, 50, "OWNER_WRITES_PER_MINUTE=60", "ADDRESS_PER_MINUTE=0", "STRIPE_RPS_PER_ENDPOINT=200")
	if owners > 1 {
		// The honest could not have come from one address, so they come only now.
		slot := s.fleet.slots[0]
		s.fleet.env = append(s.fleet.env, "TILL_LIMITS_ADDRESS_PER_MINUTE=600")
		must(t, slot.restart(ctx))
	}
	s.client = s.apart()
	var tokens []string
	for i := range owners {
		token, err := owner{customers.KindUser, name + strconv.Itoa(i)}.token(s.fleet.issuer, 0)
		must(t, err)
		tokens = append(tokens, token)
	}
	attack := openloop.Load{
		Rate: rate, For: lasting(1500*time.Millisecond, 5*time.Second), MaxInFlight: people / 2, Timeout: callers.Timeout, Client: newClient("127.66.66.66"),
		Request: func(ctx context.Context, n int) (*http.Request, error) { return s.post(ctx, n, tokens[n%len(tokens)]) },
	}
	rounds := 3
	if full() {
		rounds = 12
	}
	s.stroll(ctx, 50, 2*time.Second)
	began := time.Now()
	all := make(chan []openloop.Outcome)
	go func() { all <- s.stroll(ctx, 100, time.Duration(2*rounds)*attack.For) }()
	var attacked []openloop.Outcome
	for i := range rounds {
		wait(ctx, time.Until(began.Add(time.Duration(2*i+1)*attack.For)))
		attacked = append(attacked, openloop.Run(ctx, attack)...)
	}
	honest := <-all

	report.fact(t, "answers to the hostile", histogram(attacked))
	report.fact(t, "answers to the honest", histogram(honest))
	report.judge(t, "success of the honest", "≥ "+percent(nearlyAll()), percent(goodput(honest)), goodput(honest) >= nearlyAll())
	var quiet, loud []time.Duration
	for i := range time.Duration(rounds) {
		at := 2 * i * attack.For
		quiet = append(quiet, p99(due(honest, at, at+attack.For)))
		loud = append(loud, p99(due(honest, at+attack.For, at+2*attack.For)))
	}
	// Not the median of the quiet: what he leaves behind in a queue is not quiet.
	slices.Sort(quiet)
	ratio := float64(middle(loud)) / float64(quiet[1])
	report.timed(t, "p99 of the honest, to that without him", "≤ 1.5", fmt.Sprintf("%.2f (%v, %v)", ratio, shown(middle(loud)), shown(quiet[1])), ratio <= 1.5)
	var his []arrival
	for _, a := range byOperation(s.upstream.since(began))["POST /v1/checkout/sessions"] {
		if strings.HasPrefix(a.customer, "cus_"+name) {
			his = append(his, a)
		}
	}
	calls := busiest(his, time.Minute)
	report.judge(t, "sessions that he made Stripe create in a minute", fmt.Sprintf("≤ %d", most), calls, calls <= most)
}

// apart is a client that lets each visitor come from an address of his own.
func (s *shop) apart() *http.Client {
	c := &byToken{own: map[string]http.RoundTripper{}}
	for i, v := range s.visitors {
		c.own["Bearer "+v.token] = newClient(fmt.Sprintf("127.1.%d.%d", i/200, 1+i%200)).Transport
	}
	return &http.Client{Transport: c}
}

type byToken struct{ own map[string]http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b *byToken) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.own[req.Header.Get("Authorization")].RoundTrip(req)
}
