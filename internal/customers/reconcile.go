package customers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Reconciliation says what Reconcile is to do.
type Reconciliation struct {
	Account Account
	// Since is the time of the backup that was restored, or of the oldest customer
	// that may be unknown.
	Since time.Time
	// SubjectForm is how subjects appear in Stripe's metadata.
	SubjectForm SubjectForm
	// DryRun changes nothing.
	DryRun bool
}

// Report is what a reconciliation saw and did.
type Report struct {
	// Listed customers were created at Stripe since then; Ours carry an owner.
	Listed, Ours int
	// Known owners' rows agree with Stripe.
	Known int
	// Settled reservations got the customer that was found for them.
	Settled int
	// Moved owners' rows named a customer of an earlier generation.
	Moved int
	// Kept customers have no row: their owners get them back when they come.
	Kept int
	// Older customers were replaced by a later generation, which stands.
	Older int
	// Troubles are what a person has to look at, a sentence each.
	Troubles []string
}

// Reconcile brings the store up to date with the customers that Stripe created
// since a time: what a restored database does not remember is found by the
// metadata that every customer carries, and written down, so that no owner gets a
// second customer. It may run while the service does.
func Reconcile(ctx context.Context, ledger Ledger, stripe Stripe, o Reconciliation) (Report, error) {
	r := &reconciler{ledger: ledger, o: o, found: map[foundKey][]Customer{}}
	now, err := stripe.Time(ctx)
	if err != nil {
		return r.report, err
	}
	if !o.Since.Before(now.Latest) {
		return r.report, fmt.Errorf("the time to begin at is not in the past: at Stripe it is %s", now.Latest.UTC().Format(time.RFC3339))
	}
	if err := eachCreated(ctx, stripe, o.Since.Add(-clockSlack), now.Latest.Add(clockSlack), manyPages, r.list); err != nil {
		return r.report, fmt.Errorf("listing Stripe's customers: %w", err)
	}
	if err := r.compareRows(ctx); err != nil {
		return r.report, err
	}
	return r.report, r.keepTheRest(ctx)
}

type reconciler struct {
	ledger Ledger
	o      Reconciliation
	report Report
	// found are the customers of an owner, the newest first.
	found map[foundKey][]Customer
}

// foundKey is an owner as Stripe's metadata has it.
type foundKey struct {
	issuer  string
	kind    Kind
	subject string
}

func (r *reconciler) list(c Listed) {
	r.report.Listed++
	m := c.Metadata
	if m["till_issuer"] == "" && m["till_subject"] == "" {
		return
	}
	generation, err := strconv.Atoi(m["till_generation"])
	key := foundKey{m["till_issuer"], Kind(m["till_kind"]), m["till_subject"]}
	if err != nil || generation < 1 || key.issuer == "" || key.subject == "" || key.kind != KindUser && key.kind != KindOrg {
		r.trouble("customer %s has till_ metadata that cannot be read; it is left alone", c.ID)
		return
	}
	r.report.Ours++
	r.found[key] = append(r.found[key], Customer{ID: c.ID, Generation: generation})
}

func (r *reconciler) trouble(format string, args ...any) {
	r.report.Troubles = append(r.report.Troubles, fmt.Sprintf(format, args...))
}

// best returns the customer that should stand, the oldest of the latest
// generation, and reports the others of that generation. all begins with the newest.
func (r *reconciler) best(all []Customer) Customer {
	var stands Customer
	for _, c := range all {
		if c.Generation >= stands.Generation {
			stands = c
		}
	}
	for _, c := range all {
		if c.Generation == stands.Generation && c.ID != stands.ID {
			r.trouble("customers %s and %s are of the same owner and generation; %s stands", stands.ID, c.ID, stands.ID)
		}
		if c.Generation < stands.Generation {
			r.report.Older++
		}
	}
	return stands
}

const reconcilePage = 500

// compareRows goes through the account's rows and takes away what they explain.
func (r *reconciler) compareRows(ctx context.Context) error {
	for after := (Owner{}); ; {
		page, err := r.ledger.Page(ctx, r.o.Account, after, reconcilePage)
		if err != nil {
			return fmt.Errorf("reading the rows: %w", err)
		}
		for _, rec := range page {
			after = rec.Owner
			key := foundKey{rec.Owner.Issuer, rec.Owner.Kind, r.subject(rec)}
			all, ok := r.found[key]
			if !ok {
				continue
			}
			delete(r.found, key)
			if err := r.compare(ctx, rec, all); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// subject is the row's subject as Stripe has it. What was frozen counts, if it is
// the owner's: stripe.metadata_subject may have been another then.
func (r *reconciler) subject(rec Record) string {
	if frozen, err := frozenMetadata(rec.Params); err == nil {
		for _, form := range []SubjectForm{SubjectPlain, SubjectSHA256} {
			if s := form.Apply(rec.Owner.Subject); frozen["till_subject"] == s {
				return s
			}
		}
	}
	return r.o.SubjectForm.Apply(rec.Owner.Subject)
}

// compare brings one row and what Stripe has of its owner together.
func (r *reconciler) compare(ctx context.Context, rec Record, all []Customer) error {
	if err := rec.Check(); err != nil {
		r.trouble("%v", err)
		return nil
	}
	stands := r.best(all)
	switch {
	case rec.CustomerID == stands.ID:
		r.report.Known++
	case rec.State == Reserved && rec.Generation <= stands.Generation:
		return r.write(rec, stands, &r.report.Settled, func() (Record, error) { return r.ledger.Activate(ctx, rec, stands) })
	case rec.State == Active && rec.Generation < stands.Generation:
		return r.write(rec, stands, &r.report.Moved, func() (Record, error) { return r.ledger.Replace(ctx, rec, stands) })
	case rec.State == Active && rec.Generation == stands.Generation:
		r.trouble("customer %s has the owner and generation of %s, which stands", stands.ID, rec.CustomerID)
	default:
		r.report.Older++
	}
	return nil
}

// write makes a change to one row. A row that cannot take it is a person's to
// look at, a row that moved on meanwhile needs nothing, and a store that does not
// answer ends the reconciliation.
func (r *reconciler) write(rec Record, c Customer, counter *int, change func() (Record, error)) error {
	if r.o.DryRun {
		*counter++
		return nil
	}
	got, err := change()
	switch {
	case err == nil && got.CustomerID == c.ID:
		*counter++
	case err == nil || errors.Is(err, ErrChanged):
		r.trouble("the row %q changed while it was compared; run this again", rec.IdempotencyKey)
	case errors.Is(err, ErrTaken):
		r.trouble("customer %s belongs to the row %q by its metadata, and another row has it", c.ID, rec.IdempotencyKey)
	default:
		return fmt.Errorf("writing the row %q: %w", rec.IdempotencyKey, err)
	}
	return nil
}

// keepTheRest writes down the customers that no row explains.
func (r *reconciler) keepTheRest(ctx context.Context) error {
	for key, all := range r.found {
		f := Found{
			Account: r.o.Account, Issuer: key.issuer, Kind: key.kind, Subject: key.subject, Customer: r.best(all),
		}
		if !r.o.DryRun {
			if err := r.ledger.NoteFound(ctx, f); err != nil {
				return fmt.Errorf("writing down customer %s: %w", f.Customer.ID, err)
			}
		}
		r.report.Kept++
	}
	return nil
}
