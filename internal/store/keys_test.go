package store_test

import (
	"strings"
	"sync"
	"testing"

	"till/internal/idempotency"
	"till/internal/store"
	"till/internal/store/pgtest"
	"till/internal/store/storetest"
)

// keysOf runs the suite; every test of it gets a database of its own, and a second
// handle is another process.
func keysOf(t *testing.T, newDatabase func(t *testing.T) string, open func(t *testing.T, database string) *store.Store) {
	t.Helper()
	var (
		mu        sync.Mutex
		databases = map[string]string{}
	)
	storetest.RunKeys(t, func(t *testing.T) idempotency.Store {
		mu.Lock()
		database, ok := databases[t.Name()]
		if !ok {
			database = newDatabase(t)
			databases[t.Name()] = database
		}
		mu.Unlock()
		return open(t, database).Keys()
	})
}

func TestSQLiteKeepsTheSuiteOfKeys(t *testing.T) {
	t.Parallel()
	keysOf(t, func(t *testing.T) string { return newFile(t) },
		func(t *testing.T, path string) *store.Store { return open(t, path) })
}

func TestPostgresKeepsTheSuiteOfKeys(t *testing.T) {
	t.Parallel()
	keysOf(t, func(t *testing.T) string { return pgtest.Database(t) }, func(t *testing.T, url string) *store.Store {
		parameters := "?"
		if strings.Contains(url, "?") {
			parameters = "&"
		}
		return openMigrated(t, url+parameters+"statement_timeout=60000").Patiently()
	})
}
