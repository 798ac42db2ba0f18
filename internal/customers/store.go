package customers

import (
	"context"
	"errors"
	"time"
)

// State is where a record stands in the protocol.
type State string

// Reserved: the key is written down and Stripe may have been called. Active:
// the customer is known.
const (
	Reserved State = "reserved"
	Active   State = "active"
)

// ErrNoRecord says that the store holds nothing for the owner. It is an answer;
// any other error is not.
var ErrNoRecord = errors.New("no record of this owner")

// ErrChanged says that somebody else moved the record on since it was read.
var ErrChanged = errors.New("the record has changed")

// Record is an owner's row. Times are zero until they happen.
type Record struct {
	Owner      Owner
	Generation int
	State      State
	// CustomerID is set if and only if the record is Active.
	CustomerID string
	// IdempotencyKey, Params and Version are frozen when the row is written and
	// sent as they are on every try: Stripe refuses a key with other parameters.
	IdempotencyKey string
	// Params is the form-encoded body of the create call.
	Params string
	// Version is the Stripe-Version of the create call.
	Version string
	// KeySpent is set once Stripe replays an error for the key: another send is useless.
	KeySpent       bool
	ReservedAt     time.Time
	FirstAttemptAt time.Time
	LastAttemptAt  time.Time
}

// Store keeps records. Every method commits durably before it returns without
// error, and every error but the ones named means that nothing is known.
type Store interface {
	// Find returns the owner's record, or ErrNoRecord.
	Find(ctx context.Context, owner Owner) (Record, error)
	// Reserve writes r unless the owner has a record, and returns the one that
	// then stands. Of any number of concurrent calls exactly one writes.
	Reserve(ctx context.Context, r Record) (Record, error)
	// Attempt notes at as the time of a send. It fails with ErrChanged unless
	// the record is still reserved, in r's generation, and its key not spent.
	// LastAttemptAt only grows, by a millisecond at least: Supersede tells by it
	// that there was an attempt, even where clocks stand still or differ.
	Attempt(ctx context.Context, r Record, at time.Time) (Record, error)
	// Activate records the customer of a reserved record of r's generation and
	// returns the record that then stands: the winner's, if another was first.
	Activate(ctx context.Context, r Record, customerID string) (Record, error)
	// SpendKey notes that r's key can make nothing any more. ErrChanged as in Attempt.
	SpendKey(ctx context.Context, r Record) (Record, error)
	// Supersede replaces a reserved record by next, a reservation of the following
	// generation, unless anything was attempted since r was read (ErrChanged).
	Supersede(ctx context.Context, r, next Record) (Record, error)
}

// NewCustomer is a create call to Stripe.
type NewCustomer struct {
	IdempotencyKey string
	Params         string
	Version        string
	Livemode       bool
}

// Created is Stripe's answer to it.
type Created struct {
	ID string
	// Replayed says that the key had been used before.
	Replayed bool
}

// Listed is a customer seen while looking for one that may have been created.
type Listed struct {
	ID       string
	Metadata map[string]string
}

// Stripe is what the protocol asks of Stripe. Errors are *problem.Error and may
// also satisfy the two interfaces below.
type Stripe interface {
	// CreateCustomer sends the frozen call. A nil error means that the answer was
	// checked: it is a customer of the right mode with the metadata that was sent.
	CreateCustomer(ctx context.Context, c NewCustomer) (Created, error)
	// CustomersCreated returns one page of the customers created in [from, to],
	// newest first, starting after the id after (or at the first for ""), and
	// whether there are more.
	CustomersCreated(ctx context.Context, from, to time.Time, after string) ([]Listed, bool, error)
}

// keySpentError is an error that Stripe replays for this key from now on.
type keySpentError interface {
	error
	KeySpent() bool
}

// keyInUseError says that another call with this key is running right now.
type keyInUseError interface {
	error
	KeyInUse() bool
}

func isKeySpent(err error) bool {
	e, ok := errors.AsType[keySpentError](err)
	return ok && e.KeySpent()
}

func isKeyInUse(err error) bool {
	e, ok := errors.AsType[keyInUseError](err)
	return ok && e.KeyInUse()
}
