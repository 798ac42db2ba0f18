//go:build torture && linux

package torture_test

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
)

// line is one row of the table that a run ends with.
type line struct{ scenario, what, asked, seen, verdict string }

// table collects what was asked and what was seen.
type table struct {
	mu    sync.Mutex
	lines []line
	bad   bool
}

var report table

// fact adds a number that nothing was asked of.
func (r *table) fact(t *testing.T, what string, seen any) {
	r.add(line{t.Name(), what, "", fmt.Sprint(seen), ""})
}

// judge adds a verdict, and fails the test if it is not kept.
func (r *table) judge(t *testing.T, what, asked string, seen any, kept bool) {
	t.Helper()
	l := line{t.Name(), what, asked, fmt.Sprint(seen), "ok"}
	if !kept {
		l.verdict = "VIOLATED"
		t.Errorf("%s: asked %s, seen %v (seed %d)", what, asked, seen, *seed)
	}
	r.add(l)
}

// aim adds a number with what it should be, and does not fail the test if it is not:
// where it is known why, or a machine that others use too would decide.
func (r *table) aim(t *testing.T, what, asked string, seen any, kept bool) {
	verdict := "ok"
	if !kept {
		verdict = "missed"
	}
	r.add(line{t.Name(), what, asked, fmt.Sprint(seen), verdict})
}

// timed judges what is measured in time: in the full form, which has a machine for itself
// and takes long enough. In the short form it is an aim.
func (r *table) timed(t *testing.T, what, asked string, seen any, kept bool) {
	t.Helper()
	if full() {
		r.judge(t, what, asked, seen, kept)
		return
	}
	r.aim(t, what, asked, seen, kept)
}

// nearlyAll is the part of requests that must be served, of those that need nothing which is
// missing: a machine that others use too may lose some, and the short form has few.
func nearlyAll() float64 {
	if full() {
		return 0.999
	}
	return 0.99
}

// none judges a count that must be zero; some of what was counted is shown.
func (r *table) none(t *testing.T, what string, found []string) {
	t.Helper()
	for _, one := range found[:min(10, len(found))] {
		t.Errorf("%s: %s (seed %d)", what, one, *seed)
	}
	r.judge(t, what, "0", len(found), len(found) == 0)
}

func (r *table) add(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l)
	r.bad = r.bad || l.verdict == "VIOLATED"
}

func (r *table) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bad
}

func (r *table) write(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == 0 {
		return
	}
	fmt.Fprintf(out, "\nform %s, seed %d\n", *form, *seed)
	first := map[string]int{} // scenarios that ran at once are told one after the other
	for i, l := range r.lines {
		if _, known := first[l.scenario]; !known {
			first[l.scenario] = i
		}
	}
	slices.SortStableFunc(r.lines, func(a, b line) int { return cmp.Compare(first[a.scenario], first[b.scenario]) })
	last := ""
	for rest := r.lines; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].scenario == rest[0].scenario && (rest[n].verdict == "") == (rest[0].verdict == "") {
			n++
		}
		if rest[0].scenario != last {
			last = rest[0].scenario
			fmt.Fprintf(out, "\n%s\n", last)
		}
		writeBlock(out, rest[:n])
		rest = rest[n:]
	}
}

// writeBlock writes lines of one scenario: facts as sentences, verdicts in columns.
func writeBlock(out io.Writer, lines []line) {
	if lines[0].verdict == "" {
		for _, l := range lines {
			fmt.Fprintf(out, "  %s: %s\n", l.what, l.seen)
		}
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  what\tasked\tseen\tverdict")
	for _, l := range lines {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", l.what, l.asked, l.seen, l.verdict)
	}
	_ = w.Flush()
}
