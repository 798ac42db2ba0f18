package audit

import (
	"context"
	"log/slog"
	"time"
)

const (
	expireEvery = 10 * time.Minute
	// Small steps with a pause: requests write into the same database.
	expireStep  = 500
	expirePause = 100 * time.Millisecond
)

// expire deletes events that are older than the retention, until ctx ends. Every
// replica does; what one has deleted, another does not find.
func (l *Log) expire(ctx context.Context) {
	if l.o.Retention == 0 {
		return
	}
	for {
		pause := expireEvery
		n, err := l.o.Store.DeleteEvents(ctx, time.Now().Add(-l.o.Retention), expireStep)
		switch {
		case err != nil && ctx.Err() == nil:
			l.o.Logger.WarnContext(ctx, "old audit rows could not be deleted; it is tried again", slog.Any("error", err))
		case n == expireStep:
			pause = expirePause
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}
