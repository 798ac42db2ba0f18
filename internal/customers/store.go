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

// ErrTaken says that the customer belongs to another owner.
var ErrTaken = errors.New("the customer belongs to another owner")

// Moment is a time of Stripe's clock, as far as it is known here: it lies
// between the two. The protocol knows no other clock, so neither a wrong one on
// this host nor replicas that differ can move a window or age a key.
type Moment struct{ Earliest, Latest time.Time }

// At is a moment that is known exactly.
func At(t time.Time) Moment { return Moment{t, t} }

// Record is an owner's row. Times are Stripe's, and zero until they happen.
type Record struct {
	Owner Owner
	// Generation counts the reservations of the owner, from 1.
	Generation int
	State      State
	// CustomerID is set if and only if the record is Active.
	CustomerID string
	// IsAccount says that CustomerID is an account's, see Customer.
	IsAccount bool
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
	// HealedAt is when a customer that was gone at Stripe was last replaced.
	HealedAt time.Time
	// Sent is what the customer was last told of the person.
	Sent Sent
}

// Sent are fingerprints of the e-mail address and the name that a customer was
// last told; empty for what was never sent.
type Sent struct{ Email, Name string }

// Customer returns the record's customer.
func (r Record) Customer() Customer {
	return Customer{ID: r.CustomerID, IsAccount: r.IsAccount, Generation: r.Generation, Sent: r.Sent}
}

// Store keeps records. Every method commits durably before it returns without
// error, and every error but the ones named means that nothing is known.
type Store interface {
	// Find returns the owner's record, or ErrNoRecord.
	Find(ctx context.Context, owner Owner) (Record, error)
	// Reserve writes r unless the owner has a record, and returns the one that
	// then stands. Of any number of concurrent calls exactly one writes.
	Reserve(ctx context.Context, r Record) (Record, error)
	// Attempt notes at as the time of a send: the earliest of the first one, the
	// latest of the last. It fails with ErrChanged unless the record is still
	// reserved, in r's generation, and its key not spent. LastAttemptAt only grows,
	// by a millisecond at least: Supersede tells by it that there was an attempt,
	// even where clocks stand still or differ.
	Attempt(ctx context.Context, r Record, at Moment) (Record, error)
	// Activate records the customer of a reserved record of r's generation and
	// returns the record that then stands: the winner's, if another was first. The
	// record takes c's generation, which is r's or a later one (a customer of a
	// later one was found at Stripe). ErrTaken when another owner has the customer.
	Activate(ctx context.Context, r Record, c Customer) (Record, error)
	// SpendKey notes that r's key can make nothing any more. ErrChanged as in Attempt.
	SpendKey(ctx context.Context, r Record) (Record, error)
	// Supersede replaces a reserved record by next, a reservation of the following
	// generation, unless anything was attempted since r was read (ErrChanged). The
	// time of the last healing stays.
	Supersede(ctx context.Context, r, next Record) (Record, error)
	// Heal replaces r, an active record whose customer is gone at Stripe, by next,
	// a reservation of the following generation with the time of the healing, and
	// forgets what was sent. ErrChanged unless the record is still active with r's
	// generation and customer.
	Heal(ctx context.Context, r, next Record) (Record, error)
	// NoteSent notes what the owner's customer was told. It does nothing unless
	// the owner's record is active with that customer.
	NoteSent(ctx context.Context, owner Owner, customerID string, sent Sent) error
	// Found returns the customer that a reconciliation found at Stripe for an owner
	// without a record, or ErrNoRecord. subject is as Stripe has it.
	Found(ctx context.Context, owner Owner, subject string) (Customer, error)
	// Due returns at most limit reserved records of the account of which nothing
	// was heard since before: neither the reservation nor an attempt. The longest
	// silence comes first.
	Due(ctx context.Context, account Account, before time.Time, limit int) ([]Record, error)
	// CountReserved returns how many records of the account are reserved since t
	// or longer.
	CountReserved(ctx context.Context, account Account, t time.Time) (int, error)
	// CountActive returns how many owners of the account have a customer.
	CountActive(ctx context.Context, account Account) (int, error)
}

// Ledger is what a reconciliation asks of the store besides.
type Ledger interface {
	Store
	// Page returns at most limit records of the account, in an order of the
	// store's, that follow the owner after; the zero Owner is before all.
	Page(ctx context.Context, account Account, after Owner, limit int) ([]Record, error)
	// Replace gives r, an active record, the customer c of a later generation.
	// ErrChanged unless the record is still active with r's generation and customer,
	// ErrTaken as in Activate.
	Replace(ctx context.Context, r Record, c Customer) (Record, error)
	// Import writes r, a reservation, as an active record with the customer c, unless
	// the owner has a record, and returns the one that then stands. ErrTaken as in
	// Activate.
	Import(ctx context.Context, r Record, c Customer) (Record, error)
	// NoteFound keeps f for the day its owner comes. Of several for the same owner
	// the one of the latest generation stays, and of those the first.
	NoteFound(ctx context.Context, f Found) error
}

// Found is a customer at Stripe that no record explains.
type Found struct {
	Account
	Issuer string
	Kind   Kind
	// Subject is as Stripe has it: plain or hashed.
	Subject  string
	Customer Customer
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

// Life is what Stripe says of a customer's existence.
type Life int

// Alive: it can be used. Deleted: it was there and is no more. Missing: the
// account of the key has never had it.
const (
	Alive Life = iota
	Deleted
	Missing
)

// Stripe is what the protocol asks of Stripe. Errors are *problem.Error and may
// also satisfy the two interfaces below.
type Stripe interface {
	// Now returns Stripe's time by what its answers said of it, without a call;
	// false while there was no answer yet.
	Now() (Moment, bool)
	// Time asks Stripe for the time.
	Time(ctx context.Context) (Moment, error)
	// CreateCustomer sends the frozen call. A nil error means that the answer was
	// checked: it is a customer of the right mode with the metadata that was sent.
	CreateCustomer(ctx context.Context, c NewCustomer) (Created, error)
	// CustomersCreated returns one page of the customers created in [from, to],
	// newest first, starting after the id after (or at the first for ""), and
	// whether there are more.
	CustomersCreated(ctx context.Context, from, to time.Time, after string) ([]Listed, bool, error)
	// CustomerLife reports whether the customer with this id exists.
	CustomerLife(ctx context.Context, id string) (Life, error)
	// UpdateProfile tells the customer of the person's e-mail address and name;
	// empty ones are left as they are.
	UpdateProfile(ctx context.Context, id string, p Profile) error
}

// Profile is what a token says of a person.
type Profile struct{ Email, Name string }

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
