//go:build bench && linux

package bench_test

import "fmt"

// benchGrowth asks whether a request costs more where there are more customers or plans.
// The callers are the same: what differs is what lies beside their rows.
func (w *world) benchGrowth(usual string) {
	few := w.callers[:min(1000, len(w.callers))]
	many := w.newDatabase(*crowd, 1)
	small := w.newDatabase(len(few), w.spread())
	const plans = 1000
	spread := make([]caller, len(few))
	for i, c := range few {
		c.plan = planName(i % plans)
		spread[i] = c
	}
	base := contender{"1,000 customers, 1 plan", till, small, few}
	customers := contender{fmt.Sprint(*crowd, " customers"), till, many, few}
	offers := contender{fmt.Sprint(plans, " plans"), service("service", plans), small, spread}
	costs := w.sideBySide(3**rounds, *window/4, base, customers, offers)
	for i, c := range []contender{customers, offers} {
		report.judge("CPU per warm request, "+c.name, "to "+base.name, atMost(1.1, ""), ratios(costs[i+1], costs[0]), "")
	}
	first := contender{fmt.Sprint(len(w.callers), " customers"), till, usual, w.callers}
	customers.callers = w.callers
	costs = w.growFirst(first, customers)
	report.judge("CPU per first request, a query each, "+customers.name, "to "+first.name, atMost(1.1, ""), ratios(costs[1], costs[0]), "")
}

// growFirst measures the first request of each caller, a tenth of them after the other.
func (w *world) growFirst(sizes ...contender) [][]float64 {
	w.t.Helper()
	const (
		parts  = 10
		atOnce = 16 // fewer than would have to queue for a connection to Postgres
	)
	must(w.t, w.setLatency(latency{}))
	var running []*running
	for _, c := range sizes {
		r, err := c.program.start(w, w.in(c.database)...)
		must(w.t, err)
		defer func() { must(w.t, r.stop()) }()
		// Connections and heap are as they will be; only one caller is known.
		warm := newLoad(r, c.program, c.callers[:1])
		warm.closed(atOnce, *warmUp/2, 1000)
		warm.close()
		running = append(running, r)
	}
	costs := make([][]float64, len(sizes))
	for part := range parts {
		for i := range sizes {
			at := (i + part) % len(sizes)
			c := sizes[at]
			each := len(c.callers) / parts
			l := newLoad(running[at], c.program, c.callers[part*each:(part+1)*each])
			one, err := w.watch(running[at], func() *outcome { return l.closed(atOnce, 0, each) })
			l.close()
			must(w.t, err)
			w.t.Logf("part %2d  first requests, %-18s %s", part+1, c.name, one)
			costs[at] = append(costs[at], one.perRequest())
		}
	}
	return costs
}
