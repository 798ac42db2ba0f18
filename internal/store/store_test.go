package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"till/internal/customers"
	"till/internal/store"
	"till/internal/store/storetest"
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite://"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newFile(t testing.TB) string { return filepath.Join(t.TempDir(), "till.db") }

func TestSQLiteKeepsTheSuite(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		files = map[string]string{} // by test: a second handle is another process on the same file
	)
	storetest.Run(t, func(t *testing.T) customers.Ledger {
		mu.Lock()
		path, ok := files[t.Name()]
		if !ok {
			path = newFile(t)
			files[t.Name()] = path
		}
		mu.Unlock()
		return open(t, path)
	})
}

func TestWhatTheGuaranteeRestsOnIsInForceOnEveryConnection(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "3000", "foreign_keys": "1"}
	// Writers look for the lock themselves.
	ofWriter := map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "20", "foreign_keys": "1"}
	// Held open together, so that the pool has to make new ones; the writer has one.
	for i := range 9 {
		pool := s.DB()
		if i == 8 {
			pool, want = s.Writer(), ofWriter
		}
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		got := map[string]string{}
		for name := range want {
			var value string
			if err := conn.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
				t.Fatal(err)
			}
			got[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pragmas (-want +got):\n%s", diff)
		}
	}
}

// Another process holds the lock: whoever wants to write waits, whoever wants to
// read does not.
func TestThoseWhoWaitToWriteKeepNoReaderOut(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s, other := open(t, path), open(t, path)
	if _, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k")); err != nil {
		t.Fatal(err)
	}
	held, err := other.Writer().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback() }()
	waiting, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	refused := make([]error, 20)
	for i := range refused {
		writers.Go(func() {
			_, refused[i] = s.Reserve(waiting, storetest.Reservation(storetest.Owner(fmt.Sprint("user", i)), 1, fmt.Sprint("k", i)))
		})
	}
	for end := time.Now().Add(2 * time.Second); s.Writer().Stats().WaitCount < 19 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if got := s.DB().Stats().InUse; got != 0 {
		t.Errorf("%d connections for reading are taken", got)
	}
	if _, err := s.Find(t.Context(), storetest.Owner("alice")); err != nil {
		t.Errorf("reading: %v", err)
	}
	stop()
	writers.Wait()
	for i, err := range refused {
		if err == nil {
			t.Errorf("writer %d got past the lock", i)
		}
	}
}

func TestManyOpenANewFileAtOnce(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			s, err := store.Open(t.Context(), "sqlite://"+path, nil)
			if err == nil {
				_, err = s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k"))
				err = errors.Join(err, ping(t, s), s.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, open(t, path).DB(), "customers"); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
}

// The racing handles of the suite do one thing at a time; here they do all of
// it, over and over, for the same owners.
func TestTwoHandlesOnOneFileEndWithOneCustomerPerOwner(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	handles := []*store.Store{open(t, path), open(t, path)}
	subjects := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]map[string]bool{}
	)
	for i, s := range handles {
		for range 4 {
			wg.Go(func() {
				for _, subject := range subjects {
					id, err := protocol(t.Context(), s, subject, "cus_"+subject+string(rune('0'+i)))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if seen[subject] == nil {
						seen[subject] = map[string]bool{}
					}
					seen[subject][id] = true
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for _, subject := range subjects {
		if len(seen[subject]) != 1 {
			t.Errorf("%s: got customers %v, want one", subject, seen[subject])
		}
	}
	if got := rows(t, handles[0].DB(), "customers"); got != len(subjects) {
		t.Errorf("got %d rows, want %d", got, len(subjects))
	}
}

// protocol reserves, attempts and activates, and returns the customer that stands.
func protocol(ctx context.Context, s *store.Store, subject, customer string) (string, error) {
	r, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner(subject), 1, "key-"+subject))
	if err != nil {
		return "", err
	}
	if _, err := s.Attempt(ctx, r, customers.At(time.Now())); err != nil && !errors.Is(err, customers.ErrChanged) {
		return "", err
	}
	r, err = s.Activate(ctx, r, storetest.Customer(customer, 1))
	return r.CustomerID, err
}

func TestAwkwardPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "with space.db", "50%.db", "50%25.db", "hash#tag.db", "what?mode=memory", "zoë.db", "a&_pragma=b.db", "plus+.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := open(t, path)
		if _, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k1")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: the file is elsewhere: %v", name, err)
		}
	}
}

func TestWhatCannotBeOpenedIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is no database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ url, want string }{
		"no scheme":        {dir + "/till.db", "the URL must be"},
		"another scheme":   {"mysql://localhost/till", "the URL must be"},
		"no path":          {"sqlite://", "the URL must be"},
		"a missing folder": {"sqlite://" + dir + "/gone/till.db", "unable to open"},
		"a folder":         {"sqlite://" + dir, "unable to open"},
		"not a database":   {"sqlite://" + garbage, "not a database"},
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		// Permission bits do not stop root; /proc does.
		cases["a read-only folder"] = struct{ url, want string }{"sqlite:///proc/till.db", "unable to open"}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), tc.url, nil)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "database") {
				t.Errorf("got %v, want a sentence about the database with %q", err, tc.want)
			}
		})
	}
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := store.Open(ctx, "sqlite://"+newFile(t), nil); err == nil {
		s.Close()
		t.Error("opened with a cancelled context")
	}
}

func TestADamagedFileIsAnErrorAndNoRecord(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open(t, path)
	for _, subject := range strings.Split(strings.Repeat("x,", 400), ",") {
		subject += time.Now().Format(time.RFC3339Nano)
		if _, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner(subject), 1, "k")); err != nil {
			t.Fatal(err)
		}
	}
	last, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(file); i++ {
		file[i] = 0xa5
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = store.Open(t.Context(), "sqlite://"+path, nil)
	if err != nil {
		return // refused at once: as clear as can be
	}
	defer s.Close()
	if _, err := s.Find(t.Context(), last.Owner); err == nil || errors.Is(err, customers.ErrNoRecord) {
		t.Errorf("got %v, want an error that is not an answer", err)
	}
}

func TestAccountsAreRememberedByFingerprint(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open(t, path)
	live, test := customers.Account{ID: "acct_1", Livemode: true}, customers.Account{ID: "acct_1"}
	expect := func(fingerprint string, want customers.Account, known bool) {
		t.Helper()
		got, ok, err := s.SeenAccount(t.Context(), fingerprint)
		if err != nil || ok != known || got != want {
			t.Errorf("%s: got %+v, %t, %v, want %+v, %t", fingerprint, got, ok, err, want, known)
		}
	}
	expect("f1", customers.Account{}, false)
	for fingerprint, a := range map[string]customers.Account{"f1": live, "f2": test} {
		for range 2 {
			if err := s.RememberAccount(t.Context(), fingerprint, a); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect("f1", live, true)
	expect("F1", customers.Account{}, false)
	if err := s.RememberAccount(t.Context(), "f1", test); err != nil {
		t.Fatal(err)
	}
	if err := s.RememberAccount(t.Context(), "f3", customers.Account{}); err == nil {
		t.Error("an account without an id was remembered")
	}
	s.Close()
	s = open(t, path)
	expect("f1", test, true)
	expect("f2", test, true)
	expect("f3", customers.Account{}, false)
	if got := rows(t, s.DB(), "stripe_accounts"); got != 2 {
		t.Errorf("got %d accounts, want 2", got)
	}
}

func TestAClosedStoreAnswersNothing(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	if err := ping(t, s); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, found := s.Find(t.Context(), storetest.Owner("alice"))
	_, _, seen := s.SeenAccount(t.Context(), "f1")
	for name, err := range map[string]error{
		"ping": ping(t, s), "find": found, "seen": seen,
		"remember": s.RememberAccount(t.Context(), "f1", customers.Account{ID: "acct_1"}),
	} {
		if err == nil || errors.Is(err, customers.ErrNoRecord) {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}

func rows(t testing.TB, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// ping reads something that need not be there.
func ping(t *testing.T, s *store.Store) error {
	t.Helper()
	_, _, err := s.SeenAccount(t.Context(), "nobody's")
	return err
}
