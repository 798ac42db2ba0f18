//go:build torture && linux

package torture_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"till/internal/openloop"
)

// TestLoadOverload sends several times what the service can do, without regard to its
// answers: once where Stripe's budget is what is scarce, and once where the processor is.
func TestLoadOverload(t *testing.T) {
	t.Run("budget", func(t *testing.T) {
		ctx := t.Context()
		s := newShop(ctx, t, 1, 50, "STRIPE_RPS_PER_ENDPOINT=100")
		overload(ctx, t, s, false)
	})
	t.Run("processor", func(t *testing.T) {
		ctx := t.Context()
		s := newShop(ctx, t, 1, 50, "STRIPE_RPS_PER_ENDPOINT=0")
		// Of the rest, the crowd and Stripe get what they need.
		if err := quota(t, s.fleet.slots[0].present()); err != nil {
			leftOut(t, "no cgroup with a limit of CPU can be made here: "+err.Error())
		}
		overload(ctx, t, s, true)
	})
}

// quota allows a process a tenth of a processor, in periods short enough for half of the
// answers to come as fast as ever; it says what is missing for that.
func quota(t *testing.T, c *child) (missing error) {
	t.Helper()
	group, err := newCgroup(t, "cpu", [2]string{"cpu.cfs_quota_us", "2000"}, [2]string{"cpu.max", "2000 20000"})
	if err != nil {
		return err
	}
	t.Cleanup(func() { must(t, c.kill()) })
	if !group.v2 {
		err = os.WriteFile(filepath.Join(group.dir, "cpu.cfs_period_us"), []byte("20000"), 0o600)
	}
	return errors.Join(err, os.WriteFile(filepath.Join(group.dir, "cgroup.procs"), []byte(strconv.Itoa(c.cmd.Process.Pid)), 0o600))
}

// overload finds out what the service can do, and then asks for more; scarce says that it
// is the processor of which there is too little.
func overload(ctx context.Context, t *testing.T, s *shop, scarce bool) {
	t.Helper()
	s.stroll(ctx, 20, time.Second) // connections and caches are warm
	const crowd = 32
	s.capacity(ctx, crowd, time.Second) // what was saved up is spent
	peak, reads := s.capacity(ctx, crowd, lasting(2*time.Second, 20*time.Second))
	judge, timed := report.judge, report.timed
	if scarce {
		// A refusal costs a fifth of what an answer costs, as long as that is so little:
		// most of it is HTTP. So several times too much leaves little for answers.
		judge, timed = report.aim, report.aim
	}
	report.fact(t, "capacity", fmt.Sprintf("%.0f requests a second, %.0f of them reads, of %d who ask again at once", peak, reads, crowd))
	worked, err := s.worked()
	must(t, err)
	usual := s.stroll(ctx, 0.7*peak, lasting(3*time.Second, 20*time.Second))
	before := worked
	worked, err = s.worked()
	must(t, err)
	each := (worked - before) / time.Duration(len(usual))
	report.fact(t, "at 70 %", fmt.Sprintf("p50 %v, p99 %v, %s", shown(p50(usual)), shown(p99(usual)), histogram(usual)))
	for _, step := range []struct {
		times, least float64
		last         bool
	}{{2, 0.95, false}, {5, 0.92, false}, {10, 0.90, true}} {
		after := lasting(time.Second, 15*time.Second)
		if step.last {
			after = lasting(6*time.Second, 15*time.Second)
		}
		lasts := lasting(7*time.Second, 60*time.Second)
		storm, back := s.storm(ctx, step.times*peak, lasts, 0.7*peak, after)
		name := fmt.Sprintf("%.0f times: ", step.times)
		all, some := goodRate(storm, lasts)
		report.fact(t, name+"answers", fmt.Sprintf("%s; %.0f good a second, %.0f of them reads; refused p99 %v",
			histogram(storm), all, some, shown(openloop.Percentile(storm, 0.99, wasRefused))))
		judge(t, name+"goodput", fmt.Sprintf("≥ %.0f %% of peak", 100*step.least), percent(all/peak), all >= step.least*peak)
		ratio := float64(typical(storm, time.Second, openloop.Outcome.OK)) / float64(typical(usual, time.Second, openloop.Outcome.OK))
		timed(t, name+"p99 of the admitted against that at 70 %", "≤ 3", times(ratio), ratio <= 3)
		before := worked
		worked, err = s.worked()
		must(t, err)
		report.fact(t, name+"processor", fmt.Sprintf("%.3f of one in use, %v for a request at 70 %%",
			(worked-before).Seconds()/(lasts+after).Seconds(), each.Round(time.Microsecond)))
		// What is not refused costs what it does otherwise. Where the processor is what is
		// scarce, this difference of large numbers says nothing.
		if refused := openloop.Count(storm, wasRefused); refused >= 500 && !scarce {
			cost := (worked - before - each*time.Duration(len(storm)-refused+len(back))) / time.Duration(refused)
			report.timed(t, name+"processor time of a refusal", "≤ 100µs", cost.Round(time.Microsecond), cost <= 100*time.Microsecond)
		}
		if step.last || full() {
			normal := calmAgain(back, after, 2*p50(usual)+5*time.Millisecond)
			timed(t, name+"back to normal", "≤ 5 s", normal, normal <= 5*time.Second)
		}
	}
}

// worked is the processor time that the processes have had.
func (s *shop) worked() (all time.Duration, err error) {
	for _, one := range s.fleet.slots {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", one.present().cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		// Behind the name: the fields from the third on, in hundredths of a second.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				return 0, err
			}
			all += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return all, nil
}

func wasRefused(o openloop.Outcome) bool { return o.Status >= 400 }

func p50(outcomes []openloop.Outcome) time.Duration {
	return openloop.Percentile(outcomes, 0.5, openloop.Outcome.OK)
}

// storm sends one load and, on the dot when it ends, another.
func (s *shop) storm(ctx context.Context, rate float64, lasts time.Duration, then float64, after time.Duration) (storm, back []openloop.Outcome) {
	stormy := make(chan []openloop.Outcome)
	end := time.Now().Add(lasts)
	go func() { stormy <- s.stroll(ctx, rate, lasts) }()
	wait(ctx, time.Until(end))
	back = s.stroll(ctx, then, after)
	return <-stormy, back
}

// goodRate is how many good answers came a second while a load lasted, after the second
// that it takes to spend what was saved up, and how many of those were reads.
func goodRate(outcomes []openloop.Outcome, lasts time.Duration) (all, reads float64) {
	const begun = time.Second
	for n, o := range outcomes {
		if came := o.At + o.Took; !o.OK() || came < begun || came >= lasts {
			continue
		}
		all += 1 / (lasts - begun).Seconds()
		if isRead(n) {
			reads += 1 / (lasts - begun).Seconds()
		}
	}
	return all, reads
}

// calmAgain is when everything was as usual, from then on: in each half second, answers
// for nearly all, and for half of them in the usual time.
func calmAgain(outcomes []openloop.Outcome, lasts, usual time.Duration) (at time.Duration) {
	const window = 500 * time.Millisecond
	for from := time.Duration(0); from < lasts; from += window {
		some := due(outcomes, from, from+window)
		if goodput(some) < 0.98 || p50(some) > usual {
			at = from + window
		}
	}
	return at
}
