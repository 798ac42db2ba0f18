package customers_test

import (
	"flag"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

var (
	simulationSeed  = flag.Uint64("simulation.seed", 0, "run the simulation of this seed alone")
	simulationSeeds = flag.Uint64("simulation.seeds", 2000, "how many seeds to simulate; a tenth with -short")
	simulationFrom  = flag.Uint64("simulation.from", 1, "the first of them")
	simulationTrace = flag.Int("simulation.trace", 100, "how many lines of a trace are shown")
)

// Several processes on one database and one Stripe, everything failing at random,
// hours passing in between, each run decided by its seed to the last detail. What
// has to hold at every instant is in simulation_promises_test.go, what has to come
// of it in the end in simulation_end_test.go.
func TestSimulation(t *testing.T) {
	t.Parallel()
	all := newTotals()
	t.Cleanup(func() { t.Log(all) })
	if *simulationSeed != 0 {
		all.add(simulate(t, *simulationSeed))
		return
	}
	end := *simulationFrom + *simulationSeeds
	if testing.Short() {
		end = *simulationFrom + *simulationSeeds/10
	}
	t.Cleanup(func() {
		if missing := all.missing(); all.runs >= 2000 && len(missing) > 0 {
			t.Errorf("never happened: %s", strings.Join(missing, ", "))
		}
	})
	lanes := uint64(runtime.GOMAXPROCS(0))
	for lane := range lanes {
		t.Run(strconv.FormatUint(lane, 10), func(t *testing.T) {
			t.Parallel()
			for seed := *simulationFrom + lane; seed < end && !t.Failed(); seed += lanes {
				all.add(simulate(t, seed))
			}
		})
	}
}

// simulate runs the seed and shows what led to a breach.
func simulate(t *testing.T, seed uint64) *simulation {
	t.Helper()
	s := runSeed(t, seed)
	if s.breach != "" {
		t.Errorf("seed %d: %s\nagain with: go test ./internal/customers -run 'Simulation$' -v -simulation.seed=%[1]d", seed, s.breach)
	}
	if s.breach != "" || *simulationSeed != 0 {
		t.Logf("seed %d, the last %d of %d events:\n%s", seed, *simulationTrace, len(s.events), s.story(*simulationTrace))
	}
	return s
}

func runSeed(t *testing.T, seed uint64) (s *simulation) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s = newSimulation(t, seed)
		s.run()
		s.end()
	})
	return s
}

// A failure that does not come again is of no use, so the same seed must tell the
// same story, however the goroutines are scheduled. Not parallel: GOMAXPROCS is
// everybody's.
func TestSimulationIsDeterministic(t *testing.T) { //nolint:paralleltest // see above
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	for seed := *simulationFrom; seed < *simulationFrom+seeds; seed++ {
		first := runSeed(t, seed)
		before := runtime.GOMAXPROCS(1 + int(seed%4))
		again := runSeed(t, seed)
		runtime.GOMAXPROCS(before)
		if line, differs := firstDifference(first, again); differs {
			t.Fatalf("seed %d tells two stories from event %d on:\n%s\n%s", seed, line, first.story(len(first.events)-line), again.story(len(again.events)-line))
		}
	}
}

func firstDifference(a, b *simulation) (line int, differs bool) {
	for i := range max(len(a.events), len(b.events)) {
		if i >= len(a.events) || i >= len(b.events) || a.events[i].String() != b.events[i].String() {
			return i, true
		}
	}
	return 0, a.breach != b.breach
}
