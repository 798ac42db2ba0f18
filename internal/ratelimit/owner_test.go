package ratelimit_test

import (
	"testing"

	"till/internal/ratelimit"
)

func TestWorkIsDoneForAnOwner(t *testing.T) {
	t.Parallel()
	if got := ratelimit.OwnerOf(t.Context()); got != "" {
		t.Errorf("work of the service itself is done for %q", got)
	}
	if got := ratelimit.OwnerOf(ratelimit.For(t.Context(), "one")); got != "one" {
		t.Errorf("work for one is done for %q", got)
	}
}
