package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"till/internal/telemetry"
)

// pipe is where lines go. While it is blocked, nobody reads from it.
type pipe struct {
	mu      sync.Mutex
	text    bytes.Buffer
	writes  int
	blocked chan struct{}
}

func (p *pipe) Write(lines []byte) (int, error) {
	if p.blocked != nil {
		<-p.blocked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	return p.text.Write(lines)
}

func (p *pipe) read() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func dropped(t *testing.T, l *telemetry.Lines) (ordinary, important float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(l)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 2 {
		t.Fatal(families, err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == "ordinary" {
			ordinary = m.GetCounter().GetValue()
		} else {
			important = m.GetCounter().GetValue()
		}
	}
	return ordinary, important
}

func TestManyLinesAreOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pipe
		l := telemetry.NewLines(&p)
		logger := l.Logger().With("a", 1).WithGroup("g")
		for n := range 100 {
			logger.Info("line", "n", n)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := strings.Count(p.read(), "\n"); got != 100 || p.writes != 1 || !strings.Contains(p.read(), `"a":1,"g":{"n":99}}`) {
			t.Errorf("%d lines in %d writes", got, p.writes)
		}
		l.Close()
	})
}

func TestAnErrorIsOutAtOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pipe
		l := telemetry.NewLines(&p)
		l.Logger().Info("before")
		l.Logger().Error("now") // goes on when it is written
		if got := p.read(); !strings.Contains(got, "now") || strings.Index(got, "before") > strings.Index(got, "now") {
			t.Errorf("got %q", got)
		}
		l.Close()
	})
}

func TestWhatWaitsAtTheEndIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pipe
		l := telemetry.NewLines(&p)
		l.Logger().Info("last")
		l.Close()
		l.Logger().Info("later")
		if got := p.read(); !strings.Contains(got, "last") || !strings.Contains(got, "later") {
			t.Errorf("got %q", got)
		}
	})
}

// fill logs lines of about a kilobyte, and returns how long the longest took.
func fill(logger *slog.Logger, level slog.Level, n int) (longest time.Duration) {
	for i := range n {
		began := time.Now()
		logger.Log(context.Background(), level, "line", "n", i, "text", strings.Repeat("x", 1000))
		longest = max(longest, time.Since(began))
	}
	return longest
}

// TestNobodyReads: requests are served while the log is not taken, and it says afterwards
// what is missing.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipe{blocked: make(chan struct{})}
		l := telemetry.NewLines(&p)
		logger := l.Logger()
		logger.Info("held")
		time.Sleep(time.Second)
		if took := fill(logger, slog.LevelInfo, 5000); took > 0 {
			t.Errorf("an ordinary line took %v", took)
		}
		ordinary, important := dropped(t, l)
		if ordinary < 3500 || important > 0 {
			t.Errorf("%v ordinary lines and %v important ones were dropped", ordinary, important)
		}
		began := time.Now()
		fill(logger, slog.LevelWarn, 900)
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("900 warnings took %v while nobody read", took)
		}
		if _, important = dropped(t, l); important > 0 {
			t.Errorf("%v warnings were dropped with their room empty", important)
		}
		began = time.Now()
		fill(logger, slog.LevelError, 5000)
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("5000 errors took %v with their room full", took)
		}
		if _, important = dropped(t, l); important < 4000 {
			t.Errorf("%v errors were dropped with their room full", important)
		}
		time.Sleep(time.Minute)
		close(p.blocked)
		synctest.Wait()
		ordinary, important = dropped(t, l)
		lines := strings.Count(p.read(), "\n")
		missing := fmt.Sprintf(`"msg":"lines of the log are missing here","lines":%d}`, int(ordinary+important))
		if !strings.Contains(p.read(), missing) {
			t.Errorf("the log does not say %s", missing)
		}
		if want := 1 + 5000 + 900 + 5000 + 1; lines+int(ordinary+important) != want {
			t.Errorf("%d lines and %v dropped, want %d together", lines, ordinary+important, want)
		}
		logger.Info("again")
		l.Close()
		if got := p.read(); !strings.HasSuffix(got, "\"msg\":\"again\"}\n") {
			t.Error("it does not go on")
		}
	})
}

// TestTheEndDoesNotWaitForWhoDoesNotRead: a second is what it gets.
func TestTheEndDoesNotWaitForWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipe{blocked: make(chan struct{})}
		l := telemetry.NewLines(&p)
		l.Logger().Error("held")
		began := time.Now()
		l.Close()
		if took := time.Since(began); took != time.Second {
			t.Errorf("the end took %v", took)
		}
		close(p.blocked)
		synctest.Wait()
	})
}

func TestLinesLint(t *testing.T) {
	t.Parallel()
	l := telemetry.NewLines(io.Discard)
	defer l.Close()
	if problems, err := testutil.CollectAndLint(l); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// BenchmarkLine is the line of one request.
func BenchmarkLine(b *testing.B) {
	l := telemetry.NewLines(io.Discard)
	defer l.Close()
	logger := l.Logger()
	b.ReportAllocs()
	for b.Loop() {
		logger.LogAttrs(b.Context(), slog.LevelInfo, "request", slog.String("request_id", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
			slog.String("method", "POST"), slog.String("route", "/checkout"), slog.Int("status", 201),
			slog.Float64("seconds", 0.1234), slog.String("client", "192.0.2.7/32"))
	}
}
