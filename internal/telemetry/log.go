package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What waits for a reader of the log who has fallen behind.
const (
	maxLinesWaiting = 4096
	maxBytesWaiting = 1 << 20
)

// Log passes lines on to a writer that may stand still, such as a pipe whose reader does not
// read: who logs never waits for it. What does not fit meanwhile is dropped and counted, and
// the log says so as soon as it can. Close it in the end, for the lines that are under way;
// a process that is killed takes them with it.
type Log struct {
	to      io.Writer
	dropped prometheus.Counter
	lines   chan []byte
	ended   chan struct{}

	mu sync.Mutex
	// waiting is bytes, missing the lines dropped since the log last said so.
	waiting, missing int
	closed           bool
}

// NewLog returns a Log whose lines go to w.
func NewLog(w io.Writer) *Log {
	l := &Log{
		to: w, lines: make(chan []byte, maxLinesWaiting), ended: make(chan struct{}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "till_log_lines_dropped_total",
			Help: "Lines that were not logged because whoever reads the log did not.",
		}),
	}
	go l.run()
	return l
}

// Register makes the number of dropped lines a metric.
func (l *Log) Register(reg prometheus.Registerer) error { return reg.Register(l.dropped) }

// Write takes one line, or drops it. It never fails and never waits for the reader.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.waiting+len(line) <= maxBytesWaiting {
		select {
		case l.lines <- bytes.Clone(line):
			l.waiting += len(line)
			return len(line), nil
		default:
		}
	}
	l.missing++
	l.dropped.Inc()
	return len(line), nil
}

// Close waits until everything is written, or ctx ends. Lines that come later are dropped.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.lines)
	}
	l.mu.Unlock()
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("writing the end of the log: %w", ctx.Err())
	}
}

func (l *Log) run() {
	defer close(l.ended)
	for line := range l.lines {
		// Nobody is left to be told.
		_, _ = l.to.Write(line)
		l.mu.Lock()
		l.waiting -= len(line)
		missing := l.missing
		l.missing = 0
		l.mu.Unlock()
		if missing > 0 {
			fmt.Fprintf(l.to, `{"time":%q,"level":"WARN","msg":"lines of the log were dropped","lines":%d}`+"\n",
				time.Now().Format(time.RFC3339Nano), missing)
		}
	}
}
