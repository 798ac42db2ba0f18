package ratelimit

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// interval is how often Redis is asked whether it is there: often enough that a share is
// no long sentence, seldom enough that a dead one costs nothing.
const interval = time.Second

// probe is a key like any other, so that a server that only seems to be there, as one
// that takes no writes or is full, does not pass.
const probe = prefix + "probe"

// Run asks Redis once a second whether it is there, until ctx ends, and logs when that
// has changed. It returns nil.
func (r *Redis) Run(ctx context.Context, logger *slog.Logger) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	there := true
	for {
		err := r.probe(ctx)
		for round := false; !round; {
			there = announce(logger, there, err)
			select {
			case <-ctx.Done():
				return nil
			case err = <-r.news:
			case <-tick.C:
				round = true
			}
		}
	}
}

// probe finds out whether Redis is there.
func (r *Redis) probe(ctx context.Context) error {
	at := rate{cost: time.Microsecond, most: time.Minute}
	answer, err := r.run(ctx, takeScript, []string{probe}, at.cost.Microseconds(), at.most.Microseconds(), 0)
	if err == nil {
		_, _, err = r.read(answer, at)
	}
	if err == nil {
		r.gone.Store(false)
	}
	return err
}

// announce writes a line if something has changed, and returns how it is now.
func announce(logger *slog.Logger, there bool, err error) (now bool) {
	switch {
	case there && err != nil:
		logger.Warn("redis does not answer: each process keeps to its own share of the limits", "error", err)
	case !there && err == nil:
		logger.Info("redis answers: the limits are shared again")
	}
	return err == nil
}

// collectors are what is known of Redis, for metrics.
func (r *Redis) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "till_redis_up",
			Help: "1 while Redis answers; 0 while each process keeps to its own share of the limits.",
		}, func() float64 {
			if r.gone.Load() {
				return 0
			}
			return 1
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "till_redis_losses_total",
			Help: "How often Redis stopped answering in time and in kind.",
		}, func() float64 { return float64(r.losses.Load()) }),
	}
}
