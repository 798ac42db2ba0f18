package overload_test

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"till/internal/overload"
)

// bench is a limiter whose clock stands still, and whose queue is as long as is said.
type bench struct {
	*overload.Limiter
	t        *testing.T
	registry *prometheus.Registry
	now      time.Duration
	// queue is how long a request waits for the processor, yields how many have.
	queue  time.Duration
	yields int
}

func newBench(t *testing.T, places int) *bench {
	t.Helper()
	b := &bench{t: t, registry: prometheus.NewRegistry()}
	var err error
	b.Limiter, err = overload.New(overload.Options{
		Places: places, Processors: processors, Metrics: b.registry,
		Now:   func() time.Time { return time.Unix(1e9, 0).Add(b.now) },
		Yield: func() { b.yields++; b.now += b.queue },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// asks has a request wait for so long already, and reports whether it is admitted.
func (b *bench) asks(waited time.Duration) bool {
	b.t.Helper()
	switch reason := b.Enter(overload.Write, waited); reason {
	case "":
		b.Leave(overload.Write)
		return true
	case overload.Processor:
		return false
	default:
		b.t.Fatalf("refused for want of %s", reason)
		return false
	}
}

const (
	processors = 3

	brief, long, endless = 49 * time.Millisecond, 55 * time.Millisecond, 1001 * time.Millisecond
	windowful            = 100 * time.Millisecond
)

// window has n requests wait for so long, within one window, and the next one begin.
func (b *bench) window(n int, waited time.Duration) (refused int) {
	b.t.Helper()
	for range n {
		if !b.asks(waited) {
			refused++
		}
	}
	b.now += windowful
	return refused
}

// spell has everybody wait for long until that is pressure.
func (b *bench) spell() {
	b.t.Helper()
	for range 5 {
		if n := b.window(1, long); n > 0 {
			b.t.Fatalf("%d refused too early", n)
		}
	}
}

func TestOnePauseRefusesNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	for _, waited := range []time.Duration{0, long, long, long, long, long, 0, long, long, long, long, long, brief, long, long, 0} {
		if n := b.window(100, waited); n > 0 {
			t.Errorf("%d refused", n)
		}
	}
}

func TestWhoWaitsLongIsRefusedWhenOthersDidBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	b.spell()
	if !b.asks(brief) || b.asks(long) || !b.asks(brief) {
		t.Error("want who has waited long refused, and nobody else")
	}
}

func TestAFewWhoWaitLongAreNoPressure(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	for range 7 {
		b.window(70, brief)
		b.now -= windowful
		if n := b.window(10, long); n > 0 {
			t.Errorf("%d of 80 refused", n)
		}
	}
	for range 5 {
		b.window(69, brief)
		b.now -= windowful
		b.window(10, long)
	}
	if b.asks(long) {
		t.Error("admitted after more than an eighth were late")
	}
}

func TestPressureStaysWhileAnybodyIsLate(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	b.spell()
	for range 5 {
		b.window(1000, brief)
		b.now -= windowful
		if n := b.window(1, long); n != 1 {
			t.Error("admitted who has waited long")
		}
	}
	b.window(1000, brief)
	if !b.asks(long) {
		t.Error("refused after a window in which nobody was late")
	}
}

func TestPressureIsOverWhenNobodyComes(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	b.spell()
	b.now += windowful
	if !b.asks(long) {
		t.Error("refused after a window in which nobody came")
	}
}

func TestNobodyWaitsForTooLong(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100)
	if !b.asks(time.Second) || b.asks(endless) {
		t.Error("want a second admitted, and no more")
	}
}

// TestTheQueueIsTheProcessors: what others do meanwhile is what is measured, and nobody
// gets into the way of himself.
func TestTheQueueIsTheProcessors(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000)
	b.queue = endless
	for range processors {
		if why := b.Enter(overload.Write, 0); why != "" {
			t.Fatal(why)
		}
	}
	if b.yields > 0 {
		t.Errorf("%d have waited where there is a processor for each", b.yields)
	}
	if why := b.Enter(overload.Local, 0); why != overload.Processor || b.yields != 1 {
		t.Errorf("refused for want of %q, %d have waited", why, b.yields)
	}
	b.Leave(overload.Write)
	if why := b.Enter(overload.Read, 0); why != "" {
		t.Errorf("with a processor free again: refused for want of %q", why)
	}
}

func TestReadsLeavePlacesForWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t, 8)
	for _, step := range []struct {
		class overload.Class
		n     int
		full  bool
	}{
		{overload.Read, 6, false},
		{overload.Read, 1, true},
		{overload.Write, 2, false},
		{overload.Write, 1, true},
		{overload.Read, 1, true},
		{overload.Local, 8, false},
		{overload.Local, 1, true},
	} {
		for range step.n {
			why := b.Enter(step.class, 0)
			if full := why == overload.Places; full != step.full || !full && why != "" {
				t.Fatalf("%s: refused for want of %q", step.class, why)
			}
		}
	}
	b.Leave(overload.Read)
	if why := b.Enter(overload.Read, 0); why != overload.Places {
		t.Errorf("a read in place of a read, with two writes: refused for want of %q", why)
	}
	if why := b.Enter(overload.Write, 0); why != "" {
		t.Errorf("a write in place of a read: refused for want of %q", why)
	}
}

func TestARefusedRequestLeavesItsPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	for range 10 {
		if b.asks(endless) {
			t.Error("admitted")
		}
	}
	if !b.asks(0) {
		t.Error("the place was not given back")
	}
}

func TestPlacesFollowMemoryAndConnections(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		memory      int64
		connections int
		want        int
	}{
		{math.MaxInt64, 0, 2048},
		{math.MaxInt64, 1000, 750},
		{math.MaxInt64, 1, 1},
		{128 << 20, 0, 853},
		{128 << 20, 1000, 750},
		{64 << 20, 1000, 170},
		{16 << 20, 1000, 32},
		{8 << 30, 0, 2048},
	} {
		if got := overload.PlacesFor(row.memory, row.connections); got != row.want {
			t.Errorf("%d bytes, %d connections: got %d places, want %d", row.memory, row.connections, got, row.want)
		}
	}
}

func TestRestsBeginWhenRefusalsAreMany(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	for range 100 * processors {
		if rest := b.Rest(100); rest > 0 {
			t.Fatalf("%v among the first", rest)
		}
	}
	for inRow, want := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond,
		3: 400 * time.Millisecond, 4: 400 * time.Millisecond, 1 << 40: 400 * time.Millisecond,
	} {
		if got := b.Rest(inRow); got != want {
			t.Errorf("%d in a row: got %v, want %v", inRow, got, want)
		}
	}
	b.now += windowful
	if rest := b.Rest(100); rest > 0 {
		t.Errorf("%v in a new window", rest)
	}
}

func TestEverythingIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	b.spell()
	b.asks(long)
	for range 5 {
		b.Enter(overload.Read, 0)
	}
	if why := b.Enter(overload.Local, 0); why != "" {
		t.Fatal(why)
	}
	want := `
# HELP till_http_in_flight Requests under way by class: local ones need neither Stripe nor the database.
# TYPE till_http_in_flight gauge
till_http_in_flight{class="local"} 1
till_http_in_flight{class="read"} 3
till_http_in_flight{class="write"} 0
# HELP till_http_in_flight_limit How many requests may be under way: local ones, reads and writes together for a read, and for a write.
# TYPE till_http_in_flight_limit gauge
till_http_in_flight_limit{class="local"} 4
till_http_in_flight_limit{class="read"} 3
till_http_in_flight_limit{class="write"} 4
# HELP till_http_pressure 1 while requests are refused that have waited long for the processor; 0 is normal.
# TYPE till_http_pressure gauge
till_http_pressure 1
# HELP till_http_shed_total Requests refused with 503 overloaded before anything was done for them, by class and by what was scarce.
# TYPE till_http_shed_total counter
till_http_shed_total{class="local",reason="places"} 0
till_http_shed_total{class="local",reason="processor"} 0
till_http_shed_total{class="read",reason="places"} 2
till_http_shed_total{class="read",reason="processor"} 0
till_http_shed_total{class="write",reason="places"} 0
till_http_shed_total{class="write",reason="processor"} 1
# HELP till_http_queue_duration_seconds How long requests waited for the processor before they were admitted or refused.
# TYPE till_http_queue_duration_seconds histogram
till_http_queue_duration_seconds_bucket{le="0.001"} 4
till_http_queue_duration_seconds_bucket{le="0.01"} 4
till_http_queue_duration_seconds_bucket{le="0.05"} 4
till_http_queue_duration_seconds_bucket{le="0.1"} 10
till_http_queue_duration_seconds_bucket{le="+Inf"} 10
till_http_queue_duration_seconds_sum 0.33
till_http_queue_duration_seconds_count 10
`
	if err := testutil.GatherAndCompare(b.registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestALimiterNeedsPlacesAndMetrics(t *testing.T) {
	t.Parallel()
	for _, o := range []overload.Options{{Places: 1}, {Metrics: prometheus.NewRegistry()}} {
		if _, err := overload.New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	l, err := overload.New(overload.Options{Places: 1000, Metrics: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	for range runtime.GOMAXPROCS(0) {
		l.Enter(overload.Write, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		if l.Enter(overload.Write, 0) == "" {
			l.Leave(overload.Write)
		}
	}
}
