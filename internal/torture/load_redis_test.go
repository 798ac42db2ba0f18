//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"till/internal/openloop"
	"till/internal/ratelimit/redistest"
)

// redisFaults are the ways in which Redis can fail those who share their limits there.
// Each returns what ends it.
var redisFaults = []struct {
	name  string
	begin func(context.Context, *redistest.Server) (end func() error, err error)
}{
	{"killed", func(_ context.Context, s *redistest.Server) (func() error, error) { return s.Start, s.Stop() }},
	{"frozen", func(_ context.Context, s *redistest.Server) (func() error, error) { return s.Thaw, s.Freeze() }},
	{"evicting", evicting},
	{"read-only", func(_ context.Context, s *redistest.Server) (func() error, error) {
		_, err := s.Do("REPLICAOF", "127.0.0.1", "1") // where nobody is
		return func() error {
			_, err := s.Do("REPLICAOF", "NO", "ONE")
			return err
		}, err
	}},
}

// evicting fills a Redis that has little room, and forgets anything for that.
func evicting(ctx context.Context, s *redistest.Server) (end func() error, err error) {
	for name, value := range map[string]string{"maxmemory-policy": "allkeys-random", "maxmemory": "4mb"} {
		if _, err := s.Do("CONFIG", "SET", name, value); err != nil {
			return nil, err
		}
	}
	filling, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		junk := strings.Repeat("junk", 5000)
		for n := 0; filling.Err() == nil; n++ {
			_, _ = s.Do("SET", fmt.Sprint("junk", n), junk)
			wait(filling, 3*time.Millisecond)
		}
	})
	return func() error {
		stop()
		wg.Wait()
		_, err := s.Do("CONFIG", "SET", "maxmemory", "0")
		return err
	}, nil
}

// TestLoadRedis lets Redis fail three replicas that share Stripe's budget there.
func TestLoadRedis(t *testing.T) {
	t.Parallel()
	for _, f := range redisFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			redisFault(t, f.begin)
		})
	}
}

func redisFault(t *testing.T, begin func(context.Context, *redistest.Server) (func() error, error)) {
	const (
		replicas = 3
		budget   = 60
		usual    = 0.7 * budget * mixed / mixReads
	)
	ctx := t.Context()
	server := redistest.Start(t, redistest.Options{})
	s := newShop(ctx, t, replicas, 30, fmt.Sprintf("STRIPE_RPS_PER_ENDPOINT=%d", budget), fmt.Sprintf("REPLICAS=%d", replicas),
		"REDIS_URL="+server.URL().Reveal())
	calm, lasts, flood, after := lasting(4*time.Second, 20*time.Second), lasting(5*time.Second, time.Minute), lasting(3*time.Second, 20*time.Second), 3*time.Second
	s.stroll(ctx, usual, time.Second)
	began := time.Now()
	people := make(chan []openloop.Outcome)
	go func() { people <- s.stroll(ctx, usual, calm+lasts) }()
	wait(ctx, calm)
	end, err := begin(ctx, server)
	must(t, err)
	wait(ctx, time.Until(began.Add(calm+lasts)))
	// Three times what there may be, while Redis is gone and while it comes back.
	flooded := make(chan []openloop.Outcome)
	go func() { flooded <- s.stroll(ctx, 3*budget*mixed/mixReads, flood+after) }()
	wait(ctx, flood)
	must(t, end())
	over := <-flooded
	honest := <-people

	struck := due(honest, calm, calm+lasts)
	report.fact(t, "answers meanwhile", histogram(struck)+"; to the flood "+histogram(over))
	report.judge(t, "goodput meanwhile", "≥ 99 %", percent(goodput(struck)), goodput(struck) >= 0.99)
	added := typical(struck, time.Second, openloop.Outcome.OK) - typical(due(honest, 0, calm), time.Second, openloop.Outcome.OK)
	report.judge(t, "p99 meanwhile, less that before", "≤ 25 ms", shown(added), added <= 25*time.Millisecond)
	groups := byOperation(s.upstream.since(began))
	for _, operation := range slices.Sorted(maps.Keys(groups)) {
		// What was sent in one second may arrive in another: an eighth of it.
		const most = budget + budget/8
		n := busiest(groups[operation], time.Second)
		report.judge(t, "busiest second of "+operation, fmt.Sprintf("≤ %d", most), n, n <= most)
	}
	if t.Failed() {
		s.fleet.explain(t)
	}
}
