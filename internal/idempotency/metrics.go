package idempotency

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/problem"
)

// result is how a request with a key was taken.
type result string

const (
	resultFirst      result = "first"
	resultRepeated   result = "repeated"
	resultInProgress result = "in_progress"
	resultReused     result = "reused"
	// resultRefused was decided against before Stripe was called; the key is free.
	resultRefused result = "refused"
	// resultFailed: something that is needed gave no answer.
	resultFailed result = "failed"
)

type metrics struct {
	// requests: many repeated ones mean that answers do not arrive, many reused ones
	// that a client makes its keys wrongly.
	requests *prometheus.CounterVec
	// purged: stands still when old rows are not removed.
	purged prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "till_idempotency_requests_total",
			Help: "Requests with an Idempotency-Key, by how they were taken: first, repeated, in_progress, reused, refused or failed.",
		}, []string{"result"}),
		purged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_idempotency_purged_total",
			Help: "Rows of idempotency keys that were removed because their time was over.",
		}),
	}
	for _, r := range []result{resultFirst, resultRepeated, resultInProgress, resultReused, resultRefused, resultFailed} {
		m.requests.WithLabelValues(string(r))
	}
	for _, c := range []prometheus.Collector{m.requests, m.purged} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// resultOf is the result of a request that was not sent.
func resultOf(err error) result {
	p, _ := errors.AsType[*problem.Error](err)
	switch {
	case p == nil:
		return resultRefused
	case p.Code == problem.IdempotencyInProgress:
		return resultInProgress
	case p.Code == problem.IdempotencyKeyReused:
		return resultReused
	case p.Code == problem.DependencyUnavailable:
		return resultFailed
	default:
		return resultRefused
	}
}
