//go:build bench && linux

package bench_test

import "fmt"

// grown is one size of what grows.
type grown struct {
	name     string
	service  *contestant
	database string
	callers  []caller
}

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
	base := grown{"1,000 customers, 1 plan", till, small, few}
	customers := grown{fmt.Sprint(*crowd, " customers"), till, many, few}
	offers := grown{fmt.Sprint(plans, " plans"), service("service", plans), small, spread}
	warm := w.grow(base, customers, offers)
	for i, g := range []grown{customers, offers} {
		report.judge("CPU per warm request, "+g.name, "to "+base.name, atMost(1.1, ""), warm[i], "")
	}
	first := grown{fmt.Sprint(len(w.callers), " customers"), till, usual, w.callers}
	customers.callers = w.callers
	report.judge("CPU per first request, a query each, "+customers.name, "to "+first.name, atMost(1.1, ""), w.growFirst(first, customers), "")
}

// grow measures the sizes in turns and returns the ratios of each to the first.
func (w *world) grow(base grown, others ...grown) [][]float64 {
	w.t.Helper()
	all := append([]grown{base}, others...)
	ratios := make([][]float64, len(others))
	for round := range *rounds {
		costs := make([]float64, len(all))
		for i := range all {
			at := (i + round) % len(all)
			one, err := w.measure(all[at].service, maxTLS, all[at].database, all[at].callers)
			must(w.t, err)
			w.t.Logf("round %d  %-26s %s", round+1, all[at].name, one)
			costs[at] = one.perRequest()
		}
		for i := range others {
			ratios[i] = append(ratios[i], costs[i+1]/costs[0])
		}
	}
	return ratios
}

// growFirst measures the first request of each caller.
func (w *world) growFirst(few, many grown) (ratios []float64) {
	w.t.Helper()
	for round := range *rounds {
		sizes, costs := []grown{few, many}, [2]float64{}
		for i := range sizes {
			at := (i + round) % len(sizes)
			costs[at] = w.firstVisits(sizes[at], round)
		}
		ratios = append(ratios, costs[1]/costs[0])
	}
	return ratios
}

func (w *world) firstVisits(g grown, round int) float64 {
	w.t.Helper()
	must(w.t, w.setLatency(latency{}))
	r, err := g.service.start(w, w.in(g.database)...)
	must(w.t, err)
	// Connections and heap are as they will be; only one caller is known.
	warm := newLoad(r, g.service, g.callers[:1])
	warm.closed(maxTLS.callers, *warmUp/2, 0)
	warm.close()
	l := newLoad(r, g.service, g.callers[1:])
	one, err := w.watch(r, func() *outcome { return l.closed(maxTLS.callers, 0, len(g.callers)-1) })
	must(w.t, err)
	l.close()
	must(w.t, r.stop())
	w.t.Logf("round %d  first requests, %-20s %s", round+1, g.name, one)
	return one.perRequest()
}
