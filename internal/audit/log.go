package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Mode says when an event is written.
type Mode string

// Async collects events for a moment and writes them together, so that no request
// waits for the database; a crash may lose that moment. Sync lets a write that was
// carried out be answered when its row is committed. Off writes none.
const (
	Async Mode = "async"
	Sync  Mode = "sync"
	Off   Mode = "off"
)

// Modes returns the list.
func Modes() []Mode { return []Mode{Async, Sync, Off} }

const (
	// collectFor is how long events wait for others in Async: what a crash may lose.
	collectFor = 200 * time.Millisecond
	batchSize  = 500
	// queueSize bounds what waits while the database is away. Refusals get half of it.
	queueSize = 4096
	// What a database that hangs may cost in a crash; then the events are in the log.
	appendWithin = 3 * time.Second
	retryAfter   = time.Second
	// answerWithin is how long a caller waits for his row in Sync.
	answerWithin = 2 * time.Second
	// finishWithin is how long the rest may take at the end.
	finishWithin = 5 * time.Second
	// Refusals per second, and at once, that leave an event.
	refusalRate, refusalBurst = 10, 100
)

// Options are the collaborators of a Log. Store, Metrics and Logger are required.
type Options struct {
	Store   Store
	Metrics prometheus.Registerer
	// Logger gets the events that the database does not take.
	Logger *slog.Logger
	// Mode is Async by default.
	Mode Mode
	// Retention is how long events are kept; 0 is for ever.
	Retention time.Duration
}

// Log takes events and sees to it that none goes without a trace: it is in the
// database, or in the log, or, within the moment of Async, in memory. It is safe for
// concurrent use.
type Log struct {
	o        Options
	metrics  *metrics
	refusals *rate.Limiter
	// wake says that something is queued, full that a batch is.
	wake, full chan struct{}

	mu sync.Mutex
	// queue is in the order of arrival; only Run takes from it.
	queue []*entry
	ended bool
}

// entry is an event in the queue.
type entry struct {
	Event
	// safe says that the database or the log has it.
	safe bool
	// tried is closed once the database has taken the event or refused it; nil when
	// nobody waits for that.
	tried chan struct{}
}

// New returns a Log. Nothing is stored before Run.
func New(o Options) (*Log, error) {
	if o.Store == nil || o.Metrics == nil || o.Logger == nil {
		return nil, errors.New("audit: a required collaborator is missing")
	}
	if o.Mode == "" {
		o.Mode = Async
	}
	l := &Log{
		o: o, refusals: rate.NewLimiter(refusalRate, refusalBurst),
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1),
	}
	var err error
	l.metrics, err = newMetrics(o.Metrics, func() float64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		return float64(len(l.queue))
	})
	return l, err
}

// Record takes an event, whose At and ID it sets. It does not fail and does not heed
// the end of ctx: the write has happened, whoever has hung up since. In Sync it
// returns when the event is committed, or in the log.
func (l *Log) Record(ctx context.Context, event Event) {
	weight := weightOf(event.Outcome)
	if l.o.Mode == Off || weight == dropped {
		return
	}
	if weight == bounded && !l.refusals.Allow() {
		l.metrics.skipped.Inc()
		return
	}
	event.At, event.ID = time.Now(), rand.Text()
	e := &entry{Event: event.storable()}
	waits := l.o.Mode == Sync && weight == kept
	if waits {
		e.tried = make(chan struct{})
	}
	tried := e.tried
	if !l.enqueue(e, weight) {
		l.lose(ctx, []*entry{e})
		return
	}
	if !waits {
		return
	}
	timer := time.NewTimer(answerWithin)
	defer timer.Stop()
	select {
	case <-tried:
	case <-timer.C:
		l.delay(ctx, []*entry{e}, context.DeadlineExceeded)
	}
}

func (l *Log) enqueue(e *entry, w weight) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := queueSize
	if w == bounded {
		room /= 2
	}
	if l.ended || len(l.queue) >= room {
		return false
	}
	l.queue = append(l.queue, e)
	signal(l.wake)
	if len(l.queue) >= batchSize {
		signal(l.full)
	}
	return true
}

// signal leaves a note for who listens next; one is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run stores what is recorded, and deletes what is too old, until ctx ends. What is
// recorded until then is stored, or logged, before it returns; what comes after is
// logged.
func (l *Log) Run(ctx context.Context) error {
	var expiry sync.WaitGroup
	expiry.Go(func() { l.expire(ctx) })
	defer expiry.Wait()
	for ctx.Err() == nil {
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
		l.collect(ctx)
		// One attempt a second is no burden on a database that comes back.
		for ctx.Err() == nil && !l.flush(context.WithoutCancel(ctx)) {
			sleep(ctx, retryAfter)
		}
	}
	l.finish(context.WithoutCancel(ctx))
	return nil
}

// collect waits for what else there is to write.
func (l *Log) collect(ctx context.Context) {
	if l.o.Mode == Sync {
		return
	}
	timer := time.NewTimer(collectFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.full:
	case <-ctx.Done():
	}
}

// flush stores what is queued, and reports whether the database took all of it.
func (l *Log) flush(ctx context.Context) bool {
	for {
		batch := l.head()
		if len(batch) == 0 {
			return true
		}
		events := make([]Event, len(batch))
		for i, e := range batch {
			events[i] = e.Event
		}
		limited, cancel := context.WithTimeout(ctx, appendWithin)
		err := l.o.Store.AppendEvents(limited, events)
		cancel()
		if err != nil {
			l.delay(ctx, l.all(), err)
			return false
		}
		l.stored(len(batch))
	}
}

// finish stores what is left; what the database does not take now, it never gets.
func (l *Log) finish(ctx context.Context) {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	if !l.flush(limited) {
		l.lose(ctx, l.all())
	}
}

func (l *Log) head() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.queue[:min(len(l.queue), batchSize)])
}

func (l *Log) all() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.queue)
}

// stored takes the first n out of the queue.
func (l *Log) stored(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.queue[:n] {
		e.safe = true
		e.release()
	}
	l.queue = slices.Delete(l.queue, 0, n)
	l.metrics.rows.Add(float64(n))
}

// delay logs what waits longer than it should: a crash must not be the end of it.
func (l *Log) delay(ctx context.Context, entries []*entry, cause error) {
	for _, e := range l.unsaved(entries) {
		l.metrics.late.Inc()
		l.o.Logger.LogAttrs(ctx, slog.LevelWarn, "an audit row is late", slog.Any("event", e.Event), slog.Any("error", cause))
	}
}

// lose logs what will not be stored.
func (l *Log) lose(ctx context.Context, entries []*entry) {
	for _, e := range l.unsaved(entries) {
		l.o.Logger.LogAttrs(ctx, slog.LevelError, "an audit row stands here only", slog.Any("event", e.Event))
	}
	l.metrics.lost.Add(float64(len(entries)))
}

// unsaved returns those that neither the database nor the log has, for the log.
func (l *Log) unsaved(entries []*entry) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []*entry
	for _, e := range entries {
		if !e.safe {
			e.safe = true
			found = append(found, e)
		}
		e.release()
	}
	return found
}

// release lets go who waits for the entry. The lock of the Log is held.
func (e *entry) release() {
	if e.tried != nil {
		close(e.tried)
		e.tried = nil
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
