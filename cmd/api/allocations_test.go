// The race detector keeps pools empty.
//go:build !race

package main

import (
	"io"
	"net/http"
	"testing"
)

// The most allocations of a warm checkout, and of what of it is not the call to Stripe.
const mostAllocations, mostOfOurs = 220, 75

// TestAWarmCheckoutAllocatesLittle is not parallel: what others allocate would count.
func TestAWarmCheckoutAllocatesLittle(t *testing.T) {
	w := newWarm(t, io.Discard, "", "off")
	to := &discarded{header: http.Header{}}
	whole := testing.AllocsPerRun(500, func() {
		clear(to.header)
		w.serve(t, to)
	})
	if to.status != http.StatusCreated {
		t.Fatal(to.status)
	}
	session := w.sent(t)
	call := testing.AllocsPerRun(500, func() {
		if _, err := w.service.stripe.CreateCheckoutSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations, of which %v are the call to Stripe", whole, call)
	if whole > mostAllocations || whole-call > mostOfOurs {
		t.Errorf("%v allocations, of which %v are the call to Stripe; want at most %d, and %d without the call",
			whole, call, mostAllocations, mostOfOurs)
	}
}
