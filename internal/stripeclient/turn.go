package stripeclient

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"till/internal/ratelimit"
)

// endpoint is what Stripe limits the rate of: a method and a path, whatever the id in it.
// Each operation has its own, but for the two that read the same list.
func (op operation) endpoint() string {
	if op == opClock {
		return string(opCustomerList)
	}
	return string(op)
}

// Endpoints returns the names of those of Stripe's endpoints that calls are made to.
func Endpoints() []string {
	var all []string
	for _, op := range operations {
		all = append(all, op.endpoint())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// AccountLimit is how many calls a second Stripe takes for all endpoints together, if it
// takes perEndpoint for each: four times as many in live mode (100 and 25, as published),
// and in test mode no more.
func AccountLimit(perEndpoint int, livemode bool) int {
	if livemode {
		return 4 * perEndpoint
	}
	return perEndpoint
}

// admit waits until a try may be sent: queueing here is cheaper for everybody than being
// refused by Stripe. At least half of the call's time is left for Stripe.
func (c *Client) admit(ctx context.Context, op operation, start time.Time) *Error {
	turn := c.turns[op]
	if turn == nil {
		return nil
	}
	longest := c.o.Deadline/2 - time.Since(start)
	if end, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(end)/2)
	}
	err := turn.Wait(ctx, max(0, longest))
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Operation: op, outcome: outcomeCanceled, nothing: true, Err: context.Canceled}
	}
	failure := &Error{Operation: op, outcome: outcomeQueue, nothing: true, wait: time.Second, Err: err}
	if refusal, ok := errors.AsType[*ratelimit.Refusal](err); ok {
		failure.wait = max(time.Second, refusal.RetryAfter)
	}
	return failure
}

// heed slows down where Stripe says that there are too many calls. A limit of one object
// is none of an endpoint's.
func (c *Client) heed(failure *Error, limited string) {
	if failure.outcome != outcomeRateLimited || failure.replayed || limited == "resource-specific" {
		return
	}
	c.turns[failure.Operation].Limited(strings.HasPrefix(limited, "global-"))
}
