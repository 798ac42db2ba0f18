package ratelimit

import "github.com/prometheus/client_golang/prometheus"

// register makes every series. Those of a limit that is off stay at 0, and those of
// Redis are there only with it.
func register(o Options, l *Limits) error {
	// refused: a rise of owner is a page or an app that repeats itself; of address, one
	// client that floods, or a proxy that trusted_proxies lacks.
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "till_rate_limited_total",
		Help: "Requests refused because of too many before, by what was counted.",
	}, []string{"scope"})
	collectors := []prometheus.Collector{refused}
	for scope, limit := range map[string]*limit{"owner": l.owners, "address": l.addresses} {
		counter := refused.WithLabelValues(scope)
		if limit != nil {
			limit.refused = counter
			collectors = append(collectors, limit.table.collectors(scope)...)
		}
	}
	if o.Redis != nil {
		collectors = append(collectors, o.Redis.collectors()...)
	}
	for _, c := range collectors {
		if err := o.Metrics.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) collectors(scope string) []prometheus.Collector {
	labels := prometheus.Labels{"scope": scope}
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "till_rate_limit_keys", ConstLabels: labels,
			Help: "Callers who are remembered, because they asked for something a moment ago.",
		}, func() float64 { return float64(t.size()) }),
		// evictions: not zero means that more callers came at once than there is room for.
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "till_rate_limit_evictions_total", ConstLabels: labels,
			Help: "Callers forgotten too early, those who had asked for least, to make room for others.",
		}, func() float64 { return float64(t.evicted.Load()) }),
	}
}
