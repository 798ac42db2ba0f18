package customers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Entry is a mapping that is to be imported.
type Entry struct {
	// Where names the entry for people, such as "line 7".
	Where    string
	Owner    Owner
	Customer Customer
}

// Importing says what Import is to do.
type Importing struct {
	Account     Account
	SubjectForm SubjectForm
	// Version is the Stripe-Version that a later customer of the owner's is created with.
	Version string
	// DryRun changes nothing.
	DryRun bool
}

// ImportReport is what an import saw and did.
type ImportReport struct {
	// Imported owners had no row. Known owners had this customer already.
	Imported, Known int
	// Troubles are the entries that were left out, a sentence each.
	Troubles []string
}

// ImportStripe is what an import asks of Stripe.
type ImportStripe interface {
	Time(ctx context.Context) (Moment, error)
	CustomerLife(ctx context.Context, id string) (Life, error)
	// AccountLife is CustomerLife for accounts that stand in for customers; Stripe
	// does not tell a deleted one from one that never was.
	AccountLife(ctx context.Context, id string) (Life, error)
}

// Import writes down customers that were not made by the protocol: those of before,
// and accounts. A row that stands is never changed, so it can be repeated. The error
// says that it did not come to the end; what was reported is done all the same.
func Import(ctx context.Context, ledger Ledger, stripe ImportStripe, entries []Entry, o Importing) (ImportReport, error) {
	now, err := stripe.Time(ctx)
	if err != nil {
		return ImportReport{}, err
	}
	i := &importer{ledger: ledger, stripe: stripe, o: o, now: now.Latest, seen: map[string]string{}}
	for _, e := range entries {
		if err := i.one(ctx, e); err != nil {
			return i.report, fmt.Errorf("%s: %w", e.Where, err)
		}
	}
	return i.report, nil
}

type importer struct {
	ledger Ledger
	stripe ImportStripe
	o      Importing
	now    time.Time
	report ImportReport
	// seen are the ids of the entries so far, and where they are.
	seen map[string]string
}

func (i *importer) trouble(e Entry, format string, args ...any) {
	i.report.Troubles = append(i.report.Troubles, e.Where+": "+fmt.Sprintf(format, args...))
}

func (i *importer) one(ctx context.Context, e Entry) error {
	e.Owner.Account = i.o.Account
	if before, twice := i.seen[e.Customer.ID]; twice {
		i.trouble(e, "%s is there before, %s", e.Customer.ID, before)
		return nil
	}
	i.seen[e.Customer.ID] = e.Where
	rec, err := i.ledger.Find(ctx, e.Owner)
	switch {
	case err == nil:
		i.compare(e, rec)
		return nil
	case !errors.Is(err, ErrNoRecord):
		return err
	}
	found, err := i.ledger.Found(ctx, e.Owner, i.o.SubjectForm.Apply(e.Owner.Subject))
	switch {
	case err == nil && found.ID != e.Customer.ID:
		i.trouble(e, "a reconciliation keeps customer %s for this owner", found.ID)
		return nil
	case err != nil && !errors.Is(err, ErrNoRecord):
		return err
	}
	if ok, err := i.exists(ctx, e); err != nil || !ok {
		return err
	}
	return i.write(ctx, e)
}

// compare says of a row that stands whether it is what the entry wants.
func (i *importer) compare(e Entry, rec Record) {
	switch {
	case rec.State != Active:
		i.trouble(e, "a customer is being created for this owner")
	case rec.CustomerID != e.Customer.ID || rec.IsAccount != e.Customer.IsAccount:
		i.trouble(e, "the owner has another customer, %s", rec.CustomerID)
	default:
		i.report.Known++
	}
}

// exists asks Stripe; an id of the other mode is not known there either.
func (i *importer) exists(ctx context.Context, e Entry) (bool, error) {
	ask := i.stripe.CustomerLife
	if e.Customer.IsAccount {
		ask = i.stripe.AccountLife
	}
	life, err := ask(ctx, e.Customer.ID)
	switch {
	case err != nil:
		return false, err
	case life == Deleted:
		i.trouble(e, "%s was deleted at Stripe", e.Customer.ID)
	case life == Missing:
		i.trouble(e, "Stripe has no %s in this account and mode", e.Customer.ID)
	}
	return life == Alive, nil
}

func (i *importer) write(ctx context.Context, e Entry) error {
	if i.o.DryRun {
		i.report.Imported++
		return nil
	}
	e.Customer.Generation = 1
	r := reservation(e.Owner, 1, i.o.SubjectForm, i.o.Version, i.now)
	rec, err := i.ledger.Import(ctx, r, e.Customer)
	switch {
	case errors.Is(err, ErrTaken):
		i.trouble(e, "%s belongs to another owner", e.Customer.ID)
	case err != nil:
		return err
	case rec.State != Active || rec.CustomerID != e.Customer.ID:
		i.trouble(e, "the owner came in the meantime and has a customer")
	default:
		i.report.Imported++
	}
	return nil
}
