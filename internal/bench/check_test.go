//go:build bench && linux

package bench_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"text/tabwriter"
	"time"

	"till/internal/bench"
)

const (
	baselineFile = "baseline.json"
	// checkRounds and the rest make the check short: it asks for no figure but the ratio
	// of two CPU times, which others on the machine disturb least.
	checkRounds  = 7
	checkWindow  = time.Second
	checkCallers = 1000
)

// TestCheck compares a warm checkout with the committed baseline.
func TestCheck(t *testing.T) {
	is := bench.Baseline{Allocations: allocations(t), CPURatio: cpuRatio(t)}
	if *record {
		must(t, is.Write(baselineFile))
		fmt.Fprintf(os.Stdout, "internal/bench/%s is written: %v allocations, %.2f times the bare proxy's CPU\n", baselineFile, is.Allocations, is.CPURatio)
		return
	}
	was, err := bench.ReadBaseline(baselineFile)
	must(t, err)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tbaseline\tat most\tis\tverdict")
	broken := 0
	for _, v := range was.Judge(is) {
		verdict := "ok"
		if !v.Kept {
			verdict = "WORSE"
			broken++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.What, number(v.Was), number(v.Bound), number(v.Is), verdict)
	}
	must(t, w.Flush())
	if broken > 0 {
		t.Errorf("%d figures are worse than internal/bench/%s. If that is the price of what changed, `make bench-baseline` writes them down, and the commit says why.", broken, baselineFile)
	}
}

var benchmarkLine = regexp.MustCompile(`(?m)^(Benchmark\S+)\s.*\s(\d+) allocs/op`)

// allocations runs the benchmark of a warm checkout in the process, where nothing but its
// own code counts. The median of three is the same on any machine.
func allocations(t *testing.T) map[string]float64 {
	t.Helper()
	began := time.Now()
	out, err := exec.CommandContext(t.Context(), "go", "test", "-run", "^$", "-bench", "^BenchmarkWarmCheckout$",
		"-benchmem", "-benchtime", "2000x", "-count", "3", "-cpu", "1", "till/cmd/api").CombinedOutput()
	if err != nil {
		t.Fatalf("the benchmark: %v\n%s", err, out)
	}
	all := allocationsIn(string(out))
	if len(all) == 0 {
		t.Fatalf("till/cmd/api has no BenchmarkWarmCheckout:\n%s", out)
	}
	t.Logf("allocations of a warm checkout: %v (%v)", all, time.Since(began).Round(time.Second))
	return all
}

func allocationsIn(out string) map[string]float64 {
	runs := map[string][]float64{}
	for _, m := range benchmarkLine.FindAllStringSubmatch(out, -1) {
		n, _ := strconv.ParseFloat(m[2], 64)
		runs[m[1]] = append(runs[m[1]], n)
	}
	all := map[string]float64{}
	for name, counts := range runs {
		all[name] = median(counts)
	}
	return all
}

// cpuRatio has the service and the bare proxy run side by side.
func cpuRatio(t *testing.T) float64 {
	t.Helper()
	w := newWorld(t, checkCallers)
	database := w.newDatabase(checkCallers, w.spread())
	costs := w.sideBySide(checkRounds, checkWindow,
		contender{till.name, till, database, w.callers}, contender{proxy.name, proxy, database, w.callers})
	return math.Round(100*median(ratios(costs[0], costs[1]))) / 100
}

func TestAllocationsAreRead(t *testing.T) {
	t.Parallel()
	const out = `goos: linux
BenchmarkWarmCheckout/audited         	    2000	    110000 ns/op	   20000 B/op	     210 allocs/op
BenchmarkWarmCheckout/audited         	    2000	    110000 ns/op	   20000 B/op	     230 allocs/op
BenchmarkWarmCheckout/audited         	    2000	    110000 ns/op	   20000 B/op	     211 allocs/op
BenchmarkWarmCheckout/not_audited     	    2000	    100000 ns/op	   20000 B/op	     200 allocs/op
PASS
`
	got := allocationsIn(out)
	if len(got) != 2 || got["BenchmarkWarmCheckout/audited"] != 211 || got["BenchmarkWarmCheckout/not_audited"] != 200 {
		t.Errorf("%v", got)
	}
}
