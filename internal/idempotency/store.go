package idempotency

import (
	"context"
	"errors"
	"time"
)

// ErrNoRecord says that the store has no row of this id, or none whose time is not
// over. It is an answer; any other error is not.
var ErrNoRecord = errors.New("no record of this key")

// ErrChanged says that the row is not as it was read, or that somebody has the lease.
var ErrChanged = errors.New("the record has changed")

// Frozen is what a request asks of Stripe, as it was decided when it came first. It
// holds nothing that opens a session: Stripe's answer is asked for again.
type Frozen struct {
	// Params are Stripe's parameters, in a form of the user's.
	Params string
	// Version is the Stripe-Version.
	Version string
	// Customer is the id of the customer they name.
	Customer string
	// Session is the id of a session that was there already: it is the answer, and
	// nothing is made. Else "".
	Session string
}

// Record is the row of one key. Times are the store's own: callers give lengths.
type Record struct {
	ID string
	// Body is a hash of the request's body.
	Body string
	Frozen
	// StripeKey is the idempotency key at Stripe.
	StripeKey string
	// Holder is who has, or last had, the lease.
	Holder string
	// Done says that Stripe has answered with a session.
	Done bool
	// Running says that the holder's lease is not over. Only Find sets it.
	Running bool
}

// Store keeps records. Every method commits durably before it returns without error,
// and every error but the ones named means that nothing is known. Of concurrent calls
// that exclude each other one succeeds. A row whose time is over is as good as none.
type Store interface {
	// Find returns the row, or ErrNoRecord.
	Find(ctx context.Context, id string) (Record, error)
	// Put writes r, which r.Holder holds for the length of lease, and which is kept for
	// the length of keep. ErrChanged when there is a row.
	Put(ctx context.Context, r Record, lease, keep time.Duration) error
	// Take gives the lease of r to holder. ErrChanged when the row is done, has another
	// StripeKey or Body than r, or a lease that is not over.
	Take(ctx context.Context, r Record, holder string, lease time.Duration) error
	// Renew gives the row another key at Stripe. ErrChanged unless r.Holder is still the
	// holder, StripeKey is r's, and the last renewal is at least the length of every ago.
	Renew(ctx context.Context, r Record, stripeKey string, every time.Duration) error
	// Release ends the lease, Finish also notes that the row is done, and Drop removes
	// the row. All three do nothing unless r.Holder is still the holder.
	Release(ctx context.Context, r Record) error
	Finish(ctx context.Context, r Record) error
	Drop(ctx context.Context, r Record) error
	// Purge removes at most limit rows whose time is over, those that are over for the
	// longest first, and returns how many.
	Purge(ctx context.Context, limit int) (int, error)
}
