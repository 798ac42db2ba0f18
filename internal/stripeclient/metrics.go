package stripeclient

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
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
	// open, less requests: connections that wait for work.
	open prometheus.Gauge
	// opened: more than a few in a thousand calls, and somebody closes them.
	opened prometheus.Counter
	// requests: how many wait for Stripe right now. Each has a connection of its own.
	requests prometheus.Gauge
	// usual has what almost every call needs, found once.
	usual map[operation]usual
}

type usual struct {
	ok       prometheus.Counter
	duration prometheus.Observer
}

// state is a gauge that is 1 while the breaker is in one state.
func state(name string, is func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "till_stripe_breaker_state",
		Help:        "1 for the state in which the breaker of calls to Stripe is: closed, half_open or open.",
		ConstLabels: prometheus.Labels{"state": name},
	}, func() float64 {
		if is() {
			return 1
		}
		return 0
	})
}

// watch registers what is read when somebody looks.
func (m *metrics) watch(reg prometheus.Registerer, c *Client) error {
	in := func(s gobreaker.State) func() bool { return func() bool { return c.state() == s } }
	return registerAll(reg,
		state("closed", in(gobreaker.StateClosed)),
		state("half_open", in(gobreaker.StateHalfOpen)),
		state("open", in(gobreaker.StateOpen)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "till_stripe_retry_budget",
			Help: "How many second and third tries may be made at once. At 0, failures are not tried again.",
		}, c.budget.left),
	)
}

func registerAll(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		usual: map[operation]usual{},
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "till_stripe_connections_open",
			Help: "Connections to Stripe. Those that till_stripe_requests_in_flight does not need wait for work.",
		}),
		opened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_stripe_connections_opened_total",
			Help: "Connections opened to Stripe, each with a handshake. A warm service opens almost none.",
		}),
		requests: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "till_stripe_requests_in_flight",
			Help: "Requests to Stripe that have not been answered yet.",
		}),
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
		m.usual[op] = usual{
			m.calls.WithLabelValues(string(op), string(outcomeOK)), m.duration.WithLabelValues(string(op)),
		}
		m.retries.WithLabelValues(string(op))
		for _, o := range outcomes {
			m.calls.WithLabelValues(string(op), string(o))
		}
	}
	return m, registerAll(reg, m.calls, m.duration, m.retries, m.violations, m.offset, m.open, m.opened, m.requests)
}

func (m *metrics) called(op operation, err *Error, took time.Duration) {
	m.usual[op].duration.Observe(took.Seconds())
	if err == nil {
		m.usual[op].ok.Inc()
		return
	}
	m.calls.WithLabelValues(string(op), string(err.outcome)).Inc()
}
