package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"till/internal/customers"
)

func customersCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "customers",
		Short: "Look at the mapping of owners to Stripe customers, and mend it",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(showCommand(p), importCommand(p), reconcileCommand(p))
	return cmd
}

func reconcileCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reconcile --since T",
		Short: "Find the customers that a restored database does not know",
		Long: `Find the customers that a restored database does not know.

Lists the customers that Stripe created since T and writes down those that belong
to an owner without one: their owners get them back, and no second one. Run it
after every restore, with the time of the backup, best before the service starts.
It can be repeated, and run while the service runs.

T is a time (2026-11-20T04:00:00Z), a day in UTC (2026-11-20), or how long ago
(36h, 7d). A little earlier than the backup does no harm.`,
		Args: cobra.NoArgs,
	}
	source := configFlag(cmd, p)
	var since string
	var dryRun bool
	cmd.Flags().StringVar(&since, "since", "", "the `time` of the backup")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	_ = cmd.MarkFlagRequired("since") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := parseTime("--since", since, time.Now())
		if err != nil {
			return err
		}
		t, err := openToolbox(cmd.Context(), p, *source)
		if err != nil {
			return err
		}
		defer t.close() //nolint:errcheck // what was committed is
		return t.reconcile(cmd.Context(), p.stdout, from, dryRun)
	}
	return cmd
}

// parseTime reads the value of a flag: a time, a day, or a distance from now.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%s %q: write a time such as 2026-11-20T04:00:00Z, a day such as 2026-11-20, or how long ago, such as 36h or 7d", flag, text)
}

func (t *toolbox) reconcile(ctx context.Context, out io.Writer, since time.Time, dryRun bool) error {
	if err := t.store.Migrate(ctx); err != nil {
		return err
	}
	account, err := t.account(ctx)
	if err != nil {
		return err
	}
	report, err := customers.Reconcile(ctx, t.store, t.stripe, customers.Reconciliation{
		Account: account, Since: since, SubjectForm: t.subjectForm(), DryRun: dryRun,
	})
	say := func(n int, what string) { fmt.Fprintf(out, "%6d  %s\n", n, what) }
	fmt.Fprintf(out, "account %s, %s, since %s\n", account.ID, mode(account), since.UTC().Format(time.RFC3339))
	say(report.Listed, "customers were created at Stripe since then")
	say(report.Ours, "of them were made by Till")
	say(report.Known, "are known: their owners' rows agree")
	say(report.Settled, "were given to reservations that had not ended")
	say(report.Moved, "replaced a customer of an earlier generation")
	say(report.Kept, "have no row; their owners get them back when they come")
	say(report.Older, "are of an earlier generation than the one that stands")
	say(len(report.Troubles), "troubles")
	for _, trouble := range report.Troubles {
		fmt.Fprintf(out, "        %s\n", trouble)
	}
	if dryRun {
		fmt.Fprintln(out, "Nothing was changed (--dry-run).")
	}
	if err != nil {
		return fmt.Errorf("the reconciliation did not end; run it again: %w", err)
	}
	return nil
}

func mode(a customers.Account) string {
	if a.Livemode {
		return "live mode"
	}
	return "test mode"
}
