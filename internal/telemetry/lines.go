package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// gatherFor is how long a line waits for others, so that many are written at once.
	gatherFor = 10 * time.Millisecond
	// ordinaryRoom is how many bytes of lines may wait to be written; reservedRoom is how
	// many more there may be of those that are warnings or errors.
	ordinaryRoom = 1 << 20
	reservedRoom = 1 << 20
	// patience is how long who logs a warning or an error waits until it is written.
	patience = 10 * time.Millisecond
	// finishWithin is how long the end may take.
	finishWithin = time.Second
	// keptRoom is what is kept of the memory that a burst has taken.
	keptRoom = 64 << 10
)

// Lines writes the lines of a log from a goroutine of its own: requests do not wait for who
// reads them, and many lines are one write. While nobody reads, lines wait in bounded
// memory. Then ordinary ones are dropped and counted; warnings and errors, audit rows that
// stand in the log only among them, have room of their own, and are dropped only when that
// is full too. It says in the log what is missing there.
//
// Who logs a warning or an error goes on when it is written, so that no crash is the end of
// it; but after 10 ms while nobody reads, and at once when somebody has waited so long
// before him. An ordinary line is out 10 ms after it was logged: a process that is killed
// loses what is newer.
type Lines struct {
	to io.Writer
	// wake says that something waits, hurry that it is important; each takes one note.
	wake, hurry, room chan struct{}
	closing, ended    chan struct{}
	close             func()

	mu             sync.Mutex
	pending, spare []byte
	// done is closed when what is pending is written; nil when nobody waits for it.
	done chan struct{}
	// stuck says that somebody has waited in vain.
	stuck bool
	over  bool
	// dropped counts ordinary and important lines, unsaid those that the log does not know
	// to be missing.
	dropped [2]int
	unsaid  int
}

// NewLines returns Lines that write to a writer, until Close.
func NewLines(to io.Writer) *Lines {
	l := &Lines{
		to: to, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), room: make(chan struct{}, 1),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
	l.close = sync.OnceFunc(func() { close(l.closing) })
	go l.run()
	return l
}

// Logger returns a logger that writes one JSON object per line.
func (l *Lines) Logger() *slog.Logger {
	return slog.New(byLevel{newHandler(l.sink(false)), newHandler(l.sink(true))})
}

// Close writes what waits, for a second at most. What is logged afterwards is written at
// once, unless nobody has read in that second.
func (l *Lines) Close() {
	l.close()
	timer := time.NewTimer(finishWithin)
	defer timer.Stop()
	select {
	case <-l.ended:
	case <-timer.C:
	}
}

func (l *Lines) run() {
	defer close(l.ended)
	for l.wait() {
		l.flush()
	}
	for !l.finished() {
		l.flush()
	}
}

// finished reports whether nothing is left to write; from then on nothing waits.
func (l *Lines) finished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = len(l.pending) == 0 && l.unsaid == 0
	return l.over
}

// wait returns when there is something to write, and false at the end.
func (l *Lines) wait() bool {
	select {
	case <-l.wake:
	case <-l.closing:
		return false
	}
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hurry:
	case <-l.closing:
	}
	return true
}

// flush writes what waits.
func (l *Lines) flush() {
	l.mu.Lock()
	batch, done := l.pending, l.done
	l.pending, l.spare, l.done, l.stuck = l.spare[:0], nil, nil, false
	if l.unsaid > 0 {
		batch = fmt.Appendf(batch, `{"time":%q,"level":"WARN","msg":"lines of the log are missing here","lines":%d}`+"\n",
			time.Now().Format(time.RFC3339Nano), l.unsaid)
		l.unsaid = 0
	}
	l.mu.Unlock()
	note(l.room)
	if len(batch) == 0 {
		return
	}
	// Where a log cannot be written to, nobody is left to be told.
	_, _ = l.to.Write(batch)
	if done != nil {
		close(done)
	}
	if cap(batch) <= keptRoom {
		l.mu.Lock()
		l.spare = batch
		l.mu.Unlock()
	}
}

// note leaves a note for who listens next; one is enough.
func note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sink is where lines of one kind are written to.
func (l *Lines) sink(important bool) sink { return sink{l, important} }

type sink struct {
	*Lines
	important bool
}

// Write takes one line. It does not fail.
func (s sink) Write(line []byte) (int, error) {
	done, taken := s.take(line)
	if !taken && s.waits(s.room) {
		done, taken = s.take(line)
	}
	switch {
	case !taken:
		s.drop()
	case done != nil:
		s.waits(done)
	}
	return len(line), nil
}

// take puts the line behind those that wait, if there is room. done is closed when an
// important one is written; nil if it is.
func (s sink) take(line []byte) (done <-chan struct{}, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := ordinaryRoom
	if s.important {
		most += reservedRoom
	}
	switch {
	case s.over:
		_, _ = s.to.Write(line)
		return nil, true
	case len(s.pending)+len(line) > most:
		return nil, false
	}
	if len(s.pending) == 0 {
		note(s.wake)
	}
	s.pending = append(s.pending, line...)
	if !s.important {
		return nil, true
	}
	if s.done == nil {
		s.done = make(chan struct{})
	}
	note(s.hurry)
	return s.done, true
}

// waits returns true when there is something on c, and false when there is no sense in
// waiting for it.
func (s sink) waits(c <-chan struct{}) bool {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if !s.important || stuck {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		s.mu.Lock()
		s.stuck = true
		s.mu.Unlock()
		return false
	}
}

func (s sink) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := 0
	if s.important {
		kind = 1
	}
	s.dropped[kind]++
	s.unsaid++
}

var droppedLines = prometheus.NewDesc("till_log_lines_dropped_total",
	"Lines of the log that were dropped because nobody took them, by whether they were ordinary or important (warnings and errors).",
	[]string{"kind"}, nil)

// Describe implements prometheus.Collector.
func (*Lines) Describe(c chan<- *prometheus.Desc) { c <- droppedLines }

// Collect implements prometheus.Collector.
func (l *Lines) Collect(c chan<- prometheus.Metric) {
	l.mu.Lock()
	dropped := l.dropped
	l.mu.Unlock()
	for kind, label := range []string{"ordinary", "important"} {
		c <- prometheus.MustNewConstMetric(droppedLines, prometheus.CounterValue, float64(dropped[kind]), label)
	}
}

// byLevel is a handler for ordinary records and one for important ones.
type byLevel struct{ ordinary, important slog.Handler }

func (h byLevel) of(level slog.Level) slog.Handler {
	if level >= slog.LevelWarn {
		return h.important
	}
	return h.ordinary
}

// Enabled implements slog.Handler.
func (h byLevel) Enabled(ctx context.Context, level slog.Level) bool {
	return h.of(level).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h byLevel) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h byLevel) WithAttrs(attrs []slog.Attr) slog.Handler {
	return byLevel{h.ordinary.WithAttrs(attrs), h.important.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h byLevel) WithGroup(name string) slog.Handler {
	return byLevel{h.ordinary.WithGroup(name), h.important.WithGroup(name)}
}
