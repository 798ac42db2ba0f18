package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"till/internal/telemetry"
)

// pipe is a writer whose reader reads when he is let.
type pipe struct {
	read chan struct{}
	text bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.read
	return p.text.Write(b)
}

// TestNobodyWaitsForAReaderOfTheLog: F61. What is dropped is said, and what was taken before is
// there, in order.
func TestNobodyWaitsForAReaderOfTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{read: make(chan struct{})}
		log := telemetry.NewLog(p)
		line := func(n int) string { return fmt.Sprintf("line %06d %s\n", n, strings.Repeat("a", 100)) }
		const lines = 20_000
		for n := range lines {
			if _, err := log.Write([]byte(line(n))); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if log.Close(ctx) == nil {
			t.Error("everything is said to be written, and nobody has read")
		}
		close(p.read)
		if err := log.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		said := p.text.String()
		if !strings.HasPrefix(said, line(0)) || len(said) > 2<<20 {
			t.Errorf("%d bytes, from %.20q", len(said), said)
		}
		kept := strings.Count(said, "line ")
		want := fmt.Sprintf(`"level":"WARN","msg":"lines of the log were dropped","lines":%d}`, lines-kept)
		if kept < 1000 || !strings.Contains(said, want) {
			t.Errorf("%d lines are there, and not %q", kept, want)
		}
		if !strings.Contains(said, line(kept-1)) {
			t.Error("there are lines missing in between")
		}
	})
}

func TestTheEndOfTheLogIsWritten(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := telemetry.NewLog(&text)
	logger := telemetry.NewLogger(log)
	for range 100 {
		logger.Info("one")
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(text.String(), `"msg":"one"`); got != 100 {
		t.Errorf("%d of 100", got)
	}
}
