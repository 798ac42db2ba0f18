package ratelimit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"till/internal/problem"
	"till/internal/ratelimit"
)

// clock stands still until it is told to go on.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time           { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(by time.Duration) { c.at.Add(int64(by)) }

func limits(t testing.TB, o ratelimit.Options) *ratelimit.Limits {
	t.Helper()
	if o.Metrics == nil {
		o.Metrics = prometheus.NewPedanticRegistry()
	}
	l, err := ratelimit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// wait is what a refusal says; 0 is none.
func wait(t testing.TB, err error) time.Duration {
	t.Helper()
	if err == nil {
		return 0
	}
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != problem.RateLimited || p.RetryAfter <= 0 {
		t.Fatalf("got %v, want a refusal that says when to come back", err)
	}
	return p.RetryAfter
}

// bucket is the model: it leaks at one request per cost, and holds most.
type bucket struct {
	cost, most, level time.Duration
	at                time.Time
}

func (b *bucket) admits(now time.Time) bool {
	b.level = max(b.level-now.Sub(b.at), 0)
	b.at = now
	if b.level+b.cost > b.most {
		return false
	}
	b.level += b.cost
	return true
}

func TestEveryCallerHasABucketOfHisOwn(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 0))
		perMinute := 1 + r.IntN(1000)
		var c clock
		l := limits(t, ratelimit.Options{OwnerWritesPerMinute: perMinute, Now: c.now})
		cost, most := ratelimit.Rate(perMinute, max(perMinute/6, 5))
		model := map[string]*bucket{}
		for range 500 {
			c.advance(time.Duration(r.ExpFloat64() * float64(cost) * 0.3))
			owner := fmt.Sprint("owner ", r.IntN(3))
			if model[owner] == nil {
				model[owner] = &bucket{cost: cost, most: most, at: c.now()}
			}
			want := model[owner].admits(c.now())
			if got := l.Write(t.Context(), owner) == nil; got != want {
				t.Fatalf("seed %d, limit %d: admitted %v, the model says %v", seed, perMinute, got, want)
			}
		}
	}
}

// The promise of limits.*_per_minute, for any number of processes: no sixty seconds have
// more, and one who wants all gets all but what cannot be divided.
func TestNoMinuteHasMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		perMinute, replicas := 1+r.IntN(300), 1
		if seed%2 == 1 {
			replicas = 1 + r.IntN(min(perMinute, 10))
		}
		var c clock
		processes := make([]*ratelimit.Limits, replicas)
		for i := range processes {
			processes[i] = limits(t, ratelimit.Options{OwnerWritesPerMinute: perMinute, Replicas: replicas, Now: c.now})
		}
		var admitted []time.Time
		for range 20_000 {
			c.advance(time.Duration(r.ExpFloat64() * float64(5*time.Minute) / 20_000))
			if processes[r.IntN(replicas)].Write(t.Context(), "greedy") == nil {
				admitted = append(admitted, c.now())
			}
		}
		most, from := 0, 0
		for i, at := range admitted {
			for at.Sub(admitted[from]) >= time.Minute {
				from++
			}
			most = max(most, i-from+1)
		}
		if least := perMinute / replicas * replicas; most > perMinute || most < least*9/10 {
			t.Errorf("seed %d: the fullest minute of %d processes has %d of %d", seed, replicas, most, perMinute)
		}
	}
}

func TestARefusalSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{1, 5, 60, 599, 600} {
		var c clock
		c.advance(time.Hour)
		l := limits(t, ratelimit.Options{OwnerWritesPerMinute: perMinute, Now: c.now})
		for range perMinute {
			if l.Write(t.Context(), "greedy") != nil {
				break
			}
		}
		after := wait(t, l.Write(t.Context(), "greedy"))
		for range 1000 { // who asks all the same makes nothing worse
			if again := wait(t, l.Write(t.Context(), "greedy")); again != after {
				t.Fatalf("limit %d: first %v, then %v", perMinute, after, again)
			}
		}
		c.advance(after - 1)
		if l.Write(t.Context(), "greedy") == nil {
			t.Errorf("limit %d: admitted before %v were over", perMinute, after)
		}
		c.advance(1)
		if err := l.Write(t.Context(), "greedy"); err != nil {
			t.Errorf("limit %d: not admitted after %v: %v", perMinute, after, err)
		}
	}
}

func TestABurstIsAdmittedOnceHoweverManyAsk(t *testing.T) {
	t.Parallel()
	var c clock
	l := limits(t, ratelimit.Options{AddressPerMinute: 600, Now: c.now})
	var admitted atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 100 {
				if l.Request(t.Context(), netip.MustParsePrefix("2001:db8::/64")) == nil {
					admitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got := admitted.Load(); got != 100 {
		t.Errorf("%d of a burst of 100 were admitted", got)
	}
}

func TestLimitsThatAreOffRefuseNobody(t *testing.T) {
	t.Parallel()
	l := limits(t, ratelimit.Options{})
	for range 10_000 {
		if err := errors.Join(l.Write(t.Context(), "one"), l.Request(t.Context(), netip.MustParsePrefix("192.0.2.1/32"))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScopesDoNotShareACount(t *testing.T) {
	t.Parallel()
	var c clock
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 1, AddressPerMinute: 1, Now: c.now})
	if err := l.Request(t.Context(), netip.MustParsePrefix("192.0.2.1/32")); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), "192.0.2.1"); err != nil {
		t.Error(err)
	}
}

func address(n uint32) netip.Prefix {
	var b [16]byte
	b[0] = 0x20
	binary.BigEndian.PutUint32(b[4:], n)
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// Half a million strangers at one moment are many more than there is room for. Who is refused
// stays so, strangers are not, and memory does not grow.
func TestStrangersPushNobodyOut(t *testing.T) {
	t.Parallel()
	var c clock
	registry := prometheus.NewPedanticRegistry()
	l := limits(t, ratelimit.Options{AddressPerMinute: 600, Now: c.now, Metrics: registry})
	hostile := address(0)
	for l.Request(t.Context(), hostile) == nil {
	}
	for n := range uint32(500_000) {
		if err := l.Request(t.Context(), address(n+1)); err != nil {
			t.Fatalf("stranger %d: %v", n, err)
		}
	}
	if l.Request(t.Context(), hostile) == nil {
		t.Error("strangers have made room for the hostile one")
	}
	keys, evictions := value(t, registry, "till_rate_limit_keys"), value(t, registry, "till_rate_limit_evictions_total")
	if keys < 100_000 || keys > 131_072 || keys+evictions != 500_001 {
		t.Errorf("%v callers are remembered, %v were forgotten", keys, evictions)
	}
	c.advance(time.Minute)
	if keys := value(t, registry, "till_rate_limit_keys"); keys != 0 {
		t.Errorf("after a minute of silence %v callers are remembered", keys)
	}
}

// value adds up the series of a metric.
func value(t testing.TB, g prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	var c clock
	registry := prometheus.NewPedanticRegistry()
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 5, AddressPerMinute: 5, Now: c.now, Metrics: registry})
	for range 7 {
		_ = l.Write(t.Context(), "one")
	}
	for range 6 {
		_ = l.Request(t.Context(), address(1))
	}
	if n, err := testutil.GatherAndCount(registry, "till_rate_limited_total"); n != 2 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
	if got := value(t, registry, "till_rate_limited_total"); got != 3 {
		t.Errorf("%v refusals were counted, want 3", got)
	}
}

//nolint:paralleltest // it counts allocations
func TestADecisionAllocatesNothing(t *testing.T) {
	l := limits(t, ratelimit.Options{OwnerWritesPerMinute: 1 << 30, AddressPerMinute: 1 << 30})
	ctx, owner := context.Background(), "Ze3BErGC7Z1N6efNaWTc3r35_FuTjYedKFH3lgZruHI"
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Write(ctx, owner), l.Request(ctx, address(1)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	l := limits(b, ratelimit.Options{OwnerWritesPerMinute: 1 << 30})
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Write(b.Context(), "Ze3BErGC7Z1N6efNaWTc3r35_FuTjYedKFH3lgZruHI")
	}
}

func BenchmarkRequest(b *testing.B) {
	l := limits(b, ratelimit.Options{AddressPerMinute: 600})
	b.ReportAllocs()
	for n := uint32(0); b.Loop(); n++ {
		_ = l.Request(b.Context(), address(n))
	}
}
