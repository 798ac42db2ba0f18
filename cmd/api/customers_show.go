package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"till/internal/customers"
)

func showCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show OWNER",
		Short: "Show what is known of an owner",
		Long: `Show what is known of an owner.

OWNER is the subject of a person's token, the id of an organisation, the id of a
Stripe customer (cus_…), or the idempotency key that the log names a row by. Every
row that matches is shown, whoever the issuer, with what Stripe says of the
customer. The exit code is 1 when there is none.`,
		Args: cobra.ExactArgs(1),
	}
	source := configFlag(cmd, p)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := openToolbox(cmd.Context(), p, *source)
		if err != nil {
			return err
		}
		defer t.close() //nolint:errcheck // nothing was written
		return t.show(cmd.Context(), p.stdout, args[0])
	}
	return cmd
}

func (t *toolbox) show(ctx context.Context, out io.Writer, name string) error {
	if err := t.store.Migrate(ctx); err != nil {
		return err
	}
	account, err := t.account(ctx)
	if err != nil {
		return err
	}
	shown := 0
	err = t.eachRow(ctx, account, func(rec customers.Record) error {
		if rec.Owner.Subject != name && rec.CustomerID != name && rec.IdempotencyKey != name {
			return nil
		}
		shown++
		return t.showRow(ctx, out, rec)
	})
	if err != nil {
		return err
	}
	kept, err := t.showKept(ctx, out, account, name)
	if err != nil {
		return err
	}
	if shown+kept == 0 {
		return fmt.Errorf("nobody is known as %q in account %s, %s", name, account.ID, mode(account))
	}
	return nil
}

// eachRow calls visit for every row of the account.
func (t *toolbox) eachRow(ctx context.Context, account customers.Account, visit func(customers.Record) error) error {
	const limit = 500
	for after := (customers.Owner{}); ; {
		page, err := t.store.Page(ctx, account, after, limit)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			after = rec.Owner
			if err := visit(rec); err != nil {
				return err
			}
		}
	}
}

func (t *toolbox) showRow(ctx context.Context, out io.Writer, rec customers.Record) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	say := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	say("owner", fmt.Sprintf("%s %q of %s", rec.Owner.Kind, rec.Owner.Subject, rec.Owner.Issuer))
	say("account", rec.Owner.ID+", "+mode(rec.Owner.Account))
	say("state", rec.State)
	if rec.CustomerID != "" {
		say(rec.Customer().Param(), rec.CustomerID+t.lifeOf(ctx, rec.Customer()))
	}
	say("generation", rec.Generation)
	say("reserved", stamp(rec.ReservedAt))
	say("first attempt", stamp(rec.FirstAttemptAt))
	say("last attempt", stamp(rec.LastAttemptAt))
	say("healed", stamp(rec.HealedAt))
	say("key", rec.IdempotencyKey)
	if rec.KeySpent {
		say("", "Stripe replays an error for this key; what it made is looked for")
	}
	if err := rec.Check(); err != nil {
		say("trouble", err)
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// lifeOf is what Stripe says of the customer, as the end of a line.
func (t *toolbox) lifeOf(ctx context.Context, c customers.Customer) string {
	ask := t.stripe.CustomerLife
	if c.IsAccount {
		ask = t.stripe.AccountLife
	}
	life, err := ask(ctx, c.ID)
	switch {
	case err != nil:
		return " (Stripe cannot be asked at the moment)"
	case life == customers.Deleted:
		return " (deleted at Stripe)"
	case life == customers.Missing:
		return " (none of this Stripe account)"
	default:
		return ""
	}
}

// showKept shows what a reconciliation keeps for an owner who has not come yet.
func (t *toolbox) showKept(ctx context.Context, out io.Writer, account customers.Account, subject string) (int, error) {
	shown := 0
	for _, issuer := range t.cfg.Auth.Issuers {
		for _, kind := range []customers.Kind{customers.KindUser, customers.KindOrg} {
			owner := customers.Owner{Account: account, Issuer: issuer.Issuer, Kind: kind, Subject: subject}
			if _, err := t.store.Find(ctx, owner); !errors.Is(err, customers.ErrNoRecord) {
				continue
			}
			found, err := t.store.Found(ctx, owner, t.subjectForm().Apply(subject))
			if errors.Is(err, customers.ErrNoRecord) {
				continue
			}
			if err != nil {
				return shown, err
			}
			shown++
			fmt.Fprintf(out, "%s %q of %s has no row yet; a reconciliation keeps customer %s (generation %d) for it\n",
				kind, subject, issuer.Issuer, found.ID, found.Generation)
		}
	}
	return shown, nil
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}
