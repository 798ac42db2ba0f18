//go:build attack

package attack

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRefusalsTakeTheSameTime: whether an id is another owner's or nobody's must not be
// told by the clock. What counts is our own part: the time that Stripe takes is not ours
// and is taken off. The two are asked for in turn, each first every other time, and so is
// another unknown id, which shows what this machine makes of no difference at all.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	var stripe atomic.Int64
	p, idp := startAlone(t, 0, &stripe)
	alice, bob := idp.mint("alice"), idp.mint("bob")
	others := p.member("POST", "/checkout", alice, `{"plan":"pro"}`, "id", 201)
	p.member("POST", "/portal", bob, "", "id", 201)
	unknown, control := others[:len(others)-8]+strings.Repeat("0", 8), others[:len(others)-8]+strings.Repeat("1", 8)
	took := func(id string) time.Duration {
		from := time.Now()
		status, text, err := p.call("GET", "/checkout/"+id, bob, "")
		took := time.Since(from)
		if err != nil || status != 404 {
			t.Fatalf("%s: %d %s %v", id, status, text, err)
		}
		return took - time.Duration(stripe.Load())
	}
	for range 100 { // connections and caches are warm
		took(others)
		took(unknown)
	}
	pairs := amount(1000, 10_000)
	var own, differences, none []time.Duration
	for i := range pairs {
		ids := []string{others, unknown, control}
		var times [3]time.Duration
		for k := range ids {
			k = (k + i) % len(ids)
			times[k] = took(ids[k])
		}
		own = append(own, times[1])
		differences, none = append(differences, times[0]-times[1]), append(none, times[2]-times[1])
	}
	d, of, noise := median(differences), median(own), median(none)
	// A tenth of our part is far below what a network adds by itself.
	limit := max(of/10, 3*noise.Abs())
	report(t, fmt.Sprintf("another's id against an unknown one, our part, %d pairs", pairs), "median difference ≤ a tenth",
		fmt.Sprintf("%+d of %d µs; unknown against unknown %+d µs", d.Microseconds(), of.Microseconds(), noise.Microseconds()), d.Abs() <= limit)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
