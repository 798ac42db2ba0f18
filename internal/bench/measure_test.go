//go:build bench && linux

package bench_test

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// scenario is a load and how long Stripe takes meanwhile.
type scenario struct {
	name    string
	latency latency
	callers int     // of a closed loop
	rate    float64 // of an open one, per second
}

var (
	maxTLS   = scenario{name: "max-tls", callers: 64}
	lat20    = scenario{name: "lat20-tls", callers: 256, latency: latency{Median: 20 * time.Millisecond}}
	open500  = scenario{name: "open500-tls", rate: 500, latency: latency{Median: 200 * time.Millisecond, Sigma: 0.4}}
	open2000 = scenario{name: "open2000-tls", rate: 2000, latency: latency{Median: 200 * time.Millisecond, Sigma: 0.4}}
)

// sample is one round of one contestant.
type sample struct {
	*outcome
	cpu      time.Duration // of the contestant
	database time.Duration // of Postgres
	upstream counts
	peak     float64 // MiB, over the whole life of the process
	foreign  float64 // processors that others used
	harness  float64 // processors that this process, Stripe and Postgres used
}

// perRequest is the CPU time of the contestant for each good answer, in microseconds.
func (s *sample) perRequest() float64 {
	return float64(s.cpu.Microseconds()) / float64(max(1, s.answers))
}

func (s *sample) throughput() float64 { return float64(s.answers) / s.took.Seconds() }

func (s *sample) noisy() bool { return s.foreign > *quiet }

// measure starts the contestant anew, has it serve every caller once and the scenario for a
// while, and then measures it.
func (w *world) measure(c *contestant, s scenario, database string, callers []caller) (_ *sample, err error) {
	if err := w.setLatency(latency{}); err != nil {
		return nil, err
	}
	r, err := c.start(w, w.in(database)...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopErr := r.stop(); err == nil {
			err = stopErr
		}
	}()
	l := newLoad(r, c, callers)
	defer l.close()
	first := l.closed(32, 0, len(callers))
	if first.answers == 0 {
		return nil, fmt.Errorf("%s answers nobody: %v", c.name, first.failed)
	}
	if err := w.setLatency(s.latency); err != nil {
		return nil, err
	}
	w.warm(l, s)
	return w.watch(r, func() *outcome { return w.run(l, s, *window) })
}

// warm climbs to the scenario's load.
func (w *world) warm(l *load, s scenario) {
	if s.rate == 0 {
		w.run(l, s, *warmUp/2)
		return
	}
	for _, part := range []float64{0.25, 0.5, 1} {
		l.open(w.t.Context(), s.rate*part, *warmUp/3)
	}
}

func (w *world) run(l *load, s scenario, lasting time.Duration) *outcome {
	if s.rate > 0 {
		return l.open(w.t.Context(), s.rate, lasting)
	}
	// Where others have most of the processor there would be too little to divide by.
	return l.closed(s.callers, lasting, int(1000*lasting.Seconds()))
}

// watch reads what everybody has used before and after.
func (w *world) watch(r *running, run func() *outcome) (*sample, error) {
	postmaster := w.postmaster()
	before, err := w.counts()
	if err != nil {
		return nil, err
	}
	all, cpu, database := busy(), used(r.pid()), usedByFamily(postmaster)
	harness := used(os.Getpid()) + used(w.stripe.pid())
	began := time.Now()
	s := &sample{outcome: run()}
	wall := time.Since(began).Seconds()
	s.cpu, s.database = used(r.pid())-cpu, usedByFamily(postmaster)-database
	harness = used(os.Getpid()) + used(w.stripe.pid()) - harness + s.database
	s.harness = harness.Seconds() / wall
	s.foreign = max(0, (busy()-all-s.cpu-harness).Seconds()/wall)
	after, err := w.counts()
	if err != nil {
		return nil, err
	}
	s.upstream = after.minus(before)
	s.peak, err = mebibytes(r.pid(), "VmHWM")
	return s, err
}

// series is the rounds of each contestant.
type series map[*contestant][]*sample

// compete has the contestants take turns: a round is one sample of each, and each round
// begins with the next of them.
func (w *world) compete(s scenario, database string, contestants ...*contestant) series {
	w.t.Helper()
	all := series{}
	for round := range *rounds {
		for i := range contestants {
			c := contestants[(i+round)%len(contestants)]
			all[c] = append(all[c], w.quietest(c, s, database, round))
		}
	}
	return all
}

// quietest repeats a sample that others have disturbed, and returns the one that they
// disturbed least.
func (w *world) quietest(c *contestant, s scenario, database string, round int) *sample {
	w.t.Helper()
	var best *sample
	for range 1 + *retries {
		one, err := w.measure(c, s, database, w.callers)
		must(w.t, err)
		w.t.Logf("%-12s round %d  %-36s %s", s.name, round+1, c.name, one)
		if best == nil || one.foreign < best.foreign {
			best = one
		}
		if !best.noisy() {
			break
		}
	}
	return best
}

// contender is a program with what it serves.
type contender struct {
	name     string
	program  *contestant
	database string
	callers  []caller
}

// sideBySide starts all at once and has them serve the load of max-tls in turns, for a
// short time each: what others do to the processor meets them alike. It returns what each
// request cost, by contender and round.
func (w *world) sideBySide(rounds int, window time.Duration, contenders ...contender) [][]float64 {
	w.t.Helper()
	must(w.t, w.setLatency(latency{}))
	var running []*running
	var loads []*load
	for _, c := range contenders {
		r, err := c.program.start(w, w.in(c.database)...)
		must(w.t, err)
		defer func() { must(w.t, r.stop()) }()
		l := newLoad(r, c.program, c.callers)
		defer l.close()
		l.closed(maxTLS.callers, 2*time.Second, 5*len(c.callers))
		running, loads = append(running, r), append(loads, l)
	}
	costs := make([][]float64, len(contenders))
	least := int(1000 * window.Seconds())
	for round := range rounds {
		for i := range contenders {
			at := (i + round) % len(contenders)
			one, err := w.watch(running[at], func() *outcome { return loads[at].closed(maxTLS.callers, window, least) })
			must(w.t, err)
			if one.answers == 0 {
				w.t.Fatalf("%s answers nobody: %v", contenders[at].name, one.failed)
			}
			w.t.Logf("round %2d  %-26s %s", round+1, contenders[at].name, one)
			costs[at] = append(costs[at], one.perRequest())
		}
	}
	return costs
}

// ratios are of the same round.
func ratios(of, to []float64) (all []float64) {
	for i := range of {
		all = append(all, of[i]/to[i])
	}
	return all
}

// String is a line for who watches.
func (s *sample) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6.0f/s  %5.0f µs CPU  p99 +%-8v  %3.0f MiB  %d opened  Postgres %3.0f µs  harness %.2f  others %.2f",
		s.throughput(), s.perRequest(), s.p99().Round(10*time.Microsecond), s.peak, s.upstream.Connections,
		float64(s.database.Microseconds())/float64(max(1, s.answers)), s.harness, s.foreign)
	if s.noisy() {
		b.WriteString("  noisy")
	}
	if s.bad() > 0 {
		fmt.Fprintf(&b, "  FAILED %v", s.failed)
	}
	return b.String()
}
