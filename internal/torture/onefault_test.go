//go:build torture && linux

package torture_test

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// TestTortureOneFault is the lonely case: a request goes wrong, and nobody comes again for a
// minute. Nothing but the service itself can have settled it until then.
func TestTortureOneFault(t *testing.T) {
	for _, kind := range []string{
		"created_then_500", "failed_500", "created_then_silence", "drop", "truncated", "html_502", "key_in_use", "idempotency_error",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			oneFault(t, kind)
		})
	}
}

func oneFault(t *testing.T, kind string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	url := newFile(t)
	st, f := stage(ctx, t, url, serene())
	at := func(i int) string { return *f.slots[i%3].base.Load() }
	c := &crowd{fleet: f, owners: crowdOf("one", sized(owners, 8, 20)), seen: newSeen()}
	must(t, st.call(ctx, http.MethodPost, "/sandbox/v1/faults", object{"operation": "customers.create", "kind": kind}, nil))
	failed, err := c.once(ctx, at)
	must(t, err)
	report.judge(t, "requests that failed", "> 0", len(failed), len(failed) > 0)
	_, err = st.heal(ctx)
	must(t, err)
	must(t, rest(ctx, st))
	settleAll(ctx, t, c, st, url)
}
