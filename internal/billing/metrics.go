package billing

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	// sessions: what the service is for. A fall to zero while requests go on is
	// lost revenue.
	sessions *prometheus.CounterVec
	// foreign: somebody asks for sessions that are not his; a rise is probing.
	foreign prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_sessions_created_total",
			Help: "Sessions created at Stripe, by kind and by Checkout mode.",
		}, []string{"kind", "mode"}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_ownership_rejections_total",
			Help: "Requests for a session of another owner, answered as unknown.",
		}),
	}
	for _, mode := range []string{"payment", "setup", "subscription"} {
		m.sessions.WithLabelValues("checkout", mode)
	}
	m.sessions.WithLabelValues("portal", "none")
	if err := reg.Register(m.sessions); err != nil {
		return nil, err
	}
	return m, reg.Register(m.foreign)
}
