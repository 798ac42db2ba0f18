package customers_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"till/internal/customers"
	"till/internal/store/storetest"
)

// promises are what has to hold at every instant of every run.
type promises struct {
	// attempted says, of a process and a key, after how many losses of the database
	// an attempt was committed.
	attempted map[string]int
	// healed is when an owner's customer was last replaced, by Stripe's clock.
	healed map[customers.Owner]time.Time
	// answered are the customers that an owner was told of.
	answered map[customers.Owner][]string
}

func newPromises() promises {
	return promises{map[string]int{}, map[customers.Owner]time.Time{}, map[customers.Owner][]string{}}
}

// forget is for what no database can promise that has lost its last writes.
func (p *promises) forget() { clear(p.healed) }

// breaks fails the run. What follows on the first breach says little.
func (s *simulation) breaks(format string, args ...any) {
	if s.breach == "" {
		s.breach = fmt.Sprintf(format, args...)
		s.trace(acting(context.Background(), "BROKEN"), event{what: s.breach})
	}
}

// judgeCustomers holds that an owner never has more than one customer who lives.
// It is the same as to say that he was never given more than one and another one
// for each that somebody deleted.
func (s *simulation) judgeCustomers(owner customers.Owner) {
	if living := s.living(owner); len(living) > 1 {
		s.breaks("%s has the customers %v", short(owner), living)
	}
}

// judgeCall holds that nothing is sent that is not written down: a row of this
// key, with an attempt, or one that another process has moved on since.
func (s *simulation) judgeCall(p *process, owner customers.Owner, c customers.NewCustomer) {
	losses, ok := s.promises.attempted[p.name+c.IdempotencyKey]
	if !ok {
		s.breaks("%s creates without an attempt", p.name)
	}
	if losses != s.db.losses {
		return
	}
	rec, err := s.db.Find(context.Background(), owner)
	sent, _ := strconv.Atoi(metadataOf(c.Params)["till_generation"])
	switch {
	case err != nil, rec.Generation < sent:
		s.breaks("%s creates generation %d of %s, and the row is %+v, %v", p.name, sent, short(owner), rec, err)
	case rec.Generation == sent && rec.State == customers.Reserved && rec.FirstAttemptAt.IsZero():
		s.breaks("%s creates for %s, and the row knows of no attempt", p.name, short(owner))
	}
}

// judgeWrite judges a change of one row.
func (s *simulation) judgeWrite(p *process, op storetest.Operation, before, after customers.Record) {
	if after.Generation < before.Generation {
		s.breaks("%s takes %s back to generation %d", op, short(after.Owner), after.Generation)
	}
	if after.State == customers.Active {
		s.judgeCustomer(after.Owner, after.Customer(), "the row")
	}
	if op == storetest.Supersede || op == storetest.Activate {
		s.progress = time.Now()
	}
	switch {
	case op == storetest.Supersede && before.KeySpent:
		s.count("superseded when spent")
	case op == storetest.Supersede:
		s.count("superseded when old")
	case op == storetest.Replace:
		s.count("moved")
	case op == storetest.Heal:
		s.judgeHealing(after.Owner)
	case op == storetest.Activate && before.FirstAttemptAt.IsZero():
		s.count("found again")
	case op == storetest.Activate && !p.created[after.CustomerID]:
		s.count("adoption")
	}
}

// judgeHealing holds that an owner's customer is replaced once an hour at most. Not
// to the second: two processes know the time a few seconds, or minutes, differently.
func (s *simulation) judgeHealing(owner customers.Owner) {
	s.count("heal")
	now := s.stripeTime()
	if last, ok := s.promises.healed[owner]; ok && now.Sub(last) < time.Hour-5*time.Minute {
		s.breaks("%s is healed for the second time in %s", short(owner), now.Sub(last))
	}
	s.promises.healed[owner] = now
}

// judgeCustomer holds that c exists and is of this owner and generation.
func (s *simulation) judgeCustomer(owner customers.Owner, c customers.Customer, who string) {
	have, found := s.customer(c.ID)
	if !found || s.ownerOf(have.Metadata) != owner || have.Metadata["till_generation"] != strconv.Itoa(c.Generation) {
		s.breaks("%s of %s names %+v, and at Stripe it is %+v", who, short(owner), c, have)
	}
}

// judgeAnswer holds that nobody is told of two customers who both live.
func (s *simulation) judgeAnswer(owner customers.Owner, c customers.Customer) {
	s.judgeCustomer(owner, c, "the answer")
	told := s.promises.answered
	if !slices.Contains(told[owner], c.ID) {
		told[owner] = append(told[owner], c.ID)
	}
	living := slices.DeleteFunc(slices.Clone(told[owner]), func(id string) bool {
		have, _ := s.customer(id)
		return have.Deleted
	})
	if len(living) > 1 {
		s.breaks("%s was told of %v", short(owner), living)
	}
}

// judgeProfile holds that a customer hears only of his own owner.
func (s *simulation) judgeProfile(id string, p customers.Profile) {
	c, found := s.customer(id)
	if !found || !strings.HasPrefix(p.Email, short(s.ownerOf(c.Metadata))+"@") {
		s.breaks("customer %s is told of %s", id, p.Email)
	}
}
