package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"till/internal/audit"
)

func auditCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read who changed what",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(exportCommand(p))
	return cmd
}

// exportOptions are the flags of export.
type exportOptions struct{ since, until, owner, format string }

func exportCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the audit rows, one line each",
		Long: `Write the audit rows, one line each, to standard output.

One row per write: when, who, what, which object, with what outcome, in which
request. The oldest come first. It can be run while the service runs, and holds
little in memory however many rows there are. No rows are no error.

--since and --until are a time (2026-11-20T04:00:00Z), a day in UTC (2026-11-20),
or how long ago (36h, 7d); rows of --since are among them and those of --until are
not. --owner is the subject of a person's token, the id of an organisation, or the
id of a Stripe customer (cus_…); a person's rows for organisations are among his.

In csv, a text that a spreadsheet would take for a formula begins with an
apostrophe. What does not print is written as \u and four digits in both formats.`,
		Args: cobra.NoArgs,
	}
	source := configFlag(cmd, p)
	var o exportOptions
	cmd.Flags().StringVar(&o.since, "since", "", "the `time` of the first rows (default: all there are)")
	cmd.Flags().StringVar(&o.until, "until", "", "the `time` they end before (default: now)")
	cmd.Flags().StringVar(&o.owner, "owner", "", "only rows of this `owner`")
	cmd.Flags().StringVar(&o.format, "format", string(audit.JSONL), "jsonl or csv")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		selection, err := o.selection(time.Now())
		if err != nil {
			return err
		}
		t, err := openToolbox(cmd.Context(), p, *source)
		if err != nil {
			return err
		}
		defer t.close() //nolint:errcheck // nothing was written
		return t.export(cmd.Context(), p, selection, o)
	}
	return cmd
}

// selection reads everything that can be wrong about the flags.
func (o exportOptions) selection(now time.Time) (audit.Selection, error) {
	s := audit.Selection{Until: now}
	if !slices.Contains(audit.Formats(), audit.Format(o.format)) {
		return s, fmt.Errorf("--format %q: write jsonl or csv", o.format)
	}
	for _, f := range []struct {
		name, text string
		into       *time.Time
	}{{"--since", o.since, &s.Since}, {"--until", o.until, &s.Until}} {
		if f.text == "" {
			continue
		}
		at, err := parseTime(f.name, f.text, now)
		if err != nil {
			return s, err
		}
		*f.into = at
	}
	if s.Until.Before(s.Since) {
		return s, fmt.Errorf("--until is before --since")
	}
	return s, nil
}

func (t *toolbox) export(ctx context.Context, p process, s audit.Selection, o exportOptions) error {
	if err := t.store.Migrate(ctx); err != nil {
		return err
	}
	if o.owner != "" {
		// Either form may stand there: the setting may have changed since.
		s.Names = []string{o.owner, t.subjectForm().Apply(o.owner)}
	}
	n, err := audit.Export(ctx, t.store, p.stdout, s, audit.Format(o.format))
	if err != nil {
		return fmt.Errorf("the export ended after %d rows: %w", n, err)
	}
	return nil
}
