package customers_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"till/internal/customers"
	"till/internal/problem"
)

// accident is what happens to one create call on its way.
type accident int

const (
	allWell        accident = iota
	neverArrives            // refused connection: Stripe knows nothing of it
	failsFirst              // 500 before anything is created, stored under the key
	failsLast               // created, then 500, stored under the key
	silence                 // created, stored, and the answer is lost
	arrivesLate             // the answer is lost, and Stripe acts only after delay
	answersLate             // Stripe acts at once and answers after delay
	neverCompletes          // Stripe holds the connection until the caller gives up
	refusesForever          // 400: the same for every try
	takesItForever          // in use, without ever telling of an end
)

// fakeStripe keeps customers and idempotency keys as Stripe does: the first
// answer to a key is stored, be it a 500, and replayed until it is pruned.
type fakeStripe struct {
	now func() time.Time
	// keyLife is when keys are pruned, pageSize what a list returns at once.
	keyLife  time.Duration
	pageSize int
	delay    func() time.Duration
	// create and list say what happens to the next call; nil means nothing. tell and
	// life come before the other calls.
	create func(ctx context.Context) accident
	list   func(ctx context.Context) error
	clock  func(ctx context.Context) error
	tell   func(ctx context.Context) error
	life   func(ctx context.Context) (customers.Life, error)
	// read is what was learnt of the time, and asked how often it was asked for.
	read  func() (customers.Moment, bool)
	asked int

	late sync.WaitGroup

	mu        sync.Mutex
	customers []fakeCustomer // oldest first
	keys      map[string]*fakeKey
	sent      []customers.NewCustomer
	told      []customers.Profile
	toldTo    []string // whom, beside told
	lists     int
	lives     int // how often a customer's life was asked for
}

type fakeCustomer struct {
	ID       string
	Created  int64
	Livemode bool
	Deleted  bool
	Metadata map[string]string
}

type fakeKey struct {
	call  customers.NewCustomer
	since time.Time
	busy  bool
	// The stored answer: a customer, or a failure.
	id  string
	err *stripeError
}

// stripeError is what stripeclient's error is to this package.
type stripeError struct {
	text                  string
	spent, inUse, refused bool
}

func (e *stripeError) Error() string  { return e.text }
func (e *stripeError) KeySpent() bool { return e.spent }
func (e *stripeError) KeyInUse() bool { return e.inUse }
func (e *stripeError) Refused() bool  { return e.refused }

func newFakeStripe(now func() time.Time) *fakeStripe {
	return &fakeStripe{now: now, keyLife: 24 * time.Hour, pageSize: 100, keys: map[string]*fakeKey{}}
}

func upstream(code problem.Code, err error) error { return &problem.Error{Code: code, Err: err} }

// CreateCustomer implements customers.Stripe.
func (f *fakeStripe) CreateCustomer(ctx context.Context, c customers.NewCustomer) (customers.Created, error) {
	f.mu.Lock()
	f.sent = append(f.sent, c)
	f.mu.Unlock()
	what := allWell
	if f.create != nil {
		what = f.create(ctx)
	}
	timeout := upstream(problem.UpstreamTimeout, context.DeadlineExceeded)
	switch what {
	case neverArrives:
		return customers.Created{}, upstream(problem.UpstreamError, errors.New("connection refused"))
	case refusesForever:
		return customers.Created{}, upstream(problem.UpstreamError, &stripeError{text: "idempotency_error"})
	case takesItForever:
		return customers.Created{}, upstream(problem.DependencyUnavailable, &stripeError{text: "idempotency_key_in_use", inUse: true})
	case neverCompletes:
		<-ctx.Done()
		return customers.Created{}, timeout
	case arrivesLate:
		f.late.Go(func() {
			time.Sleep(f.delay())
			_, _ = f.execute(c, allWell, 0)
		})
		return customers.Created{}, timeout
	case silence:
		_, _ = f.execute(c, allWell, 0)
		return customers.Created{}, timeout
	case answersLate:
		return f.execute(c, allWell, f.delay())
	default:
		return f.execute(c, what, 0)
	}
}

// execute is the call at Stripe's end, whatever becomes of the answer.
func (f *fakeStripe) execute(c customers.NewCustomer, what accident, delay time.Duration) (customers.Created, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	maps.DeleteFunc(f.keys, func(_ string, k *fakeKey) bool { return !k.busy && now.Sub(k.since) >= f.keyLife })
	if k, ok := f.keys[c.IdempotencyKey]; ok {
		switch {
		case k.call != c:
			return customers.Created{}, upstream(problem.UpstreamError, &stripeError{text: "idempotency_error"})
		case k.busy:
			return customers.Created{}, upstream(problem.DependencyUnavailable, &stripeError{text: "idempotency_key_in_use", inUse: true})
		case k.err != nil:
			return customers.Created{}, upstream(problem.UpstreamError, &stripeError{text: "500, replayed", spent: true})
		default:
			return customers.Created{ID: k.id, Replayed: true}, nil
		}
	}
	k := &fakeKey{call: c, since: now}
	f.keys[c.IdempotencyKey] = k
	if delay > 0 {
		k.busy = true
		f.mu.Unlock()
		time.Sleep(delay)
		f.mu.Lock()
		k.busy = false
	}
	if what != failsFirst {
		k.id = f.add(c.Livemode, metadataOf(c.Params))
	}
	if what == failsFirst || what == failsLast {
		k.err = &stripeError{text: "500"}
		return customers.Created{}, upstream(problem.UpstreamError, k.err)
	}
	return customers.Created{ID: k.id}, nil
}

// add creates a customer; f.mu is held.
func (f *fakeStripe) add(livemode bool, metadata map[string]string) string {
	id := fmt.Sprintf("cus_%04d", len(f.customers)+1)
	f.customers = append(f.customers, fakeCustomer{ID: id, Created: f.now().Unix(), Livemode: livemode, Metadata: metadata})
	return id
}

// have creates a customer that did not come through the calls above.
func (f *fakeStripe) have(metadata map[string]string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.add(true, metadata)
}

// CustomersCreated implements customers.Stripe.
func (f *fakeStripe) CustomersCreated(ctx context.Context, from, to time.Time, after string) ([]customers.Listed, bool, error) {
	f.mu.Lock()
	f.lists++
	f.mu.Unlock()
	if f.list != nil {
		if err := f.list(ctx); err != nil {
			return nil, false, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var page []customers.Listed
	started := after == ""
	for _, c := range slices.Backward(f.customers) {
		switch {
		case !started: // a deleted customer still is a place to go on from
			started = c.ID == after
		case c.Created < from.Unix() || c.Created > to.Unix()+1 || c.Deleted:
		case len(page) == f.pageSize:
			return page, true, nil
		default:
			page = append(page, customers.Listed{ID: c.ID, Metadata: c.Metadata})
		}
	}
	return page, false, nil
}

// Now implements customers.Stripe.
func (f *fakeStripe) Now() (customers.Moment, bool) {
	if f.read != nil {
		return f.read()
	}
	return customers.At(f.now()), true
}

// Time implements customers.Stripe.
func (f *fakeStripe) Time(ctx context.Context) (customers.Moment, error) {
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	if f.clock != nil {
		if err := f.clock(ctx); err != nil {
			return customers.Moment{}, err
		}
	}
	return customers.At(f.now()), nil
}

// CustomerLife implements customers.Stripe.
func (f *fakeStripe) CustomerLife(ctx context.Context, id string) (customers.Life, error) {
	f.mu.Lock()
	f.lives++
	f.mu.Unlock()
	if f.life != nil {
		return f.life(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.customers {
		if c.ID == id && c.Deleted {
			return customers.Deleted, nil
		}
		if c.ID == id {
			return customers.Alive, nil
		}
	}
	return customers.Missing, nil
}

// UpdateProfile implements customers.Stripe.
func (f *fakeStripe) UpdateProfile(ctx context.Context, id string, p customers.Profile) error {
	f.mu.Lock()
	f.told, f.toldTo = append(f.told, p), append(f.toldTo, id)
	f.mu.Unlock()
	if f.tell != nil {
		return f.tell(ctx)
	}
	return nil
}

// loses deletes the customer.
func (f *fakeStripe) loses(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.customers {
		if c.ID == id {
			f.customers[i].Deleted = true
		}
	}
}

func metadataOf(params string) map[string]string {
	form, err := url.ParseQuery(params)
	if err != nil {
		panic(err)
	}
	m := map[string]string{}
	for name, values := range form {
		m[strings.TrimSuffix(strings.TrimPrefix(name, "metadata["), "]")] = values[0]
	}
	return m
}

// keysSent returns the idempotency keys in the order of their first use.
func (f *fakeStripe) keysSent() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, c := range f.sent {
		if !slices.Contains(all, c.IdempotencyKey) {
			all = append(all, c.IdempotencyKey)
		}
	}
	return all
}

// calls returns how many creates were sent, how many lists were asked for, and
// how many customers exist.
func (f *fakeStripe) calls() (creates, lists, existing int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent), f.lists, len(f.customers)
}

// ofOwner returns the customers that carry the owner's plain metadata.
func (f *fakeStripe) ofOwner(o customers.Owner) (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.customers {
		m := c.Metadata
		if m["till_issuer"] == o.Issuer && m["till_kind"] == string(o.Kind) && m["till_subject"] == o.Subject && c.Livemode == o.Livemode {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
