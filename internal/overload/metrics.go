package overload

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	// shed: more than a few means that more replicas, or larger ones, are needed
	// (processor), or that Stripe or the database is slow (places).
	shed map[Class]map[Reason]prometheus.Counter
	// queue: at most patience (the third bucket) for those that are admitted under pressure.
	queue prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, l *Limiter) (*metrics, error) {
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "till_http_shed_total",
		Help: "Requests refused with 503 overloaded before anything was done for them, by class and by what was scarce.",
	}, []string{"class", "reason"})
	m := &metrics{
		shed: map[Class]map[Reason]prometheus.Counter{},
		queue: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "till_http_queue_duration_seconds",
			Help:    "How long requests waited for the processor before they were admitted or refused.",
			Buckets: []float64{0.001, 0.01, 0.05, 0.1},
		}),
	}
	collectors := []prometheus.Collector{shed, m.queue, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "till_http_pressure",
		Help: "1 while requests are refused that have waited long for the processor; 0 is normal.",
	}, func() float64 {
		if l.pressure.isHigh(l.o.Now()) {
			return 1
		}
		return 0
	})}
	for c := range classes {
		m.shed[c] = map[Reason]prometheus.Counter{}
		for _, r := range reasons {
			m.shed[c][r] = shed.WithLabelValues(c.String(), string(r))
		}
		labels := prometheus.Labels{"class": c.String()}
		collectors = append(collectors,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "till_http_in_flight", ConstLabels: labels,
				Help: "Requests under way by class: local ones need neither Stripe nor the database.",
			}, func() float64 { return float64(l.underWay[c].Load()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "till_http_in_flight_limit", ConstLabels: labels,
				Help: "How many requests may be under way: local ones, reads and writes together for a read, and for a write.",
			}, func() float64 { return float64(l.limits[c]) }))
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) refused(c Class, r Reason) { m.shed[c][r].Inc() }

func (m *metrics) waited(d time.Duration) { m.queue.Observe(d.Seconds()) }
