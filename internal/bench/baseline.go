package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// How much worse than the baseline may be: allocations are counted and hardly vary, the
// ratio of two processes' CPU time does so even on a quiet machine.
const (
	AllocationSlack = 0.03
	CPUSlack        = 0.25
)

// Baseline is what a warm POST /checkout has cost when it was last written down.
type Baseline struct {
	// Allocations of one request in the process, Stripe answered from memory, by the name
	// of the benchmark.
	Allocations map[string]float64 `json:"allocations"`
	// CPURatio is the CPU time per request, divided by that of a bare reverse proxy in the
	// same run.
	CPURatio float64 `json:"cpu_ratio"`
}

// ReadBaseline reads a file that Write has written. One without a figure is an error.
func ReadBaseline(path string) (b Baseline, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return b, fmt.Errorf("reading the baseline: %w", err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("reading the baseline %s: %w", path, err)
	}
	return b, b.check()
}

// Write replaces the file. What could not be measured is not written.
func (b Baseline) Write(path string) error {
	if err := b.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// check finds figures that nothing could be worse than.
func (b Baseline) check() error {
	if !(b.CPURatio > 0) || len(b.Allocations) == 0 {
		return fmt.Errorf("no figures: CPU ratio %v, allocations of %d benchmarks", b.CPURatio, len(b.Allocations))
	}
	for name, n := range b.Allocations {
		if !(n > 0) {
			return fmt.Errorf("no figure: %v allocations in %s", n, name)
		}
	}
	return nil
}

// Verdict is one figure beside the one that it may not exceed.
type Verdict struct {
	What           string
	Was, Bound, Is float64
	Kept           bool
}

// Judge compares what is with the baseline, figure by figure. A figure that only one of
// both has is not kept: a benchmark that was renamed must not be one that is not looked at.
func (b Baseline) Judge(is Baseline) []Verdict {
	names := slices.Collect(maps.Keys(b.Allocations))
	for name := range is.Allocations {
		if _, known := b.Allocations[name]; !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var all []Verdict
	for _, name := range names {
		all = append(all, judge(name+", allocations", b.Allocations[name], is.Allocations[name], AllocationSlack))
	}
	return append(all, judge("CPU per request, max-tls, to the bare proxy", b.CPURatio, is.CPURatio, CPUSlack))
}

func judge(what string, was, is, slack float64) Verdict {
	v := Verdict{What: what, Was: was, Bound: was * (1 + slack), Is: is}
	v.Kept = was > 0 && is > 0 && is <= v.Bound
	return v
}
