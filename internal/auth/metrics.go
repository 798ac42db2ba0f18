package auth

import (
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this package's. Every label is from a closed list or from the configuration,
// and every series is there from the start, so that nothing a caller sends adds one.
type metrics struct {
	rejections *prometheus.CounterVec
	refreshes  *prometheus.CounterVec
	keys       *prometheus.GaugeVec
	// introspections counts questions about opaque tokens.
	introspections *prometheus.CounterVec
	// remembered and verified count good tokens by what they cost.
	remembered, verified prometheus.Counter
	registerer           prometheus.Registerer
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		rejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_auth_rejections_total",
			Help: "Credentials refused, by the first reason found: who is knocking, or which release broke the clients.",
		}, []string{"reason"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_jwks_refresh_total",
			Help: "Fetches of issuers' key sets, by outcome: anything but ok means that the next key rotation will hurt.",
		}, []string{"outcome"}),
		keys: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "till_jwks_keys",
			Help: "Keys in each issuer's present set, by what became of them: duplicate or private above 0 needs a call to the issuer.",
		}, []string{"issuer", "state"}),
		introspections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_introspections_total",
			Help: "Questions to issuers about opaque tokens, by outcome: limited means that callers are turned away unjudged.",
		}, []string{"outcome"}),
		registerer: registerer,
	}
	tokens := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "till_tokens_total",
		Help: "Good JWTs, by whether they were remembered or verified: many verified ones while callers are the same is a small auth.token_cache.",
	}, []string{"how"})
	m.remembered, m.verified = tokens.WithLabelValues("remembered"), tokens.WithLabelValues("verified")
	for _, r := range Reasons() {
		m.rejections.WithLabelValues(string(r))
	}
	for _, o := range outcomes() {
		m.refreshes.WithLabelValues(string(o))
	}
	for _, o := range askOutcomes() {
		m.introspections.WithLabelValues(string(o))
	}
	return m, errors.Join(
		registerer.Register(m.rejections), registerer.Register(m.refreshes),
		registerer.Register(m.keys), registerer.Register(m.introspections), registerer.Register(tokens),
	)
}

// show publishes what became of the members of an issuer's set.
func (m *metrics) show(issuer string, set keySet) {
	m.keys.WithLabelValues(issuer, "usable").Set(float64(len(set.keys)))
	for _, why := range ignoredReasons() {
		m.keys.WithLabelValues(issuer, string(why)).Set(float64(set.ignored[why]))
	}
}

// watchAge publishes how old an issuer's keys are: +Inf before there are any, so that an
// alert on the age sees that too.
func (m *metrics) watchAge(issuer string, keys *keySource) error {
	return m.registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "till_jwks_age_seconds",
		Help:        "Time since each issuer's keys were last fetched: beyond a day its tokens are refused with 503.",
		ConstLabels: prometheus.Labels{"issuer": issuer},
	}, func() float64 {
		loaded := keys.current.Load()
		if loaded == nil {
			return math.Inf(1)
		}
		return time.Since(loaded.at).Seconds()
	}))
}
