package billing

import (
	"context"
	"strconv"
	"testing"
	"time"
)

func TestReadsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	r := newReads(func() time.Time { return now })
	calls := 0
	ask := func(i int) {
		_, err := r.get(t.Context(), readKey{id: strconv.Itoa(i)}, func(context.Context) (CheckoutSession, error) {
			calls++
			return CheckoutSession{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 * maxReads {
		ask(i)
		if n := len(r.young) + len(r.old); n > 2*maxReads {
			t.Fatalf("%d are remembered", n)
		}
	}
	ask(5*maxReads - 1)
	ask(4*maxReads - 1)
	if calls != 5*maxReads {
		t.Errorf("%d calls for %d sessions", calls, 5*maxReads)
	}
	ask(0)
	if calls != 5*maxReads+1 {
		t.Error("the first is still remembered")
	}
}
