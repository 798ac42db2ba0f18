package customers_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// kinds are what has to happen now and then, or its absence says nothing. 2,000
// seeds bring at least a dozen of each.
var kinds = []string{
	// What Stripe, or the way there, does to a create call.
	"never arrives", "fails first", "fails last", "silence", "arrives late", "answers late", "never completes",
	"takes it for ever", "locked", "garbled", "delivered twice",
	// What becomes of any operation.
	string(requestLost), string(answerLost), string(slowRequest), string(slowAnswer),
	string(diesBefore), string(diesAfter), string(stopsBefore), string(stopsAfter),
	// What happens to everybody.
	"deletion", "failover", "rollback", "power cut", "suspension", "night", "restore", "reconciliation",
	// What the protocol does about it.
	"create", "list", "adoption", "heal", "superseded when spent", "superseded when old", "finding", "found again",
	"moved", "gone", "said to be gone", "profile refused",
}

// totals are what all runs of a test did together.
type totals struct {
	mu               sync.Mutex
	runs, operations int
	counts           map[string]int
	settledAfter     []time.Duration
	began            time.Time
}

func newTotals() *totals { return &totals{counts: map[string]int{}, began: time.Now()} }

func (t *totals) add(s *simulation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.operations += len(s.events)
	for what, n := range s.counts {
		t.counts[what] += n
	}
	if s.settledAfter >= 0 {
		t.settledAfter = append(t.settledAfter, s.settledAfter)
	}
}

// missing returns what never happened.
func (t *totals) missing() []string {
	return slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return t.counts[kind] > 0 })
}

func (t *totals) String() string {
	var b strings.Builder
	took := time.Since(t.began)
	fmt.Fprintf(&b, "%d seeds, %d with an end to their faults, %d operations, %.1f s, %.2f ms a seed:",
		t.runs, len(t.settledAfter), t.operations, took.Seconds(), took.Seconds()*1000/float64(max(1, t.runs)))
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&b, " %s %d,", what, t.counts[what])
	}
	slices.Sort(t.settledAfter)
	if n := len(t.settledAfter); n > 0 {
		fmt.Fprintf(&b, " settled within %.0f s (median), %.0f s (99 of 100), %.0f s (all)",
			t.settledAfter[n/2].Seconds(), t.settledAfter[n*99/100].Seconds(), t.settledAfter[n-1].Seconds())
	}
	return b.String()
}
