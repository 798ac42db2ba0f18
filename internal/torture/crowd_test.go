//go:build torture && linux

package torture_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"till/internal/customers"
)

// crowd is many owners whose people all come at once, for the first time.
type crowd struct {
	fleet   *fleet
	owners  []owner
	members int // who come at once, of each
	window  int // owners at once
	seen    *seen

	finished, gaveUp atomic.Int64
}

func (c *crowd) total() int        { return len(c.owners) * c.members }
func (c *crowd) progress() float64 { return float64(c.finished.Load()) / float64(c.total()) }

// race lets them all come. admit says whether the next owner may, and holds him back.
func (c *crowd) race(ctx context.Context, admit func(done float64)) error {
	tokens, err := c.tokens()
	if err != nil {
		return err
	}
	places := make(chan struct{}, c.window)
	var wg sync.WaitGroup
	for i, o := range c.owners {
		admit(float64(i) / float64(len(c.owners)))
		places <- struct{}{}
		wg.Go(func() {
			c.click(ctx, o, tokens[i])
			<-places
		})
	}
	wg.Wait()
	return ctx.Err()
}

// flow lets new owners come, a few at a time, until the context ends, and then waits for
// those who are there. It is for events that take their time.
func (c *crowd) flow(ctx, arrivals context.Context, prefix string) error {
	places := make(chan struct{}, c.window)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := 0; arrivals.Err() == nil; i++ {
		o := owner{customers.KindUser, fmt.Sprint(prefix, i)}
		c.owners = append(c.owners, o)
		var tokens []string
		for member := range c.members {
			token, err := o.token(c.fleet.issuer, member)
			if err != nil {
				return err
			}
			tokens = append(tokens, token)
		}
		places <- struct{}{}
		wg.Go(func() {
			c.click(ctx, o, tokens)
			<-places
		})
		wait(arrivals, 10*time.Millisecond) // a crowd, and no flood: the event takes seconds
	}
	return nil
}

// click is one owner's people, at the same moment.
func (c *crowd) click(ctx context.Context, o owner, tokens []string) {
	var wg sync.WaitGroup
	now := make(chan struct{})
	for member, token := range tokens {
		wg.Go(func() {
			<-now
			if !c.fleet.insist(ctx, c.seen, o, token, dice(fmt.Sprint(o, member))) {
				c.gaveUp.Add(1)
			}
			c.finished.Add(1)
		})
	}
	close(now)
	wg.Wait()
}

func (c *crowd) tokens() ([][]string, error) {
	all := make([][]string, len(c.owners))
	for i, o := range c.owners {
		for member := range c.members {
			token, err := o.token(c.fleet.issuer, member)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], token)
		}
	}
	return all, nil
}

// once lets every owner make one more request and no second one; those who are not
// served are returned. at chooses the process.
func (c *crowd) once(ctx context.Context, at func(i int) string) ([]string, error) {
	var mu sync.Mutex
	var stuck []string
	places := make(chan struct{}, 32)
	var wg sync.WaitGroup
	for i, o := range c.owners {
		token, err := o.token(c.fleet.issuer, 0)
		if err != nil {
			return nil, err
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			got := ask(ctx, at(i), token, false)
			c.seen.note(o, got, 0)
			if got.customer == "" {
				mu.Lock()
				stuck = append(stuck, fmt.Sprintf("%s: %s %s", o, got.status, got.odd))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return stuck, nil
}
