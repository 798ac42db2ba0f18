package handlers_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"till/internal/handlers"
)

// TestEveryPhaseOfAConnectionHasALimit: H11, H29 to H32. That they work is for make attack
// to see; net/http takes zero for none, and a limit that is lost shows nowhere else.
func TestEveryPhaseOfAConnectionHasALimit(t *testing.T) {
	t.Parallel()
	s := handlers.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, row := range map[string]struct{ got, atMost time.Duration }{
		"headers": {s.ReadHeaderTimeout, 5 * time.Second}, "request": {s.ReadTimeout, 5 * time.Second},
		"answer": {s.WriteTimeout, 15 * time.Second}, "idle": {s.IdleTimeout, 30 * time.Second},
	} {
		if row.got <= 0 || row.got > row.atMost {
			t.Errorf("%s: %v, want at most %v", name, row.got, row.atMost)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 16<<10 {
		t.Errorf("headers of %d bytes", s.MaxHeaderBytes)
	}
}

// TestAScraperThatHangsIsCut: F62. The listener for operators has no limit on answers, because
// of profiles; the metrics have one of their own.
func TestAScraperThatHangsIsCut(t *testing.T) {
	t.Parallel()
	ops := handlers.Ops(http.NotFoundHandler(), func() error { return nil }, true)
	for path, want := range map[string]bool{"/metrics": true, "/debug/pprof/cmdline": false} {
		w := &deadlined{ResponseWriter: httptest.NewRecorder()}
		ops.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if got := !w.until.IsZero(); got != want {
			t.Errorf("%s has a deadline: %v, want %v", path, got, want)
		}
	}
}

// deadlined notes the deadline that a handler sets.
type deadlined struct {
	http.ResponseWriter
	until time.Time
}

func (d *deadlined) SetWriteDeadline(until time.Time) error {
	d.until = until
	return nil
}
