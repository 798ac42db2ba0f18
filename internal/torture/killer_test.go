//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// killer kills random processes of a fleet while a race runs, as far as the race has come:
// so all kills fall into the race, however fast the machine is.
type killer struct {
	fleet *fleet
	dice  *rand.Rand
	done  atomic.Int64
	errs  []error
}

// run makes n kills; progress goes from 0 to 1. It ends early with ctx.
func (k *killer) run(ctx context.Context, n int, progress func() float64) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	busy := map[*slot]bool{}
	for i := 0; i < n && ctx.Err() == nil; {
		mu.Lock()
		victim := k.fleet.slots[k.dice.IntN(len(k.fleet.slots))]
		// One at least stays up, else there is a pause and no race.
		wait := progress() < float64(i)/float64(n) || busy[victim] || len(busy) >= max(1, len(k.fleet.slots)-1)
		if !wait {
			busy[victim] = true
		}
		mu.Unlock()
		if wait {
			pause(ctx)
			continue
		}
		i++
		wg.Go(func() {
			err := victim.restart(ctx)
			k.done.Add(1)
			mu.Lock()
			defer mu.Unlock()
			delete(busy, victim)
			if err != nil {
				k.errs = append(k.errs, err)
			}
		})
	}
	wg.Wait()
}

func (k *killer) err() error { return errors.Join(k.errs...) }
