//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"till/internal/store/pgtest"
)

// TestTorturePostgresOutage is a Postgres that crashes and comes back, and one that fails over to
// a standby that has lost the last second, while new owners keep coming.
func TestTorturePostgresOutage(t *testing.T) {
	t.Run("restart", func(t *testing.T) {
		t.Parallel()
		c := startCluster(t)
		name, err := c.NewDatabase()
		must(t, err)
		outage(t, []string{c.URL(name)}, func(ctx context.Context) (time.Time, error) {
			if err := c.Stop(pgtest.Immediate); err != nil {
				return time.Time{}, err
			}
			wait(ctx, lasting(2*time.Second, 10*time.Second))
			err := c.Start()
			return time.Now(), err
		})
	})
	t.Run("failover", func(t *testing.T) {
		t.Parallel()
		primary := startCluster(t)
		name, err := primary.NewDatabase()
		must(t, err)
		standby := primary.StartStandby(t)
		url := pgtest.URL(name, primary, standby)
		outage(t, []string{url, standby.URL(name)}, func(ctx context.Context) (time.Time, error) {
			if err := standby.Detach(); err != nil {
				return time.Time{}, err
			}
			wait(ctx, time.Second) // what happens now is lost
			if err := primary.Kill(); err != nil {
				return time.Time{}, err
			}
			err := standby.Promote()
			return time.Now(), err
		})
	})
}

// outage lets owners come before, during and after an event, which returns when the
// database is back. The first URL is the service's, the last the one to look at then.
func outage(t *testing.T, urls []string, event func(context.Context) (time.Time, error)) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	st, f := stage(ctx, t, urls[0], serene())
	c := &crowd{fleet: f, members: 3, window: 24, seen: newSeen()}
	arrivals, end := context.WithCancel(ctx)
	defer end()
	flowing := make(chan error, 1)
	go func() { flowing <- c.flow(ctx, arrivals, "flow") }()

	wait(ctx, 2*time.Second)
	back, err := event(ctx)
	must(t, err)
	const within = 10 * time.Second
	wait(ctx, within+5*time.Second)
	end()
	must(t, <-flowing)

	report.fact(t, "owners × people at once", fmt.Sprintf("%d × %d", len(c.owners), c.members))
	report.fact(t, "answers", c.seen.histogram())
	report.fact(t, "people who gave up", c.gaveUp.Load())
	last := c.seen.lastFailure(back).Round(time.Millisecond)
	report.judge(t, "the last who was refused came after the database was back", "<= 10 s", last, last <= within)
	report.judge(t, "people came", "> 100", len(c.owners), len(c.owners) > 100)
	w, err := learn(ctx, st, urls[len(urls)-1], c.owners)
	must(t, err)
	report.fact(t, "owners with a customer whose row the database has lost", len(c.owners)-len(w.records))
	// Nobody remembers: what the processes had in their caches may not be in the database.
	must(t, f.stop())
	must(t, f.start(ctx))
	settleAll(ctx, t, c, st, urls[len(urls)-1])
}

// settleAll lets everybody come once more, and judges.
func settleAll(ctx context.Context, t *testing.T, c *crowd, st *stripe, databaseURL string) {
	at := func(i int) string { return *c.fleet.slots[i%len(c.fleet.slots)].base.Load() }
	stuck, err := c.once(ctx, at)
	must(t, err)
	report.none(t, "owners unserved in the end", stuck)
	w, err := learn(ctx, st, databaseURL, c.owners)
	must(t, err)
	w.hold(t, c.owners, c.seen)
	report.none(t, "answers that callers cannot use", c.seen.odd)
	if t.Failed() {
		c.fleet.explain(t)
	}
	must(t, c.fleet.stop())
	report.none(t, "panics", c.fleet.panicked())
}

// stage starts Stripe, a proxy and three processes that serve.
func stage(ctx context.Context, t *testing.T, databaseURL string, plans map[string]plan) (*stripe, *fleet) {
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	p := newProxy(st, t.Name(), plans)
	t.Cleanup(p.server.Close)
	f, err := newFleet(ctx, t.TempDir(), databaseURL, p.server.URL, 3)
	must(t, err)
	t.Cleanup(func() { must(t, f.stop()) })
	must(t, f.start(ctx))
	return st, f
}

// TestTortureStoppedProcess stops one process for a while, as a host that swaps or a debugger
// does; it goes on with what it believed before.
func TestTortureStoppedProcess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	st, f := stage(ctx, t, newFile(t), serene())
	c := &crowd{fleet: f, members: 3, window: 24, seen: newSeen()}
	arrivals, end := context.WithCancel(ctx)
	defer end()
	flowing := make(chan error, 1)
	go func() { flowing <- c.flow(ctx, arrivals, "flow") }()
	wait(ctx, 2*time.Second)
	victim := f.slots[0]
	base := victim.base.Load()
	must(t, victim.child.signal(syscall.SIGSTOP))
	wait(ctx, time.Second) // so long it takes the load balancer to see
	victim.base.Store(nil)
	wait(ctx, lasting(14*time.Second, 29*time.Second))
	must(t, victim.child.signal(syscall.SIGCONT))
	victim.base.Store(base)
	wait(ctx, 5*time.Second)
	end()
	must(t, <-flowing)
	report.fact(t, "owners × people at once", fmt.Sprintf("%d × %d", len(c.owners), c.members))
	report.fact(t, "answers", c.seen.histogram())
	c.seen.odd = withoutTimeouts(c.seen.odd)
	settleAll(ctx, t, c, st, f.databaseURL)
}

// withoutTimeouts leaves out those who waited for a process that stood still.
func withoutTimeouts(odd []string) []string {
	var rest []string
	for _, one := range odd {
		if len(one) < len(noAnswer) || one[:len(noAnswer)] != noAnswer {
			rest = append(rest, one)
		}
	}
	return rest
}
