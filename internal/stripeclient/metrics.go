package stripeclient

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// operation names a call for metrics, logs and budgets: Stripe's rate limits
// are per endpoint too.
type operation string

const (
	opAccount        operation = "account.retrieve"
	opClock          operation = "clock"
	opCustomerCreate operation = "customers.create"
	opCustomerGet    operation = "customers.retrieve"
	opCustomerUpdate operation = "customers.update"
	opCustomerList   operation = "customers.list"
	opPriceRetrieve  operation = "prices.retrieve"
	opPriceList      operation = "prices.list"
	opPromotionList  operation = "promotion_codes.list"
	opCheckoutCreate operation = "checkout.sessions.create"
	opCheckoutGet    operation = "checkout.sessions.retrieve"
	opPortalCreate   operation = "billing_portal.sessions.create"

	opCheckoutList      operation = "checkout.sessions.list"
	opCheckoutExpire    operation = "checkout.sessions.expire"
	opSubscriptionGet   operation = "subscriptions.retrieve"
	opSubscriptionList  operation = "subscriptions.list"
	opConfigurationGet  operation = "billing_portal.configurations.retrieve"
	opConfigurationList operation = "billing_portal.configurations.list"
	opCheckoutItems     operation = "checkout.sessions.line_items"
	opCheckoutUpdate    operation = "checkout.sessions.update"
)

var operations = []operation{
	opAccount, opClock, opCustomerCreate, opCustomerGet, opCustomerUpdate, opCustomerList,
	opPriceRetrieve, opPriceList, opPromotionList, opCheckoutCreate, opCheckoutGet, opPortalCreate,
	opCheckoutList, opCheckoutExpire, opSubscriptionList,
	opSubscriptionGet, opConfigurationGet, opConfigurationList,
	opCheckoutItems, opCheckoutUpdate,
}

type metrics struct {
	// calls: which part of Stripe fails, and how.
	calls *prometheus.CounterVec
	// duration: what Stripe adds to a request, queue, tries and pauses included.
	duration *prometheus.HistogramVec
	// retries: more than a tenth of the calls means that the budget is spent.
	retries *prometheus.CounterVec
	// violations: answers that were not believed. Never normal.
	violations prometheus.Counter
	// offset: beyond 30, somebody should look at this host's clock.
	offset prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_stripe_calls_total",
			Help: "Calls to Stripe, each with all its tries, by operation and outcome.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "till_stripe_call_duration_seconds",
			Help:    "How long calls to Stripe took, queue, tries and pauses included.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 12},
		}, []string{"operation"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_stripe_retries_total",
			Help: "Second and third tries of calls to Stripe, by operation.",
		}, []string{"operation"}),
		violations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_upstream_contract_violations_total",
			Help: "Answers of Stripe that were not believed: another customer, mode, id or URL host.",
		}),
		offset: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "till_stripe_clock_offset_seconds",
			Help: "Stripe's time minus this host's at Stripe's last answer, to a second or what the answer took. " +
				"Beyond 30, something is wrong with this host's clock; that nobody gets a second customer does not depend on it.",
		}),
	}
	for _, op := range operations {
		m.duration.WithLabelValues(string(op))
		m.retries.WithLabelValues(string(op))
		for _, o := range outcomes {
			m.calls.WithLabelValues(string(op), string(o))
		}
	}
	for _, c := range []prometheus.Collector{m.calls, m.duration, m.retries, m.violations, m.offset} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) called(op operation, err *Error, took time.Duration) {
	o := outcomeOK
	if err != nil {
		o = err.outcome
	}
	m.calls.WithLabelValues(string(op), string(o)).Inc()
	m.duration.WithLabelValues(string(op)).Observe(took.Seconds())
}
