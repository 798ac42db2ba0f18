//go:build attack

package attack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRefusalsTakeTheSameTime: whether an id is another owner's or nobody's must not
// be told by the clock. The two are asked for in turn, each first every other time.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	p := start(t)
	alice, bob := p.token("alice"), p.token("bob")
	others := p.member("POST", "/checkout", alice, `{"plan":"pro"}`, "id", 201)
	p.member("POST", "/portal", bob, "", "id", 201)
	unknown := others[:len(others)-8] + strings.Repeat("0", 8)
	pairs := amount(1000, 10_000)
	var ofOthers, ofUnknown, differences []time.Duration
	for i := range pairs + 100 {
		first, second := others, unknown
		if i%2 == 1 {
			first, second = second, first
		}
		a, b := stopwatch(p, first, bob), stopwatch(p, second, bob)
		if i%2 == 1 {
			a, b = b, a
		}
		if i >= 100 { // connections and caches are warm
			ofOthers, ofUnknown, differences = append(ofOthers, a), append(ofUnknown, b), append(differences, a-b)
		}
	}
	d := median(differences)
	report(t, fmt.Sprintf("another's id against an unknown one, %d pairs", pairs), "median difference < 200 µs",
		fmt.Sprintf("%+d µs (%d and %d µs, the sandbox's part included)", d.Microseconds(), median(ofOthers).Microseconds(), median(ofUnknown).Microseconds()),
		d.Abs() < 200*time.Microsecond)
}

func stopwatch(p *program, id, token string) time.Duration {
	from := time.Now()
	status, text, err := p.call("GET", "/checkout/"+id, token, "")
	took := time.Since(from)
	if err != nil || status != 404 {
		p.t.Fatalf("%s: %d %s %v", id, status, text, err)
	}
	return took
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
