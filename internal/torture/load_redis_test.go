//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
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
	name string
	// rare ones are for the full form.
	rare  bool
	begin func(context.Context, *redistest.Server) (end func() error, err error)
}{
	{"killed", false, func(_ context.Context, s *redistest.Server) (func() error, error) { return s.Start, s.Stop() }},
	{"frozen", false, func(_ context.Context, s *redistest.Server) (func() error, error) { return s.Thaw, s.Freeze() }},
	{"evicting", false, evicting},
	{"read-only", false, func(_ context.Context, s *redistest.Server) (func() error, error) {
		_, err := s.Do("REPLICAOF", "127.0.0.1", "1") // where nobody is
		return func() error {
			_, err := s.Do("REPLICAOF", "NO", "ONE")
			return err
		}, err
	}},
	{"slow", true, func(ctx context.Context, s *redistest.Server) (func() error, error) {
		return repeatedly(ctx, 2*time.Second, func(int) error {
			_, err := s.Do("CLIENT", "PAUSE", "2000", "ALL")
			return err
		}), nil
	}},
	{"confused", true, func(ctx context.Context, s *redistest.Server) (func() error, error) {
		const script = `for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('DEL', key) redis.call('LPUSH', key, 'junk') end return 1`
		return repeatedly(ctx, 100*time.Millisecond, func(int) error {
			_, err := s.Do("EVAL", script, "0")
			return err
		}), nil
	}},
}

// repeatedly does something every so often, until it is told to end; that returns the
// last error.
func repeatedly(ctx context.Context, every time.Duration, what func(n int) error) (end func() error) {
	going, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var last error
	wg.Go(func() {
		for n := 0; going.Err() == nil; n++ {
			if err := what(n); err != nil {
				last = err
			}
			wait(going, every)
		}
	})
	return func() error {
		stop()
		wg.Wait()
		return last
	}
}

// evicting fills a Redis that has little room, and forgets anything for that.
func evicting(ctx context.Context, s *redistest.Server) (end func() error, err error) {
	for name, value := range map[string]string{"maxmemory-policy": "allkeys-random", "maxmemory": "4mb"} {
		if _, err := s.Do("CONFIG", "SET", name, value); err != nil {
			return nil, err
		}
	}
	junk := strings.Repeat("junk", 5000)
	stop := repeatedly(ctx, 3*time.Millisecond, func(n int) error {
		_, err := s.Do("SET", fmt.Sprint("junk", n), junk)
		return err
	})
	return func() error {
		_, err := s.Do("CONFIG", "SET", "maxmemory", "0")
		return errors.Join(stop(), err)
	}, nil
}

// TestLoadRedis lets Redis fail three replicas that share Stripe's budget there.
func TestLoadRedis(t *testing.T) {
	t.Parallel()
	for _, f := range redisFaults {
		if f.rare && !full() {
			continue
		}
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
		usual    = 0.7 * budget
	)
	ctx := t.Context()
	server := redistest.Start(t, redistest.Options{})
	s := newShop(ctx, t, replicas, 30, fmt.Sprintf("STRIPE_RPS_PER_ENDPOINT=%d", budget), fmt.Sprintf("REPLICAS=%d", replicas),
		"REDIS_URL="+server.URL().Reveal())
	calm, lasts, flood, after := lasting(4*time.Second, 20*time.Second), lasting(5*time.Second, time.Minute), lasting(3*time.Second, 20*time.Second), 3*time.Second
	s.stroll(ctx, usual, time.Second)
	stalled := stalls(ctx)
	began := time.Now()
	people := make(chan []openloop.Outcome)
	go func() { people <- s.stroll(ctx, usual, calm+lasts) }()
	wait(ctx, calm)
	end, err := begin(ctx, server)
	must(t, err)
	wait(ctx, time.Until(began.Add(calm+lasts)))
	// Three times what there may be, while Redis is gone and while it comes back.
	flooded := make(chan []openloop.Outcome)
	go func() { flooded <- s.stroll(ctx, 3*budget, flood+after) }()
	wait(ctx, flood)
	must(t, end())
	over := <-flooded
	honest := <-people

	struck := due(honest, calm, calm+lasts)
	report.fact(t, "answers meanwhile", histogram(struck)+"; to the flood "+histogram(over))
	report.judge(t, "goodput meanwhile", "≥ 99 %", percent(goodput(struck)), goodput(struck) >= 0.99)
	added := typical(struck, time.Second, openloop.Outcome.OK) - typical(due(honest, 0, calm), time.Second, openloop.Outcome.OK)
	report.timed(t, "p99 meanwhile, less that before", "≤ 25 ms", shown(added), added <= 25*time.Millisecond)
	report.fact(t, "the slowest second meanwhile", shown(worst(struck, time.Second)))
	// Of a test account, the budget of an endpoint is that of all together. What was sent in
	// one second may arrive in another, as late as this machine is: an eighth of it, and what
	// came while nobody here had a processor.
	const most = budget + budget/8
	second := time.Second - min(stalled(), time.Second/2)
	n := busiest(s.upstream.since(began), second)
	report.judge(t, fmt.Sprintf("busiest %v at Stripe", second.Round(time.Millisecond)), fmt.Sprintf("≤ %d", most), n, n <= most)
	if t.Failed() {
		s.fleet.explain(t)
	}
}
