//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"till/internal/store/pgtest"
)

// TestTortureRace is a first visit of a thousand owners, ten of each at once, at three processes
// of which one dies every few moments, while every fifth creation at Stripe goes wrong.
func TestTortureRace(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { race(t, newFile(t), nil) })
	t.Run("postgres", func(t *testing.T) {
		c := startCluster(t)
		race(t, newPostgres(t, c)(t), c)
	})
}

func race(t *testing.T, databaseURL string, server *pgtest.Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	p := newProxy(st, t.Name(), stormy())
	t.Cleanup(p.server.Close)
	f, err := newFleet(ctx, t.TempDir(), databaseURL, p.server.URL, 3)
	must(t, err)
	t.Cleanup(func() { must(t, f.stop()) })
	must(t, f.start(ctx))

	c := &crowd{fleet: f, owners: crowdOf("o", sized(owners, 100, 1000)), members: 10, window: 24, seen: newSeen()}
	k := &killer{fleet: f, dice: dice(t.Name() + " kills")}
	began := time.Now()
	crashes := make(chan error, 1)
	go func() { crashes <- crashServer(ctx, server, c.progress) }()
	must(t, storm(ctx, c, k, sized(kills, 20, 200)))
	raced := time.Since(began)
	must(t, <-crashes)
	must(t, k.err())
	p.calm.Store(true)
	unstruck, err := st.heal(ctx)
	must(t, err)
	describe(t, c, k, p, unstruck, raced)
	aftermath(ctx, t, c, st, databaseURL)
}

// crashServer crashes the database, where that is a server, a few times during the race.
func crashServer(ctx context.Context, server *pgtest.Cluster, progress func() float64) error {
	if server == nil {
		return nil
	}
	for _, at := range []float64{0.25, 0.5, 0.75} {
		for progress() < at && ctx.Err() == nil {
			pause(ctx)
		}
		if err := server.Stop(pgtest.Immediate); err != nil {
			return err
		}
		wait(ctx, 500*time.Millisecond)
		if err := server.Start(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// storm is the race with its kills. Neither may run ahead of the other.
func storm(ctx context.Context, c *crowd, k *killer, n int) error {
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		k.run(ctx, n, c.progress)
	}()
	err := c.race(ctx, func(done float64) {
		for float64(k.done.Load()+3) < done*float64(n) && ctx.Err() == nil {
			pause(ctx)
		}
	})
	<-killed
	return err
}

func describe(t *testing.T, c *crowd, k *killer, p *proxy, unstruck map[string]int, took time.Duration) {
	struck, total, calls := p.strikes()
	report.fact(t, "owners × people at once", fmt.Sprintf("%d × %d", len(c.owners), c.members))
	report.fact(t, "duration of the race", took.Round(100*time.Millisecond))
	report.fact(t, "requests, retries included", c.seen.requests)
	report.fact(t, "answers", c.seen.histogram())
	report.fact(t, "people who gave up during the faults", c.gaveUp.Load())
	report.fact(t, "slowest answer", c.seen.slowest.Round(time.Millisecond))
	report.fact(t, "starts until ready", c.fleet.startTimes())
	report.fact(t, "calls to Stripe", calls)
	report.fact(t, "faults", total)
	report.fact(t, "faults by kind", struck)
	report.fact(t, "faults that met nobody", counts(unstruck))
	share := float64(p.hits["customers.create"]) / float64(p.calls["customers.create"])
	report.judge(t, "share of creations that went wrong", "about 20 %", fmt.Sprintf("%.1f %%", 100*share), share > 0.05)
	report.judge(t, "kills during the race", fmt.Sprint(sized(kills, 20, 200)), k.done.Load(), k.done.Load() >= int64(sized(kills, 20, 200)))
}

// quiet is how long after the faults everybody must be served.
const quiet = 60 * time.Second

// rest lets that time pass: all of it, or in the short form by Stripe's clock, which is the
// only one that the protocol knows, and then as long as the next two sweeps may take.
func rest(ctx context.Context, st *stripe) error {
	if full() {
		wait(ctx, quiet)
		return nil
	}
	const twoSweeps = 15 * time.Second
	if err := st.advance(ctx, quiet-twoSweeps); err != nil {
		return err
	}
	wait(ctx, twoSweeps)
	return nil
}

// aftermath is what holds a minute after the faults have stopped.
func aftermath(ctx context.Context, t *testing.T, c *crowd, st *stripe, databaseURL string) {
	must(t, rest(ctx, st))
	before, err := learn(ctx, st, databaseURL, c.owners)
	must(t, err)
	report.fact(t, "rows still reserved then, and nobody came again", len(before.reserved()))
	slots := c.fleet.slots
	at := func(i int) string { return *slots[i%len(slots)].base.Load() }
	stuck, err := c.once(ctx, at)
	must(t, err)
	report.none(t, "owners stuck 60 s after the faults", stuck)
	for shift := range slots[1:] {
		// Each owner at each of the other processes.
		unserved, err := c.once(ctx, func(i int) string { return at(i + shift + 1) })
		must(t, err)
		report.none(t, fmt.Sprintf("owners unserved at another process (%d)", shift+1), unserved)
	}
	memory, err := st.memory(ctx)
	must(t, err)
	report.judge(t, "idempotency keys that the sandbox forgot", "0", memory, memory == 0)
	w, err := learn(ctx, st, databaseURL, c.owners)
	must(t, err)
	w.hold(t, c.owners, c.seen)
	report.none(t, "answers that callers cannot use", c.seen.odd)
	must(t, c.fleet.stop())
	report.none(t, "panics", c.fleet.panicked())
}

// must ends a scenario that cannot go on.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		report.add(line{t.Name(), "carried out", "to the end", "stopped by an error", "VIOLATED"})
		t.Fatal(err)
	}
}
