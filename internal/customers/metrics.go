package customers

import "github.com/prometheus/client_golang/prometheus"

// result is how a resolution ended.
type result string

const (
	resultCache    result = "cache"
	resultStore    result = "store"
	resultCreated  result = "created"
	resultReplayed result = "replayed"
	resultAdopted  result = "adopted"
	resultFailed   result = "failed"
)

type metrics struct {
	// resolutions: a rise of failed is users who cannot pay; a rise of replayed
	// or adopted says that calls to Stripe end without an answer.
	resolutions *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{resolutions: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "till_customer_resolutions_total",
		Help: "Resolutions of an owner to a Stripe customer, by result.",
	}, []string{"result"})}
	for _, r := range []result{resultCache, resultStore, resultCreated, resultReplayed, resultAdopted, resultFailed} {
		m.resolutions.WithLabelValues(string(r))
	}
	return m, reg.Register(m.resolutions)
}

func (m *metrics) resolved(r result) { m.resolutions.WithLabelValues(string(r)).Inc() }
