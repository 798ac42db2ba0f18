package store

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// poolUse is what the connections to a database are doing.
type poolUse struct {
	open, inUse int
	// waits counts who has had to wait for one since the start.
	waits int64
}

// Register adds the use of the connections to reg: when all are in use and waits rise,
// the database is slow, or its pool too small.
func (s *Store) Register(reg prometheus.Registerer) error {
	const name, help = "till_db_connections", "Connections to the database, in use or idle."
	for _, c := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"state": "in_use"}},
			func() float64 { return float64(s.engine.use().inUse) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"state": "idle"}},
			func() float64 {
				use := s.engine.use()
				return float64(use.open - use.inUse)
			}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "till_db_connection_waits_total",
			Help: "Statements that had to wait because all connections to the database were in use.",
		}, func() float64 { return float64(s.engine.use().waits) }),
	} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) use() (use poolUse) {
	for _, db := range []*sql.DB{f.reader, f.writer} {
		stats := db.Stats()
		use.open += stats.OpenConnections
		use.inUse += stats.InUse
		use.waits += stats.WaitCount
	}
	return use
}

func (s *server) use() poolUse {
	stats := s.pool.Stat()
	return poolUse{open: int(stats.TotalConns()), inUse: int(stats.AcquiredConns()), waits: stats.EmptyAcquireCount()}
}
