//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"till/internal/customers"
)

// truth is what there is at the end, at Stripe and in the database.
type truth struct {
	byOwner map[string][]string // customers at Stripe
	ownerOf map[string]string   // of a customer
	records map[owner]customers.Record
}

func learn(ctx context.Context, s *stripe, databaseURL string, owners []owner) (*truth, error) {
	all, err := s.customers(ctx)
	if err != nil {
		return nil, err
	}
	w := &truth{byOwner: map[string][]string{}, ownerOf: map[string]string{}, records: map[owner]customers.Record{}}
	for _, c := range all {
		w.byOwner[c.owner()] = append(w.byOwner[c.owner()], c.ID)
		w.ownerOf[c.ID] = c.owner()
	}
	db, err := openStore(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	for _, o := range owners {
		rec, err := db.Find(ctx, o.key(s.account))
		if errors.Is(err, customers.ErrNoRecord) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		w.records[o] = rec
	}
	return w, db.Close()
}

// twice are the owners with more than one customer.
func (w *truth) twice() []string {
	var found []string
	for who, ids := range w.byOwner {
		if len(ids) > 1 {
			found = append(found, fmt.Sprintf("%s has %v", who, ids))
		}
	}
	return found
}

// reserved are the rows without a customer.
func (w *truth) reserved() []string {
	var found []string
	for o, rec := range w.records {
		if rec.State != customers.Active {
			found = append(found, fmt.Sprintf("%s: generation %d, key spent %v, reserved %v, attempts %v to %v",
				o, rec.Generation, rec.KeySpent, rec.ReservedAt, rec.FirstAttemptAt, rec.LastAttemptAt))
		}
	}
	return found
}

// hold judges I1, I2, I3 and I6 of the catalogue of faults.
func (w *truth) hold(t *testing.T, owners []owner, s *seen) {
	t.Helper()
	var dangling, lost, wrong []string
	for _, o := range owners {
		rec, ok := w.records[o]
		switch {
		case !ok:
			lost = append(lost, o.String())
		case rec.State != customers.Active:
		case w.ownerOf[rec.CustomerID] != o.String():
			dangling = append(dangling, fmt.Sprintf("%s has %s, which is %q's", o, rec.CustomerID, w.ownerOf[rec.CustomerID]))
		}
	}
	for o, ids := range s.given {
		for id, times := range ids {
			if w.ownerOf[id] != o.String() {
				wrong = append(wrong, fmt.Sprintf("%s was given %s of %q %d times", o, id, w.ownerOf[id], times))
			}
		}
		if len(ids) > 1 {
			wrong = append(wrong, fmt.Sprintf("%s was given %v", o, ids))
		}
	}
	report.none(t, "I1 owners with more than one customer", w.twice())
	report.none(t, "I2 active rows without their customer", dangling)
	report.none(t, "I3 rows still reserved", w.reserved())
	report.none(t, "owners without a row", lost)
	report.none(t, "I6 answers with another customer", wrong)
	report.judge(t, "customers at Stripe", fmt.Sprint(len(owners)), len(w.ownerOf), len(w.ownerOf) == len(owners))
}
