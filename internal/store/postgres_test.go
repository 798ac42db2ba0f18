package store_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/store"
	"till/internal/store/pgtest"
	"till/internal/store/storetest"
)

// openAbsent opens a database of Postgres that may not be there yet.
func openAbsent(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// openMigrated opens a database of Postgres and brings it up to date.
func openMigrated(t testing.TB, url string) *store.Store {
	t.Helper()
	s := openAbsent(t, url)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// openPatiently opens a database of Postgres without the limits that a busy machine
// would meet.
func openPatiently(t testing.TB, url string) *store.Store {
	t.Helper()
	parameters := "?"
	if strings.Contains(url, "?") {
		parameters = "&"
	}
	// Behind a pooler the parameter falls away, and with it the limit.
	return openMigrated(t, url+parameters+"statement_timeout=60000").Patiently()
}

// runSuite runs the conformance suite; every test of it gets a database of its own.
func runSuite(t *testing.T, newDatabase func(t *testing.T) (url string)) {
	t.Helper()
	var (
		mu   sync.Mutex
		urls = map[string]string{} // by test: a second handle is another process with a pool of its own
	)
	storetest.Run(t, func(t *testing.T) customers.Ledger {
		mu.Lock()
		url, ok := urls[t.Name()]
		if !ok {
			url = newDatabase(t)
			urls[t.Name()] = url
		}
		mu.Unlock()
		return openPatiently(t, url)
	})
}

func TestPostgresKeepsTheSuite(t *testing.T) {
	t.Parallel()
	runSuite(t, func(t *testing.T) string { return pgtest.Database(t) })
}

// Postgres cannot keep every string that Go can. What it cannot keep is an error,
// and never the record of a similar name.
func TestNamesThatPostgresCannotKeepMeetNoOther(t *testing.T) {
	t.Parallel()
	s := openMigrated(t, pgtest.Database(t))
	for _, subject := range []string{"al", "ali", "alice", "ice", `al\0ice`, "al\ufffdice"} {
		if _, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner(subject), 1, subject)); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"al\x00ice", "\x00", "al\x00", "al\xffice", "al\xed\xa0\x80ice", "al\xc0\x80ice"} {
		if r, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner(subject), 1, "k")); err == nil {
			t.Errorf("%q was reserved as %+v", subject, r)
		}
		if r, err := s.Find(t.Context(), storetest.Owner(subject)); err == nil || errors.Is(err, customers.ErrNoRecord) {
			t.Errorf("%q: got %+v, %v, want an error", subject, r, err)
		}
	}
}

func TestBeforeTheDatabaseWasReachedNothingIsAnswered(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := openAbsent(t, url)
	if applied, newest, err := s.Status(t.Context()); err != nil || applied != 0 || newest < 1 {
		t.Errorf("status: got %d, %d, %v", applied, newest, err)
	}
	refused := func() (string, error) { // the first that is not
		r := storetest.Reservation(storetest.Owner("alice"), 1, "k")
		_, find := s.Find(t.Context(), r.Owner)
		_, reserve := s.Reserve(t.Context(), r)
		_, due := s.Due(t.Context(), r.Owner.Account, time.Now(), 1)
		_, _, seen := s.SeenAccount(t.Context(), "f")
		for name, err := range map[string]error{"find": find, "reserve": reserve, "due": due, "seen": seen} {
			if err == nil || errors.Is(err, customers.ErrNoRecord) || store.IsHopeless(err) {
				return name, err
			}
		}
		return "", nil
	}
	if name, err := refused(); name != "" {
		t.Errorf("%s: got %v", name, err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if name, _ := refused(); name == "" {
		t.Error("nothing is answered after the migration")
	}
	applied, newest, err := s.Status(t.Context())
	if err != nil || applied != newest {
		t.Errorf("status: got %d, %d, %v", applied, newest, err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestHopelessErrorsAreToldFromPassingOnes(t *testing.T) {
	t.Parallel()
	c := pgtest.Shared(t)
	name, err := c.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE ROLE guest_" + name + " LOGIN PASSWORD 'guest'",
		"CREATE ROLE hasty_" + name + " LOGIN SUPERUSER PASSWORD 'hasty'",
		"ALTER ROLE hasty_" + name + " SET synchronous_commit = off",
		"CREATE DATABASE ascii_" + name + " TEMPLATE template0 ENCODING 'SQL_ASCII'",
	} {
		if err := c.Exec(t.Context(), name, statement); err != nil {
			t.Fatal(err)
		}
	}
	at := fmt.Sprintf("@127.0.0.1:%d/", c.Port)
	for _, tc := range []struct {
		name, url, want string
		hopeless        bool
	}{
		{"a wrong password", "postgres://till:canary" + at + name, "28P01", true},
		{"no such user", "postgres://nobody:canary" + at + name, "28P01", true},
		{"no such database", c.URL("nowhere"), "3D000", true},
		{"no right to make tables", "postgres://guest_" + name + ":guest" + at + name, "42501", true},
		{"commits that are not kept", "postgres://hasty_" + name + ":hasty" + at + name, "ALTER ROLE", true},
		{"texts that are not checked", c.URL("ascii_" + name), "ENCODING 'UTF8'", true},
		{"nobody listens", "postgres://till:canary@127.0.0.1:1/" + name, "refused", false},
		{"no such host", "postgres://till:canary@nowhere.invalid/" + name, "nowhere.invalid", false},
		{"no such socket", "postgres:///till?host=/nonexistent&user=till&password=canary", "nonexistent", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			err := openAbsent(t, tc.url).Migrate(t.Context())
			if err == nil || store.IsHopeless(err) != tc.hopeless || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got hopeless=%t, %v", store.IsHopeless(err), err)
			}
			if all := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(all, "canary") {
				t.Errorf("shows the password: %s", all)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestAURLThatCannotBeReadIsAnErrorWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://till:canary@host:port/till",
		"postgres://till:can/ary@host/till",
		"postgres://till:canary%zz@host/till",
		"postgres://till:canary@host:99999/till",
		"postgres://till:canary@host/till?sslmode=canary",
		"postgres://till:canary@host/till?sslrootcert=/nonexistent",
		"postgres://till@host/till?password=canary&sslmode=never",
		"postgres://till:canary@host/till?pool_max_conns=canary",
		"postgres://till:canary@host/till?pool_max_conns=0",
		"postgres://till:canary@[::1/till",
		"postgresql://till:canary@host/till?target_session_attrs=canary",
		"postgres://till:canary@host/till?connect_timeout=canary",
	} {
		s, err := store.Open(t.Context(), url, nil)
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", url)
			continue
		}
		if all := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(all, "canary") || strings.Contains(all, "ary@") {
			t.Errorf("%s: %s", url, all)
		}
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			if all := fmt.Sprintf("%+v %#v", inner, inner); strings.Contains(all, "canary") {
				t.Errorf("%s: %s", url, all)
			}
		}
	}
}

func TestWhatTheURLLeavesOpenIsSet(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	settings := func(url string) string {
		s := openMigrated(t, url)
		var app, timeout string
		err := s.Pool().QueryRow(t.Context(), "SELECT current_setting('application_name'), current_setting('statement_timeout')").Scan(&app, &timeout)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %s %d", app, timeout, s.Pool().Config().MaxConns)
	}
	if got := settings(url); got != "till 2s 10" {
		t.Errorf("got %q", got)
	}
	if got := settings(url + "&application_name=other&statement_timeout=1s&pool_max_conns=3"); got != "other 1s 3" {
		t.Errorf("got %q", got)
	}
}

// A server that accepts connections and says nothing, as behind a firewall that
// drops what it does not know.
func TestAServerThatSaysNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := openAbsent(t, "postgres://till:canary@"+l.Addr().String()+"/till?sslmode=disable")
	start := time.Now()
	if err := s.Migrate(t.Context()); err == nil || store.IsHopeless(err) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
}

func BenchmarkFind(b *testing.B) {
	for name, open := range map[string]func() *store.Store{
		"sqlite":   func() *store.Store { return open(b, newFile(b)) },
		"postgres": func() *store.Store { return openMigrated(b, pgtest.Database(b)) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open()
			r, err := s.Reserve(b.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k"))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Find(b.Context(), r.Owner); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
