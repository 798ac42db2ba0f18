//go:build torture && linux

package torture_test

import (
	"path/filepath"
	"testing"

	"till/internal/store/pgtest"
)

// newFile is a database of SQLite that is not there yet.
func newFile(t *testing.T) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "till.db")
}

// startCluster starts a Postgres of its own for a test.
func startCluster(t *testing.T) *pgtest.Cluster {
	t.Helper()
	if missing := pgtest.Missing(); missing != "" {
		report.fact(t, "left out", missing)
	}
	return pgtest.Start(t, pgtest.Options{})
}

// newPostgres returns what makes empty databases on a cluster.
func newPostgres(t *testing.T, c *pgtest.Cluster) func(*testing.T) string {
	t.Helper()
	return func(t *testing.T) string {
		t.Helper()
		name, err := c.NewDatabase()
		must(t, err)
		return c.URL(name)
	}
}
