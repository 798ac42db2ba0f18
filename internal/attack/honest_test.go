//go:build attack

package attack

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// visits are what became of honest calls.
type visits struct {
	mu sync.Mutex
	// good have their answer, bad have none or another.
	good, bad int
	took      []visited
}

type visited struct {
	at   time.Time
	took time.Duration
}

// visit makes an honest call every so often, whether or not those before have their
// answer, until it is told to end.
func visit(t *testing.T, every time.Duration, call func(i int) error) (end func() *visits) {
	t.Helper()
	stop, all := make(chan struct{}), &visits{}
	var wg sync.WaitGroup
	wg.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-ticks.C:
			}
			wg.Go(func() {
				from := time.Now()
				err := call(i)
				all.add(t, from, err)
			})
		}
	})
	return func() *visits {
		close(stop)
		wg.Wait()
		return all
	}
}

func (v *visits) add(t *testing.T, from time.Time, err error) {
	took := time.Since(from)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.took = append(v.took, visited{from, took})
	if err != nil {
		v.bad++
		t.Logf("an honest call: %v", err)
		return
	}
	v.good++
}

// success is the part of the calls that went well.
func (v *visits) success() float64 { return float64(v.good) / float64(max(1, v.good+v.bad)) }

func (v *visits) String() string {
	return fmt.Sprintf("%d of %d", v.good, v.good+v.bad)
}

// p99 is of the calls that began between from and to.
func (v *visits) p99(from, to time.Time) time.Duration {
	var took []time.Duration
	for _, one := range v.took {
		if !one.at.Before(from) && one.at.Before(to) {
			took = append(took, one.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// typicalP99 is the median of the windows between from and to, so that one moment in
// which the machine had something else to do decides nothing.
func (v *visits) typicalP99(from, to time.Time, window time.Duration) time.Duration {
	var all []time.Duration
	for ; !from.Add(window).After(to); from = from.Add(window) {
		if p := v.p99(from, from.Add(window)); p > 0 {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return v.p99(from, to)
	}
	return median(all)
}

// busy is how much longer work takes on this machine at present than it would if nobody
// else were at work: the measure of everything that is said here about time. It takes up
// to a second.
func busy() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const ofThisThread = 1
	worked := func() time.Duration {
		var usage syscall.Rusage
		if syscall.Getrusage(ofThisThread, &usage) != nil {
			return 0
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	from, before := time.Now(), worked()
	for text := make([]byte, 1<<20); time.Since(from) < time.Second/2 || worked()-before < 50*time.Millisecond && time.Since(from) < time.Second; {
		sha256.Sum256(text)
	}
	if n := worked() - before; n > 0 {
		return max(1, float64(time.Since(from))/float64(n))
	}
	return 1
}
