package customers_test

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/customers"
)

// process is one life of one replica.
type process struct {
	*customers.Service
	s    *simulation
	name string
	born time.Time
	// dead: whatever it does from now on fails without effect. The next life of the
	// replica begins at again.
	dead  bool
	again time.Time
	// stopped is how long it does nothing, like after a SIGSTOP: its operations wait,
	// before the effect and after, and its deadlines pass meanwhile.
	stopped time.Time
	clock   hostClock
	// created are the customers that Stripe answered a create call of it with.
	created map[string]bool
}

var (
	errDead = errors.New("the process has died")
	errLost = errors.New("the connection was lost")
)

// start begins a new life of the replica.
func (s *simulation) start(replica int) *process {
	s.lives++
	p := &process{s: s, name: "p" + strconv.Itoa(replica) + "." + strconv.Itoa(s.lives), born: time.Now(), created: map[string]bool{}}
	service, err := customers.New(connection{p}, line{p}, prometheus.NewRegistry(), customers.Options{
		SubjectForm: s.plan.form, Version: "2023-10-16", Jitter: p.jitter,
		// Evictions are the cache's goroutines' to decide, so there must be none.
		CacheSize: 100, CacheAge: s.plan.cacheAge,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	// The cache's ticker would wake the bubble once a second.
	service.Close()
	p.Service = service
	if s.sweeping {
		s.sweeps(p)
	}
	return p
}

// jitter is whole milliseconds, and no draw: Options.Jitter cannot know who asks.
func (p *process) jitter(d time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendInt([]byte(p.name), time.Now().UnixNano()^int64(p.s.seed), 10))
	return time.Duration(h.Sum64()%uint64(d/quantum+1)) * quantum
}

// sweeps runs the process's sweeper until the sweepers are stopped.
func (s *simulation) sweeps(p *process) {
	resting, rest := context.WithCancel(s.t.Context())
	s.rests = append(s.rests, rest)
	s.begins(&s.sweepers, "sweeper"+p.name[1:], func(ctx context.Context) {
		ctx = acting(resting, actorOf(ctx))
		err := p.Run(ctx, func() (customers.Account, error) {
			if time.Since(p.born) < 3*time.Second {
				return customers.Account{}, errors.New("not known yet")
			}
			return s.account(), nil
		})
		if err != nil {
			s.t.Errorf("the sweeper ended with %v", err)
		}
	})
}

// restSweepers stops all sweepers and lets the ones after start no more.
func (s *simulation) restSweepers() {
	s.awaits(mainActor, func() {
		for _, rest := range s.rests {
			rest()
		}
		s.sweepers.Wait()
	})
	s.rests, s.sweeping = nil, false
}

// wakeSweepers starts them in every process.
func (s *simulation) wakeSweepers() {
	s.sweeping = true
	for _, p := range s.processes {
		if !p.dead {
			s.sweeps(p)
		}
	}
}

// reach returns the process that answers for the replica, or nil while there is none.
func (s *simulation) reach(replica int) *process {
	p := s.processes[replica]
	if p.dead && !time.Now().Before(p.again) {
		p = s.start(replica)
		s.processes[replica] = p
	}
	if p.dead {
		return nil
	}
	return p
}

// restartAll begins new lives where there is none.
func (s *simulation) restart() {
	for i, p := range s.processes {
		if p.dead {
			s.processes[i] = s.start(i)
		}
	}
}

func (p *process) dies() {
	if p.s.over {
		return
	}
	p.dead, p.again = true, time.Now().Add(p.s.upTo(20*time.Second))
	p.s.count("death")
}

func (p *process) stops() {
	if p.s.over {
		return
	}
	p.stopped = time.Now().Add(30*time.Second + p.s.upTo(time.Minute))
	p.s.count("stop")
}

// passes is a part of an operation's way, there or back, that takes d.
func (p *process) passes(ctx context.Context, d time.Duration) error {
	for {
		if err := p.s.wait(ctx, d); err != nil {
			return err
		}
		if p.dead {
			return errDead
		}
		if d = time.Until(p.stopped); d <= 0 {
			return nil
		}
	}
}
