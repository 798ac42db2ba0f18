//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"till/internal/openloop"
)

// reading is what a process holds at a moment when nothing is asked of it.
type reading struct {
	at                                time.Duration
	heap, resident, goroutines, files float64
}

// TestLoadSoak has one process work at half of what it can do, with a Stripe and callers who
// misbehave at random, and looks whether anything grows. From time to time there is a pause:
// everybody is answered, Stripe has closed its connections, garbage is collected, and what
// is left is the process's own.
//
// The short form cannot tell a slope of 1 MiB an hour from none, and does not pretend to: it
// asks that the memory in use is the same in the last quarter as in the second one, but for
// 1 MiB, and says how much each request would have had to leave behind for that. The full
// form judges the slope as well, by least squares over its second half.
func TestLoadSoak(t *testing.T) {
	t.Parallel()
	lasts := lasting(40*time.Second, 30*time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), lasts+5*time.Minute)
	defer cancel()
	var p *proxy
	s := newSite(ctx, t, siteOptions{args: []string{"--pprof"}, before: func(sandbox string) string {
		p = newProxy(&stripe{base: sandbox}, t.Name(), stormy())
		p.calm.Store(true)
		t.Cleanup(p.server.Close)
		return p.server.URL
	}})
	slot := s.slots[0]
	base := *slot.base.Load()
	const measured = 3 * time.Second
	can := float64(total(closedLoop(ctx, base, 16, measured, s.honest))) / measured.Seconds()
	// No more than a machine has left that does other things, or for half an hour.
	half := min(can/2, map[bool]float64{false: 100, true: 500}[full()])
	p.calm.Store(false)

	var outcomes []openloop.Outcome
	var readings []reading
	for began := time.Now(); time.Since(began) < lasts; {
		outcomes = append(outcomes, soak(ctx, s, base, half, lasting(3*time.Second, 15*time.Second))...)
		p.server.CloseClientConnections()
		wait(ctx, 500*time.Millisecond)
		r, err := slot.read(ctx)
		must(t, err)
		r.at = time.Since(began)
		readings = append(readings, r)
	}

	failed, kinds := failedOnes(outcomes)
	_, struck, calls := p.strikes()
	report.fact(t, "load", fmt.Sprintf("%.0f/s, of the %.0f/s that 16 callers got, for %v", half, can, lasts))
	report.fact(t, "requests", fmt.Sprintf("%d, %d failed: %s", len(outcomes), failed, kinds))
	report.fact(t, "calls that went wrong at Stripe", fmt.Sprintf("%d of %s", struck, calls))
	report.judge(t, "requests served, and faults that struck", "> 1000, > 50", fmt.Sprintf("%d, %d", len(outcomes)-failed, struck),
		len(outcomes)-failed > 1000 && struck > 50)
	judgeGrowth(t, readings, len(outcomes))
	report.judge(t, "the same process", "alive", slot.present().cmd.Process.Pid, !slot.present().gone())
	must(t, s.stop())
	report.none(t, "panics", s.panicked())
}

func total(kinds map[string]int) (n int) {
	for _, one := range kinds {
		n += one
	}
	return n
}

// soak sends what honest people do, and now and then somebody who hangs up or has no token.
func soak(ctx context.Context, s *site, base string, rate float64, lasts time.Duration) []openloop.Outcome {
	client := newcomers(patience)
	return openloop.Run(ctx, openloop.Load{
		Rate: rate, For: lasts, MaxInFlight: 2000, Timeout: patience, Client: client, Answered: usable,
		Request: func(ctx context.Context, n int) (*http.Request, error) {
			c := s.honest(n)
			switch n % 50 {
			case 17:
				c.token = "nobody's"
			case 31:
				// The context ends the request; it must not end before it is sent.
				short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
				context.AfterFunc(short, cancel)
				ctx = short
			}
			if n%10 == 5 {
				c.key = "soak-" + strconv.Itoa(n)
			}
			return c.request(ctx, base)
		},
	})
}

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// read has garbage collected first: what is left is in use.
func (s *slot) read(ctx context.Context) (r reading, err error) {
	ops, err := s.ops()
	if err != nil {
		return r, err
	}
	profile, err := fetch(ctx, ops+"/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return r, err
	}
	found := heapAlloc.FindStringSubmatch(profile)
	if found == nil {
		return r, errors.New("the profile does not say how large the heap is")
	}
	if r.heap, err = strconv.ParseFloat(found[1], 64); err != nil {
		return r, err
	}
	metrics, err := s.metrics(ctx)
	if err != nil {
		return r, err
	}
	resident, err := s.status("VmRSS")
	r.resident, r.goroutines, r.files = float64(resident), metrics["go_goroutines"], metrics["process_open_fds"]
	return r, err
}

// judgeGrowth compares the last quarter with the second one: in the first one, caches and
// pools fill.
func judgeGrowth(t *testing.T, all []reading, requests int) {
	t.Helper()
	n := len(all)
	if n < 8 {
		report.judge(t, "readings", ">= 8", n, false)
		return
	}
	early, late := all[n/4:n/2], all[3*n/4:]
	for _, row := range []struct {
		what   string
		of     func(reading) float64
		most   float64
		format func(float64) string
	}{
		{"memory in use, median of the last quarter less that of the second", func(r reading) float64 { return r.heap }, mib, mebibytes},
		{"resident memory, likewise", func(r reading) float64 { return r.resident }, 16 * mib, mebibytes},
		{"goroutines, likewise", func(r reading) float64 { return r.goroutines }, 5, whole},
		{"open files, likewise", func(r reading) float64 { return r.files }, 5, whole},
	} {
		was, is := median(early, row.of), median(late, row.of)
		report.judge(t, row.what, "<= "+row.format(row.most), fmt.Sprintf("%s (from %s)", row.format(is-was), row.format(was)), is-was <= row.most)
	}
	report.fact(t, "a leak would show from", fmt.Sprintf("%.0f bytes a request", mib/(float64(requests)/2)))
	slope, either := leastSquares(all[n/2:], func(r reading) float64 { return r.heap })
	said := fmt.Sprintf("%+.2f ± %.2f MiB/h", slope/mib, either/mib)
	if !full() {
		report.fact(t, "slope of the memory in use, over the second half; too short to be judged", said)
		return
	}
	// What two errors cannot tell from the limit is not above it; but a run whose error is
	// larger than the limit itself has shown nothing.
	report.judge(t, "slope of the memory in use, over the second half", "< 1 MiB/h, by more or less than 1",
		said, slope < mib && either <= mib)
}

func whole(n float64) string { return fmt.Sprintf("%.0f", n) }

func median(all []reading, of func(reading) float64) float64 {
	var numbers []float64
	for _, r := range all {
		numbers = append(numbers, of(r))
	}
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}

// leastSquares is the slope of a straight line through the readings, per hour, and its
// standard error.
func leastSquares(all []reading, of func(reading) float64) (slope, standardError float64) {
	n := float64(len(all))
	var x, y float64
	for _, r := range all {
		x += r.at.Hours() / n
		y += of(r) / n
	}
	var xx, xy, rest float64
	for _, r := range all {
		xx += (r.at.Hours() - x) * (r.at.Hours() - x)
		xy += (r.at.Hours() - x) * (of(r) - y)
	}
	slope = xy / xx
	for _, r := range all {
		d := of(r) - y - slope*(r.at.Hours()-x)
		rest += d * d
	}
	return slope, math.Sqrt(rest / (n - 2) / xx)
}
