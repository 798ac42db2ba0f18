package ratelimit

import "github.com/prometheus/client_golang/prometheus"

// reason is why a call was refused its turn.
type reason string

const (
	reasonLate  reason = "too_late"   // the turn would come too late
	reasonOwner reason = "owner_full" // too many calls of one owner wait
	reasonFull  reason = "full"       // too many calls wait
)

var reasons = []reason{reasonLate, reasonOwner, reasonFull}

// phaseNames are the labels of till_stripe_budget_state.
var phaseNames = map[phase]string{alone: "own_share", joining: "switching", doubtful: "switching", together: "shared"}

type budgetMetrics struct {
	// waiting: more than a few for minutes means that Stripe's limit is what is short.
	waiting prometheus.Gauge
	// waited: what the limit costs those who are served.
	waited prometheus.Histogram
	// refused: sales that the limit costs.
	refused   map[reason]prometheus.Counter
	byReasons *prometheus.CounterVec
	// state: own_share where redis_url is set says that Redis is gone.
	state *prometheus.GaugeVec
	// failures: each is a question to Redis that brought nothing.
	failures prometheus.Counter
}

func newBudgetMetrics() *budgetMetrics {
	m := &budgetMetrics{
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "till_stripe_queue_waiting",
			Help: "Calls to Stripe that wait for their turn under limits.stripe_rps_per_endpoint.",
		}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "till_stripe_queue_wait_seconds",
			Help:    "How long calls to Stripe waited for their turn, of those that did not have it at once and got one.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 6},
		}),
		refused: map[reason]prometheus.Counter{},
		byReasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_stripe_queue_refused_total",
			Help: "Calls to Stripe that were not sent since their turn would not have come in time, by reason.",
		}, []string{"reason"}),
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "till_stripe_budget_state",
			Help: "1 for where this replica's part of limits.stripe_rps_per_endpoint comes from: shared is Redis.",
		}, []string{"state"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_stripe_budget_redis_failures_total",
			Help: "Questions about the Stripe budget that Redis did not answer in time or in kind.",
		}),
	}
	for _, r := range reasons {
		m.refused[r] = m.byReasons.WithLabelValues(string(r))
	}
	m.entered(alone)
	return m
}

// register makes them known, with the part of the rate that is left.
func (m *budgetMetrics) register(reg prometheus.Registerer, least func() float64) error {
	ratio := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "till_stripe_budget_ratio",
		Help: "The part of the rate that is left after Stripe's last 429s, of the endpoint that has least; 1 is all of it.",
	}, least)
	for _, c := range []prometheus.Collector{m.waiting, m.waited, m.byReasons, m.state, m.failures, ratio} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *budgetMetrics) entered(p phase) {
	for _, name := range phaseNames {
		m.state.WithLabelValues(name).Set(0)
	}
	m.state.WithLabelValues(phaseNames[p]).Set(1)
}
