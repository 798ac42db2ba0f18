package redistest

import (
	"os"
	"strings"
	"testing"
)

// Start starts a server for this test alone, and ends it with the test. Without
// redis-server the test is skipped, except in CI, where what is missing is a fault.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if _, err := find(); err != nil {
		if strings.EqualFold(os.Getenv("CI"), "true") {
			t.Fatalf("nothing was tested against Redis: %v", err)
		}
		t.Skipf("nothing was tested against Redis: %v", err)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
