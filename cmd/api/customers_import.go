package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"till/internal/catalog"
	"till/internal/customers"
)

func importCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Write down whose the customers of before are",
		Long: `Write down whose the customers of before are.

FILE is CSV with a line of names, or JSON with one object a line. The names are
issuer, kind (user or org), subject, and either customer (cus_…) or customer_account
(acct_…, Accounts v2):

  issuer,kind,subject,customer
  https://id.example.com/,user,alice,cus_TaliceQ1w2E3r4

Every id is looked up at Stripe first. A row that stands is never changed, so the
import can be repeated, and run while the service runs; what cannot be imported is
said, and ends with exit code 1 once the rest is done. Begin with --dry-run.`,
		Args: cobra.ExactArgs(1),
	}
	source := configFlag(cmd, p)
	var dryRun bool
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		entries, err := readEntries(args[0])
		if err != nil {
			return err
		}
		t, err := openToolbox(cmd.Context(), p, *source)
		if err != nil {
			return err
		}
		defer t.close() //nolint:errcheck // what was committed is
		return t.importAll(cmd.Context(), p.stdout, entries, dryRun)
	}
	return cmd
}

// entryLine is an entry as it is written.
type entryLine struct {
	Issuer          string `json:"issuer"`
	Kind            string `json:"kind"`
	Subject         string `json:"subject"`
	Customer        string `json:"customer"`
	CustomerAccount string `json:"customer_account"`
}

// readEntries reads the whole file before anything is done with it: half a file must
// not be half imported because of its last line.
func readEntries(file string) ([]customers.Entry, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	read := readCSV
	if strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		read = readJSONLines
	}
	var entries []customers.Entry
	var wrong []error
	err = read(string(data), func(line int, e entryLine) {
		entry, err := e.entry()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", file, line, err))
		}
		entry.Where = fmt.Sprintf("line %d", line)
		entries = append(entries, entry)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return entries, errors.Join(wrong...)
}

func readCSV(text string, each func(line int, e entryLine)) error {
	r := csv.NewReader(strings.NewReader(text))
	names, err := r.Read()
	if err != nil {
		return fmt.Errorf("reading the line of names: %w", err)
	}
	known := []string{"issuer", "kind", "subject", "customer", "customer_account"}
	for i, name := range names {
		if !slices.Contains(known, name) || slices.Index(names, name) != i {
			return fmt.Errorf("line 1: %q is not one of %s, each once", name, strings.Join(known, ", "))
		}
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		at := map[string]string{}
		for i, name := range names {
			at[name] = row[i]
		}
		line, _ := r.FieldPos(0)
		each(line, entryLine{at["issuer"], at["kind"], at["subject"], at["customer"], at["customer_account"]})
	}
}

func readJSONLines(text string, each func(line int, e entryLine)) error {
	for i, one := range strings.Split(text, "\n") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		d := json.NewDecoder(strings.NewReader(one))
		d.DisallowUnknownFields()
		var e entryLine
		if err := d.Decode(&e); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: something follows the object", i+1)
		}
		each(i+1, e)
	}
	return nil
}

func (e entryLine) entry() (customers.Entry, error) {
	entry := customers.Entry{
		Owner:    customers.Owner{Issuer: e.Issuer, Kind: customers.Kind(e.Kind), Subject: e.Subject},
		Customer: customers.Customer{ID: e.Customer + e.CustomerAccount, IsAccount: e.CustomerAccount != ""},
	}
	switch {
	case e.Issuer == "":
		return entry, errors.New("issuer is missing")
	case entry.Owner.Kind != customers.KindUser && entry.Owner.Kind != customers.KindOrg:
		return entry, fmt.Errorf("kind %q is neither user nor org", e.Kind)
	case e.Subject == "":
		return entry, errors.New("subject is missing")
	case (e.Customer == "") == (e.CustomerAccount == ""):
		return entry, errors.New("give either customer or customer_account")
	case !catalog.ValidID(entry.Customer.ID):
		return entry, fmt.Errorf("%q is not an id of Stripe's", entry.Customer.ID)
	}
	return entry, nil
}

func (t *toolbox) importAll(ctx context.Context, out io.Writer, entries []customers.Entry, dryRun bool) error {
	for _, e := range entries {
		if !t.knowsIssuer(e.Owner.Issuer) {
			return fmt.Errorf("%s: no issuer of auth.issuers is %q, byte for byte, so its owner would never come", e.Where, e.Owner.Issuer)
		}
	}
	if err := t.store.Migrate(ctx); err != nil {
		return err
	}
	account, err := t.account(ctx)
	if err != nil {
		return err
	}
	report, err := customers.Import(ctx, t.store, t.stripe, entries, customers.Importing{
		Account: account, SubjectForm: t.subjectForm(), Version: t.stripe.CustomerVersion(), DryRun: dryRun,
	})
	say := func(n int, what string) { fmt.Fprintf(out, "%6d  %s\n", n, what) }
	fmt.Fprintf(out, "account %s, %s\n", account.ID, mode(account))
	say(len(entries), "entries")
	say(report.Imported, "were written down")
	say(report.Known, "stood there already")
	say(len(report.Troubles), "were left out")
	for _, trouble := range report.Troubles {
		fmt.Fprintf(out, "        %s\n", trouble)
	}
	if dryRun {
		fmt.Fprintln(out, "Nothing was changed (--dry-run).")
	}
	switch {
	case err != nil:
		return fmt.Errorf("the import did not end; run it again: %w", err)
	case len(report.Troubles) > 0:
		return fmt.Errorf("%d of %d entries were left out", len(report.Troubles), len(entries))
	}
	return nil
}

func (t *toolbox) knowsIssuer(issuer string) bool {
	for _, known := range t.cfg.Auth.Issuers {
		if known.Issuer == issuer {
			return true
		}
	}
	return false
}
