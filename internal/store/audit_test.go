package store_test

import (
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"till/internal/audit"
	"till/internal/store"
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

// BenchmarkAppendEvents writes what a busy half second leaves, and says what a row costs.
func BenchmarkAppendEvents(b *testing.B) {
	for name, open := range map[string]func() *store.Store{
		"sqlite":   func() *store.Store { return open(b, newFile(b)) },
		"postgres": func() *store.Store { return openMigrated(b, pgtest.Database(b)) },
	} {
		b.Run(name, func(b *testing.B) {
			s, events := open(), make([]audit.Event, 100)
			b.ReportAllocs()
			for b.Loop() {
				for i := range events {
					events[i] = audit.Event{
						At: time.Now(), ID: rand.Text(), Action: audit.CheckoutCreate, Outcome: audit.OK,
						Actor:  audit.Actor{Account: "acct_1", Issuer: "https://id.example.com/", Kind: "user", Subject: "alice"},
						Object: "cs_test_" + strings.Repeat("x", 58), Customer: "cus_123456789", RequestID: rand.Text(), Client: "192.0.2.7/32",
					}
				}
				if err := s.AppendEvents(b.Context(), events); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(events)), "µs/row")
		})
	}
}
