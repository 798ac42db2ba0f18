package store_test

import (
	"sync"
	"testing"

	"till/internal/audit"
	"till/internal/store/pgtest"
	"till/internal/store/storetest"
)

// perTest gives every test a database of its own; a second call is another handle on it.
func perTest(newDatabase func(t *testing.T) string) func(t *testing.T) string {
	var (
		mu        sync.Mutex
		databases = map[string]string{}
	)
	return func(t *testing.T) string {
		mu.Lock()
		defer mu.Unlock()
		if databases[t.Name()] == "" {
			databases[t.Name()] = newDatabase(t)
		}
		return databases[t.Name()]
	}
}

func TestSQLiteKeepsTheSuiteOfAudit(t *testing.T) {
	t.Parallel()
	path := perTest(func(t *testing.T) string { return newFile(t) })
	storetest.RunAudit(t, func(t *testing.T) audit.Store { return open(t, path(t)) })
}

func TestPostgresKeepsTheSuiteOfAudit(t *testing.T) {
	t.Parallel()
	url := perTest(func(t *testing.T) string { return pgtest.Database(t) })
	storetest.RunAudit(t, func(t *testing.T) audit.Store { return openPatiently(t, url(t)) })
}
