package store_test

import (
	"testing"

	"till/internal/store/pgtest"
	"till/internal/store/storetest"
)

// Two connections to the server for everybody, and each statement on any of them.
func TestTheSuiteHoldsBehindATransactionPooler(t *testing.T) {
	t.Parallel()
	c := pgtest.Shared(t)
	b := c.StartBouncer(t, 2)
	t.Run("suite", func(t *testing.T) { // ends before the pooler
		runSuite(t, func(t *testing.T) string {
			name, err := c.NewDatabase()
			if err != nil {
				t.Fatal(err)
			}
			return b.URL(name)
		})
	})
}

func TestThreeProcessesMigrateBehindATransactionPooler(t *testing.T) {
	t.Parallel()
	c := pgtest.Shared(t)
	b := c.StartBouncer(t, 2)
	for range 3 {
		name, err := c.NewDatabase()
		if err != nil {
			t.Fatal(err)
		}
		raceForOwners(t, b.URL(name))
		s := openMigrated(t, b.URL(name))
		if _, err := s.Find(t.Context(), storetest.Owner("0")); err != nil {
			t.Error(err)
		}
		isMigratedOnce(t, s)
		var timeout string
		if err := s.Pool().QueryRow(t.Context(), "SELECT current_setting('statement_timeout')").Scan(&timeout); err != nil || timeout != "0" {
			t.Errorf("got %q, %v: the pooler was not to let it through", timeout, err)
		}
		if got := count(t, c, name); got != racedOwners {
			t.Errorf("got %d rows, want %d", got, racedOwners)
		}
	}
}
