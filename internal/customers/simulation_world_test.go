package customers_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/store/storetest"
)

// simulation is one run: several processes on one database and one Stripe, in the
// time of a bubble. Nothing in it is guarded by a lock: only one goroutine acts at
// any instant.
type simulation struct {
	turns
	promises
	record

	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	begin time.Time

	plan   plan
	owners []customers.Owner
	rates  rates
	outage accident // what becomes of all create calls
	over   bool     // the faults have ended

	stripe    *fakeStripe
	suspended time.Duration // how long the hosts have stood still
	deletions int           // how many are still to come

	db database
	// backup and backedUp are yesterday's, and when that was by Stripe's clock.
	backup   state
	backedUp time.Time
	// unknownSince is since when the database may have forgotten what Stripe has, by
	// Stripe's clock, and lostAt when it did.
	unknownSince time.Time
	lostAt       time.Time

	processes []*process
	lives     int
	sweeping  bool
	sweepers  sync.WaitGroup
	rests     []context.CancelFunc // of the sweepers
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), begin: time.Now(),
		promises: newPromises(), record: newRecord(), db: database{Memory: storetest.NewMemory()},
	}
	s.plan = s.drawPlan()
	s.rates, s.deletions, s.sweeping = s.plan.rates, s.plan.deletions, s.plan.sweepers
	s.stripe = newFakeStripe(s.stripeTime)
	s.wrote()
	for i := range s.plan.owners {
		s.owners = append(s.owners, s.owner(i))
	}
	for i := range s.plan.replicas {
		s.processes = append(s.processes, s.start(i))
	}
	return s
}

// owner returns the i-th owner. Every second one differs from the one before in
// nothing but the kind.
func (s *simulation) owner(i int) customers.Owner {
	o := storetest.Owner("user-" + strconv.Itoa(i/2))
	o.Livemode = s.plan.livemode
	if i%2 == 1 {
		o.Kind = customers.KindOrg
	}
	return o
}

// short is the owner's name in traces and e-mail addresses.
func short(o customers.Owner) string {
	if o.Subject == "" {
		return ""
	}
	return string(o.Kind[0]) + o.Subject[len("user-"):]
}

func (s *simulation) account() customers.Account { return s.owners[0].Account }

// ownerOf returns whom a customer's metadata names.
func (s *simulation) ownerOf(m map[string]string) customers.Owner {
	for _, o := range s.owners {
		if m["till_issuer"] == o.Issuer && m["till_kind"] == string(o.Kind) && m["till_subject"] == s.plan.form.Apply(o.Subject) {
			return o
		}
	}
	return customers.Owner{}
}

// atStripe returns all customers there are, the oldest first.
func (s *simulation) atStripe() []fakeCustomer {
	s.stripe.mu.Lock()
	defer s.stripe.mu.Unlock()
	return s.stripe.customers
}

func (s *simulation) customer(id string) (fakeCustomer, bool) {
	for _, c := range s.atStripe() {
		if c.ID == id {
			return c, true
		}
	}
	return fakeCustomer{}, false
}

// living returns the owner's customers that nobody deleted, the oldest first.
func (s *simulation) living(owner customers.Owner) (ids []string) {
	for _, c := range s.atStripe() {
		if !c.Deleted && s.ownerOf(c.Metadata) == owner {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
