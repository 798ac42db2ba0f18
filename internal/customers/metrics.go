package customers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// result is how a resolution ended.
type result string

const (
	resultCache    result = "cache"
	resultStore    result = "store"
	resultCreated  result = "created"
	resultReplayed result = "replayed"
	resultAdopted  result = "adopted"
	resultHealed   result = "healed"
	resultRefused  result = "refused"
	resultFailed   result = "failed"
)

var results = []result{
	resultCache, resultStore, resultCreated, resultReplayed, resultAdopted, resultHealed, resultRefused, resultFailed,
}

// ages are the classes of till_customer_reservations: each begins where the one
// before it ends.
var ages = []struct {
	label string
	least time.Duration
}{
	{"under_1m", 0}, {"1m_to_1h", time.Minute}, {"1h_to_23h", time.Hour}, {"over_23h", keyLife},
}

type metrics struct {
	// resolutions: a rise of failed is users who cannot pay; a rise of replayed
	// or adopted says that calls to Stripe end without an answer.
	resolutions *prometheus.CounterVec
	byResult    map[result]prometheus.Counter
	// reservations: one that stays over a minute is an owner who cannot pay.
	reservations *prometheus.GaugeVec
	mappings     prometheus.Gauge
	orphans      prometheus.Counter
	// duplicates should never move.
	duplicates prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		resolutions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_customer_resolutions_total",
			Help: "Resolutions of an owner to a Stripe customer, by result.",
		}, []string{"result"}),
		byResult: map[result]prometheus.Counter{},
		reservations: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "till_customer_reservations",
			Help: "Owners whose customer is not known yet, by the age of the reservation, in the whole database for this Stripe account.",
		}, []string{"age"}),
		mappings: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "till_customer_mappings",
			Help: "Owners who have a customer, in the whole database for this Stripe account.",
		}),
		orphans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_customer_orphans_total",
			Help: "Customers that were found at Stripe and not in the database, and adopted.",
		}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_customer_duplicates_total",
			Help: "Customers at Stripe that were found beside another one of the same owner.",
		}),
	}
	for _, r := range results {
		m.byResult[r] = m.resolutions.WithLabelValues(string(r))
	}
	for _, a := range ages {
		m.reservations.WithLabelValues(a.label)
	}
	for _, c := range []prometheus.Collector{m.resolutions, m.reservations, m.mappings, m.orphans, m.duplicates} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) resolved(r result) { m.byResult[r].Inc() }
