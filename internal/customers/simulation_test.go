package customers_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
	"till/internal/problem"
	"till/internal/store/storetest"
)

var (
	simulationSeed  = flag.Uint64("simulation.seed", 0, "run the simulation of this seed alone")
	simulationSeeds = flag.Uint64("simulation.seeds", 2000, "how many seeds to simulate; a tenth with -short")
)

// Several processes on one database and one Stripe, everything failing at random,
// hours passing in between. Whatever happened: nobody is ever told of two
// customers (safety), and once the faults stop everybody ends with exactly one
// (liveness).
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simulationSeed != 0 {
		simulate(t, *simulationSeed)
		return
	}
	seeds := *simulationSeeds
	if testing.Short() {
		seeds /= 10
	}
	const lanes = 4
	for lane := range uint64(lanes) {
		t.Run(strconv.FormatUint(lane, 10), func(t *testing.T) {
			t.Parallel()
			for seed := lane + 1; seed <= seeds && !t.Failed(); seed += lanes {
				simulate(t, seed)
			}
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, seed)
		s.run()
		s.settle()
		if t.Failed() {
			t.Logf("again with: go test ./internal/customers -run Simulation -simulation.seed=%d", seed)
		}
	})
}

// simulation runs in the time of a synctest bubble, where every operation takes a
// random time of its own: the seed decides the order of nearly everything. (Not
// the jitter of waiting for a key in use.) Hours pass by moving offset, and only
// while nothing runs: a process that sleeps for hours in the middle of a call is
// beyond what any client of Stripe can guard against.
type simulation struct {
	t      *testing.T
	seed   uint64
	memory *storetest.Memory
	stripe *fakeStripe
	owners []customers.Owner
	skew   time.Duration // Stripe's clock against ours

	mu        sync.Mutex
	rng       *rand.Rand
	offset    time.Duration
	faults    float64 // the share of operations that fail
	answered  map[customers.Owner]map[string]bool
	processes []*simulatedProcess
}

// simulatedProcess can die: all it does from then on fails without effect.
type simulatedProcess struct {
	*customers.Service
	s    *simulation
	dead bool
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		t: t, seed: seed, memory: storetest.NewMemory(),
		rng:      rand.New(rand.NewPCG(seed, 0)),
		answered: map[customers.Owner]map[string]bool{},
	}
	s.skew = time.Duration(s.rng.Int64N(int64(8*time.Minute))) - 4*time.Minute
	s.faults = s.rng.Float64() * 0.6
	s.stripe = newFakeStripe(func() time.Time { return s.now().Add(s.skew) })
	s.stripe.pageSize = 1 + s.rng.IntN(10)
	s.stripe.delay = func() time.Duration { return time.Duration(s.random(int64(20 * time.Second))) }
	s.stripe.create = func(context.Context) accident { return s.accident() }
	s.stripe.list = func(context.Context) error {
		s.pause(time.Second)
		if s.chance(s.rate()) {
			return upstream(problem.UpstreamError, errors.New("500"))
		}
		return nil
	}
	s.stripe.clock = s.stripe.list
	for i := range 1 + s.rng.IntN(3) {
		s.owners = append(s.owners, storetest.Owner("user-"+strconv.Itoa(i)))
	}
	for range 1 + s.rng.IntN(3) {
		s.processes = append(s.processes, s.start())
	}
	return s
}

func (s *simulation) start() *simulatedProcess {
	p := &simulatedProcess{s: s}
	service, err := customers.New(storetest.Faulty{Store: s.memory, Next: p.store}, dyingStripe{p}, prometheus.NewRegistry(),
		customers.Options{CacheSize: 10, CacheAge: time.Duration(1+s.rng.IntN(60)) * time.Second, Version: "2023-10-16"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(service.Close)
	p.Service = service
	return p
}

func (s *simulation) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.offset)
}

func (s *simulation) random(n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Int64N(n)
}

func (s *simulation) chance(p float64) bool { return float64(s.random(1_000_000)) < p*1_000_000 }

func (s *simulation) rate() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

func (s *simulation) pause(most time.Duration) { time.Sleep(time.Duration(1 + s.random(int64(most)))) }

func (s *simulation) accident() accident {
	s.pause(2 * time.Second)
	if !s.chance(s.rate()) {
		return allWell
	}
	all := []accident{neverArrives, failsFirst, failsLast, silence, arrivesLate, answersLate, neverCompletes, takesItForever}
	return all[s.random(int64(len(all)))]
}

// store is what goes wrong with one operation of the database.
func (p *simulatedProcess) store(context.Context, storetest.Operation) storetest.Fault {
	p.s.pause(200 * time.Millisecond)
	if p.isDead() {
		return storetest.Before
	}
	if !p.s.chance(p.s.rate() / 2) {
		return storetest.None
	}
	if p.s.chance(0.3) {
		p.die() // after the fault: the effect may be there, the answer never is
	}
	return []storetest.Fault{storetest.Before, storetest.After}[p.s.random(2)]
}

func (p *simulatedProcess) isDead() bool { p.s.mu.Lock(); defer p.s.mu.Unlock(); return p.dead }
func (p *simulatedProcess) die()         { p.s.mu.Lock(); defer p.s.mu.Unlock(); p.dead = true }

// dyingStripe is the process's way to Stripe.
type dyingStripe struct{ p *simulatedProcess }

var errDead = errors.New("the process has died")

func (d dyingStripe) CreateCustomer(ctx context.Context, c customers.NewCustomer) (customers.Created, error) {
	if d.p.isDead() {
		return customers.Created{}, errDead
	}
	created, err := d.p.s.stripe.CreateCustomer(ctx, c)
	if d.p.isDead() {
		return customers.Created{}, errDead
	}
	return created, err
}

func (d dyingStripe) CustomersCreated(ctx context.Context, from, to time.Time, after string) ([]customers.Listed, bool, error) {
	if d.p.isDead() {
		return nil, false, errDead
	}
	return d.p.s.stripe.CustomersCreated(ctx, from, to, after)
}

// run is the time of trouble.
func (s *simulation) run() {
	for range 1 + s.rng.IntN(4) {
		var wg sync.WaitGroup
		for _, p := range s.processes {
			for range 1 + s.random(2) {
				wg.Go(func() { s.visitors(p) })
			}
		}
		wg.Wait()
		s.quiet()
		hours := []time.Duration{0, 30 * time.Second, 61 * time.Second, 10 * time.Minute, 22*time.Hour + 55*time.Minute, 24 * time.Hour, 25 * time.Hour, 60 * time.Hour}
		passed := hours[s.random(int64(len(hours)))]
		if s.chance(0.3) {
			// Keys grow too old while the next visitors are at work.
			passed = 23*time.Hour - 30*time.Second - time.Duration(s.random(int64(90*time.Second)))
		}
		s.pass(passed)
		for i, p := range s.processes {
			if p.isDead() {
				s.processes[i] = s.start()
			}
		}
	}
}

// visitors come to one process one after the other; some do not wait.
func (s *simulation) visitors(p *simulatedProcess) {
	for range 1 + s.random(4) {
		owner := s.owners[s.random(int64(len(s.owners)))]
		ctx, cancel := s.t.Context(), context.CancelFunc(func() {})
		if s.chance(0.2) {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(s.random(int64(5*time.Second))))
		}
		c, err := p.Ensure(ctx, owner)
		cancel()
		if _, ok := errors.AsType[*problem.Error](err); err != nil && !ok {
			s.t.Errorf("an error that is no problem: %v", err)
		}
		if err == nil {
			s.told(owner, c.ID)
		}
		s.pause([]time.Duration{time.Second, 20 * time.Second}[s.random(2)])
	}
}

func (s *simulation) told(owner customers.Owner, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answered[owner] == nil {
		s.answered[owner] = map[string]bool{}
	}
	s.answered[owner][id] = true
}

// quiet waits until nothing runs any more, here or at Stripe.
func (s *simulation) quiet() {
	time.Sleep(13 * time.Second) // work whose callers have gone
	s.stripe.late.Wait()
	time.Sleep(21 * time.Second)
}

func (s *simulation) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
}

// settle stops the faults and holds the promises.
func (s *simulation) settle() {
	s.mu.Lock()
	s.faults = 0
	s.mu.Unlock()
	for _, owner := range s.owners {
		var ids []string
		for _, p := range append(s.processes, s.start()) {
			if p.isDead() {
				p = s.start()
			}
			id, err := s.persist(p, owner)
			if err != nil {
				s.t.Errorf("seed %d: %s is stuck: %v", s.seed, owner.Subject, err)
				return
			}
			ids = append(ids, id)
			s.told(owner, id)
		}
		r, err := s.memory.Find(s.t.Context(), owner)
		if err != nil || r.State != customers.Active || r.CustomerID != ids[0] {
			s.t.Errorf("seed %d: got %+v, %v, want %s active", s.seed, r, err, ids[0])
		}
		if have := s.stripe.ofOwner(owner); len(have) != 1 || have[0] != ids[0] || len(s.answered[owner]) != 1 {
			s.t.Errorf("seed %d: %s has %v at Stripe, was told of %v, and ended with %v",
				s.seed, owner.Subject, have, s.answered[owner], ids)
		}
	}
	if got, most := len(s.memory.Records()), len(s.owners); got != most {
		s.t.Errorf("seed %d: got %d rows for %d owners", s.seed, got, most)
	}
}

// persist does what a caller does who obeys Retry-After: three tries at most.
func (s *simulation) persist(p *simulatedProcess, owner customers.Owner) (id string, err error) {
	for range 3 {
		c, failure := p.Ensure(s.t.Context(), owner)
		if failure == nil {
			return c.ID, nil
		}
		err = failure
		again, _ := errors.AsType[*problem.Error](err)
		if again == nil || again.RetryAfter > 61*time.Second {
			return "", fmt.Errorf("told to wait for too long: %w", err)
		}
		s.pass(again.RetryAfter)
	}
	return "", err
}

func (d dyingStripe) Now() (customers.Moment, bool) { return d.p.s.stripe.Now() }

func (d dyingStripe) Time(ctx context.Context) (customers.Moment, error) {
	if d.p.isDead() {
		return customers.Moment{}, errDead
	}
	return d.p.s.stripe.Time(ctx)
}

func (d dyingStripe) CustomerLife(ctx context.Context, id string) (customers.Life, error) {
	if d.p.isDead() {
		return customers.Alive, errDead
	}
	return d.p.s.stripe.CustomerLife(ctx, id)
}

func (d dyingStripe) UpdateProfile(ctx context.Context, id string, p customers.Profile) error {
	return d.p.s.stripe.UpdateProfile(ctx, id, p)
}
