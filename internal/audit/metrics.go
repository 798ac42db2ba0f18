package audit

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	rows prometheus.Counter
	// late and lost: a rise says that the database does not take rows. They are in the
	// log; late ones are tried again, lost ones are not.
	late, lost prometheus.Counter
	// skipped: somebody is refused over and over; the request log has each of them.
	skipped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, queued func() float64) (*metrics, error) {
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "till_audit_write_failures_total",
		Help: "Audit events that the database did not take at once, by whether they are tried again (late) or stand in the log only (log_only).",
	}, []string{"result"})
	m := &metrics{
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_audit_rows_total",
			Help: "Audit rows that are in the database.",
		}),
		late: failures.WithLabelValues("late"),
		lost: failures.WithLabelValues("log_only"),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_audit_skipped_total",
			Help: "Refused writes beyond the rate at which refusals are audited.",
		}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "till_audit_queued_events",
		Help: "Audit events that are not in the database yet.",
	}, queued)
	for _, c := range []prometheus.Collector{m.rows, failures, m.skipped, waiting} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
