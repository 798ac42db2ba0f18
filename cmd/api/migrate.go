package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func migrateCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database up to date",
		Long: `Bring the database up to date.

"serve" does so itself at the start. This is for a deployment in which only one
step may change the schema; where there is nothing to do, "serve" needs no right
to. It can be run while the service runs, and by several at once.`,
		Args: cobra.NoArgs,
	}
	source := configFlag(cmd, p)
	var status bool
	cmd.Flags().BoolVar(&status, "status", false, "only say which version the database has")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		t, err := openToolbox(cmd.Context(), p, *source)
		if err != nil {
			return err
		}
		defer t.close() //nolint:errcheck // what was committed is
		if !status {
			if err := t.store.Migrate(cmd.Context()); err != nil {
				return err
			}
		}
		applied, newest, err := t.store.Status(cmd.Context())
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "the database has version %d; this release knows up to %d\n", applied, newest)
		return nil
	}
	return cmd
}
