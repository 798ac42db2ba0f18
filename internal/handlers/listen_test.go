package handlers_test

import (
	"log/slog"
	"net/http"
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
