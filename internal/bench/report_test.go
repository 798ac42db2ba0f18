//go:build bench && linux

package bench_test

import (
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"text/tabwriter"
)

// row is a line of the table that a run ends with.
type row struct{ what, scenario, bound, seen, verdict string }

type table struct{ rows []row }

var report table

// bound is what a figure must be.
type bound struct {
	most, least float64 // NaN where there is none
	unit        string
}

func atMost(n float64, unit string) bound  { return bound{n, math.NaN(), unit} }
func atLeast(n float64, unit string) bound { return bound{math.NaN(), n, unit} }

func (b bound) String() string {
	if math.IsNaN(b.least) {
		return fmt.Sprintf("≤ %g%s", b.most, b.unit)
	}
	return fmt.Sprintf("≥ %g%s", b.least, b.unit)
}

// keeps is false for what is no number.
func (b bound) keeps(n float64) bool {
	if math.IsNaN(b.least) {
		return n <= b.most
	}
	return n >= b.least
}

// judge adds the median of the rounds with its verdict. remark is for what a reader must
// know beside it.
func (r *table) judge(what, scenario string, b bound, rounds []float64, remark string) {
	verdict := "ok"
	if !b.keeps(median(rounds)) {
		verdict = "MISSED"
	}
	if remark != "" {
		verdict += ", " + remark
	}
	r.rows = append(r.rows, row{what, scenario, b.String(), spread(rounds, b.unit), verdict})
}

// fact adds figures that nothing is asked of.
func (r *table) fact(what, scenario, unit string, rounds []float64) {
	r.rows = append(r.rows, row{what, scenario, "", spread(rounds, unit), ""})
}

// absent notes what could not be measured.
func (r *table) absent(what, scenario string, b bound, why string) {
	r.rows = append(r.rows, row{what, scenario, b.String(), "", "not measured: " + why})
}

func (r *table) missed() (n int) {
	for _, one := range r.rows {
		if len(one.verdict) >= 6 && one.verdict[:6] == "MISSED" {
			n++
		}
	}
	return n
}

func (r *table) write(out io.Writer) {
	if len(r.rows) == 0 {
		return
	}
	fmt.Fprintf(out, "\nMedian of the rounds (least to most). × is the ratio to the bare proxy of the same round.\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tscenario\tmust be\tis\tverdict")
	for _, one := range r.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", one.what, one.scenario, one.bound, one.seen, one.verdict)
	}
	_ = w.Flush()
	fmt.Fprintf(out, "\n%d bounds missed\n", r.missed())
}

// median of no rounds is NaN, which no bound is kept by.
func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 0:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	default:
		return sorted[n/2]
	}
}

func spread(of []float64, unit string) string {
	if len(of) == 0 {
		return "nothing"
	}
	if len(of) == 1 {
		return number(of[0]) + unit
	}
	return fmt.Sprintf("%s%s (%s–%s)", number(median(of)), unit, number(slices.Min(of)), number(slices.Max(of)))
}

// number has three digits that say something.
func number(n float64) string {
	switch {
	case math.Abs(n) >= 100:
		return fmt.Sprintf("%.0f", n)
	case math.Abs(n) >= 10:
		return fmt.Sprintf("%.1f", n)
	default:
		return fmt.Sprintf("%.2f", n)
	}
}

func TestTheTableSaysWhatIsMissed(t *testing.T) {
	t.Parallel()
	var r table
	r.judge("kept", "", atMost(2, "×"), []float64{1, 9, 2}, "")
	r.judge("missed", "", atMost(2, "×"), []float64{3, 1, 3}, "noisy")
	r.judge("too little", "", atLeast(2, "×"), []float64{1.5}, "")
	r.judge("nothing", "", atMost(2, "×"), nil, "")
	r.fact("fact", "", "", nil)
	if r.missed() != 3 {
		t.Errorf("%+v", r.rows)
	}
}
