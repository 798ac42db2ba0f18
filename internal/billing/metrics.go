package billing

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/redirect"
)

type metrics struct {
	// sessions: what the service is for. A fall to zero while requests go on is
	// lost revenue.
	sessions *prometheus.CounterVec
	// foreign: somebody asks for sessions that are not his; a rise is probing.
	foreign prometheus.Counter
	// redirects: a rise of host after a release is an origin that somebody forgot
	// to allow; the log has its name.
	redirects *prometheus.CounterVec
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
	m.redirects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "till_redirect_rejections_total",
		Help: "URLs of callers that were refused, by reason.",
	}, []string{"reason"})
	for _, reason := range redirect.Reasons() {
		m.redirects.WithLabelValues(string(reason))
	}
	for _, mode := range []string{"payment", "setup", "subscription"} {
		m.sessions.WithLabelValues("checkout", mode)
	}
	m.sessions.WithLabelValues("portal", "none")
	for _, c := range []prometheus.Collector{m.sessions, m.foreign, m.redirects} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) redirectRefused(err error) {
	if refused, ok := errors.AsType[*redirect.Refused](err); ok {
		m.redirects.WithLabelValues(string(refused.Reason)).Inc()
	}
}
