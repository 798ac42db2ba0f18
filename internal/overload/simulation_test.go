package overload_test

import (
	"fmt"
	"testing"
	"time"
)

const (
	calm  = 2 * time.Second
	storm = 12 * time.Second
	after = 20 * time.Second
	// noticed is how long after its begin a storm has been noticed: half of it is until there
	// is a queue, where little more is asked for than can be served.
	noticed = 1200 * time.Millisecond
	// soon is what the admitted take at most: as long as the longest queue until they are read,
	// and again until they are admitted, and what the runtime takes to fetch them.
	soon = 120 * time.Millisecond
)

// overloaded is a machine that has had a storm of so many times what it can serve, between
// two times at 70 %.
func overloaded(t *testing.T, seed uint64, links int, times float64) *machine {
	t.Helper()
	m := newMachine(t, seed, links)
	m.offer(0.7, 0, calm)
	m.offer(times, calm, storm)
	m.offer(0.7, storm, after)
	return m
}

// TestAStormLeavesTheServiceStanding: most of what can be served is, and soon, however much
// more is asked for. A refusal costs a fifteenth of a request here: were everything read that
// is sent, 0.93 could be served of two times the capacity, and 0.4 of ten times.
func TestAStormLeavesTheServiceStanding(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		times, goodput float64
		links          int
	}{
		{1.2, 0.97, 1000},
		{2, 0.92, 1000},
		{2, 0.97, 200},
		{5, 0.92, 1000},
		{5, 0.97, 200},
		{10, 0.92, 1000},
		{10, 0.97, 200},
		{30, 0.92, 1000},
		{30, 0.97, 200},
	} {
		t.Run(fmt.Sprintf("%vx on %d connections", row.times, row.links), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				m := overloaded(t, seed, row.links, row.times)
				m.run()
				goodput := float64(len(m.between(calm, storm, false))) / (storm - calm).Seconds() / m.capacity()
				waited := p99(m.between(calm+noticed, storm, false))
				t.Logf("seed %d: goodput %.3f of capacity, p99 %v, of the refused %v", seed, goodput, waited, p99(m.between(calm, storm, true)))
				if goodput < row.goodput || waited > soon {
					t.Errorf("seed %d: want %v at least, and %v at most", seed, row.goodput, soon)
				}
			}
		})
	}
}

// TestTheGoodputIsEven: it does not swing; once the storm has been noticed, there is no tenth
// of a second in which much less is served.
func TestTheGoodputIsEven(t *testing.T) {
	t.Parallel()
	m := overloaded(t, 1, 1000, 5)
	m.run()
	for from := calm + noticed; from < storm-windowful; from += windowful {
		served := float64(len(m.between(from, from+windowful, false))) / windowful.Seconds() / m.capacity()
		if served < 0.6 {
			t.Errorf("at %v: %.2f of the capacity", from, served)
		}
	}
}

// TestAfterAStormAllIsAsBefore: two seconds later.
func TestAfterAStormAllIsAsBefore(t *testing.T) {
	t.Parallel()
	for _, times := range []float64{2, 5, 10} {
		m := overloaded(t, 1, 1000, times)
		m.run()
		from := storm + 2*time.Second
		if n := len(m.between(from, after, true)); n > 0 {
			t.Errorf("%vx: %d refused when it was over", times, n)
		}
		if was, is := p99(m.between(0, calm, false)), p99(m.between(from, after, false)); is > 3*was {
			t.Errorf("%vx: p99 is %v, was %v", times, is, was)
		}
	}
}

func TestNobodyIsRefusedBelowTheCapacity(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		m := newMachine(t, seed, 1000)
		m.offer(0.9, 0, after)
		m.run()
		if n := len(m.between(0, after, true)); n > 0 {
			t.Errorf("seed %d: %d refused", seed, n)
		}
	}
}

// TestSlowStripeIsNoPressure: hundreds wait for it, and nobody for the processor.
func TestSlowStripeIsNoPressure(t *testing.T) {
	t.Parallel()
	m := newMachine(t, 1, 2000)
	m.offer(0.3, 0, calm)
	m.stripe = 800 * time.Millisecond
	m.offer(0.6, calm, after)
	m.run()
	if n := len(m.between(0, after, true)); n > 0 {
		t.Errorf("%d refused", n)
	}
}

// TestPausesRefuseNobody: everything stops for 80 ms once a second.
func TestPausesRefuseNobody(t *testing.T) {
	t.Parallel()
	m := newMachine(t, 1, 1000)
	m.pause = 80 * time.Millisecond
	for at := time.Second; at < after; at += time.Second {
		m.pauses = append(m.pauses, at)
	}
	m.offer(0.7, 0, after)
	m.run()
	if n := len(m.between(0, after, true)); n > 0 {
		t.Errorf("%d refused", n)
	}
}

// TestAQuotaIsNoPressure: of each period of 100 ms the last 60 are not ours, as for a container
// that has used its quota up, and 90 % of what can be served in the others is asked for.
func TestAQuotaIsNoPressure(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		m := newMachine(t, seed, 1000)
		m.pause = 60 * time.Millisecond
		for at := 40 * time.Millisecond; at < after; at += 100 * time.Millisecond {
			m.pauses = append(m.pauses, at)
		}
		m.offer(0.9*0.4, 0, after)
		m.run()
		if n := len(m.between(0, after, true)); n > 0 {
			t.Errorf("seed %d: %d refused", seed, n)
		}
	}
}
