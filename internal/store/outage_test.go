package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"till/internal/customers"
	"till/internal/store"
	"till/internal/store/pgtest"
	"till/internal/store/storetest"
)

// quickly is the longest that any call may take: a wait for a connection, and one
// for the answer. The rest is for a machine that does much else.
const quickly = 3*time.Second + 500*time.Millisecond

// writes reserves an owner that nobody has yet.
func writes(ctx context.Context, s *store.Store) error {
	key := strconv.FormatInt(serial.Add(1), 10)
	_, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner("serial-"+key), 1, key))
	return err
}

var serial atomic.Int64

// worksWithin tries until a write succeeds, and fails the test if one takes too long.
func worksWithin(t *testing.T, s *store.Store, limit time.Duration) (took time.Duration) {
	t.Helper()
	start := time.Now()
	for {
		called := time.Now()
		err := writes(t.Context(), s)
		if call := time.Since(called); call > quickly {
			t.Errorf("a call took %v", call)
		}
		took = time.Since(start)
		switch {
		case err == nil:
			return took
		case took > limit:
			t.Fatalf("after %v: %v", took, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAServerThatIsStoppedIsAnErrorUntilItIsBack(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.Options{})
	s := openMigrated(t, c.Database(t))
	for name, stop := range map[string]func() error{
		"fast":      func() error { return c.Stop(pgtest.Fast) },
		"immediate": func() error { return c.Stop(pgtest.Immediate) },
		"kill -9":   c.Kill,
	} {
		if err := writes(t.Context(), s); err != nil {
			t.Fatalf("before %s: %v", name, err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			start := time.Now()
			err := writes(t.Context(), s)
			if took := time.Since(start); err == nil || took > time.Second {
				t.Errorf("%s: got %v after %v, want an error at once", name, err, took)
			}
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: works again after %v", name, worksWithin(t, s, 3*time.Second))
	}
}

// Two connections, both held up by a lock, and five hundred who want one.
func TestManyCallersOfFewSlowConnectionsAreAllAnswered(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := openMigrated(t, url+"&pool_max_conns=2")
	r, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	lock, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), "SELECT FROM customers FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var (
		wg       sync.WaitGroup
		answered atomic.Int64
		longest  atomic.Int64
	)
	for range 500 {
		wg.Go(func() {
			_, err := s.Attempt(t.Context(), r, customers.At(storetest.Base))
			if err == nil || errors.Is(err, customers.ErrChanged) {
				t.Errorf("got %v past the lock", err)
			}
			answered.Add(1)
			longest.Store(max(longest.Load(), int64(time.Since(start))))
		})
	}
	wg.Wait()
	if got := time.Duration(longest.Load()); answered.Load() != 500 || got > quickly {
		t.Errorf("%d were answered, the last after %v", answered.Load(), got)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("the last was answered after %v; works again after %v", time.Duration(longest.Load()), worksWithin(t, s, time.Second))
	if got, err := s.Find(t.Context(), r.Owner); err != nil || !got.LastAttemptAt.IsZero() {
		t.Errorf("what was answered with an error was done later: %+v, %v", got, err)
	}
}

// The connection may end before, within or after the commit: what was answered
// without an error is there, and what was answered with one is there whole or not.
func TestAConnectionThatEndsWithinACommitTellsNoLies(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, other := openMigrated(t, url), openMigrated(t, url+"&application_name=other")
	killing, stop := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killed := 0
	killer.Go(func() {
		for killing.Err() == nil {
			var n int
			err := other.Pool().QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = 'till' AND datname = current_database() AND state = 'active'`).Scan(&n)
			if err != nil {
				t.Error(err)
				return
			}
			killed += n
		}
	})
	succeeded, failed := 0, 0
	for i := range 600 {
		owner := storetest.Owner(fmt.Sprint("user", i))
		r, err := s.Reserve(t.Context(), storetest.Reservation(owner, 1, fmt.Sprint("k", i)))
		want := "reserved"
		if err == nil {
			if _, err = s.Activate(t.Context(), r, storetest.Customer(fmt.Sprint("cus_", i), 1)); err == nil {
				want = "active"
				succeeded++
			}
		} else {
			want = ""
		}
		if err != nil {
			failed++
		}
		got, findErr := other.Find(t.Context(), owner)
		switch {
		case errors.Is(err, customers.ErrChanged), errors.Is(err, customers.ErrNoRecord), errors.Is(err, customers.ErrTaken):
			t.Errorf("%d: a lost connection was taken for an answer: %v", i, err)
		case want == "" && errors.Is(findErr, customers.ErrNoRecord):
		case findErr != nil:
			t.Errorf("%d: was %q, %v and is lost: %v", i, want, err, findErr)
		case want == "active" && got.CustomerID != fmt.Sprint("cus_", i), got.IdempotencyKey != fmt.Sprint("k", i):
			t.Errorf("%d: was %q and is %+v", i, want, got)
		}
	}
	stop()
	killer.Wait()
	t.Logf("%d succeeded, %d failed, %d connections were ended", succeeded, failed, killed)
	if failed == 0 {
		t.Error("no connection ended at the wrong moment")
	}
	worksWithin(t, s, time.Second)
}

func TestAPromotedStandbyIsWrittenToWithoutARestart(t *testing.T) {
	t.Parallel()
	first := pgtest.Start(t, pgtest.Options{})
	name, err := first.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	second := first.StartStandby(t)
	s := openMigrated(t, pgtest.URL(name, first, second))
	alone := openMigrated(t, first.URL(name))
	if err := writes(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	follows(t, second, first, name)

	lost := time.Now()
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := writes(t.Context(), s); err == nil {
		t.Error("written without a primary")
	}
	if err := second.Promote(); err != nil {
		t.Fatal(err)
	}
	t.Logf("works again %v after the promotion, %v after the kill", worksWithin(t, s, 10*time.Second), time.Since(lost))

	// The old one comes back where the URL looks first.
	if err := first.StartReadOnly(); err != nil {
		t.Fatal(err)
	}
	s.Pool().Reset()
	for range 20 {
		if err := writes(t.Context(), s); err != nil {
			t.Errorf("beside an old primary: %v", err)
		}
	}
	if err := writes(t.Context(), alone); err == nil {
		t.Error("the old primary takes writes")
	}
	if old, now := count(t, first, name), count(t, second, name); now < old+21 {
		t.Errorf("the old primary has %d rows, the new one %d", old, now)
	}
}

// A primary that is demoted without an end of its connections says so with each
// statement.
func TestADemotedPrimaryIsLeftAtItsFirstWord(t *testing.T) {
	t.Parallel()
	first := pgtest.Start(t, pgtest.Options{})
	name, err := first.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	second := first.StartStandby(t)
	s := openMigrated(t, pgtest.URL(name, first, second))
	if err := writes(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	follows(t, second, first, name)
	if err := second.Promote(); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"} {
		if err := first.Exec(t.Context(), name, statement); err != nil {
			t.Fatal(err)
		}
	}
	before := count(t, second, name)
	t.Log("works again after", worksWithin(t, s, 10*time.Second))
	if after := count(t, second, name); after == before {
		t.Error("nothing was written to the new primary")
	}
}

// The network drops everything, as when a machine is gone: no connection ends, none
// answers.
func TestAPrimaryThatFallsSilentIsLeft(t *testing.T) {
	t.Parallel()
	first := pgtest.Start(t, pgtest.Options{})
	name, err := first.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	second := first.StartStandby(t)
	wire := newWire(t, first.Port)
	s := openMigrated(t, fmt.Sprintf("postgres://till:pgtest@%s,127.0.0.1:%d/%s?sslmode=disable", wire.addr, second.Port, name))
	if err := writes(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	follows(t, second, first, name)
	// All connections are in use when it happens.
	busy, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 20 {
		load.Go(func() {
			for busy.Err() == nil {
				if writes(busy, s) != nil {
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	for s.Pool().Stat().AcquiredConns() < 10 {
		time.Sleep(time.Millisecond)
	}
	wire.silent.Store(true)
	if err := second.Promote(); err != nil {
		t.Fatal(err)
	}
	t.Log("works again after", worksWithin(t, s, 10*time.Second))
	stop()
	load.Wait()
}

// follows waits until the standby has all rows of the primary.
func follows(t *testing.T, standby, primary *pgtest.Cluster, database string) {
	t.Helper()
	want := count(t, primary, database)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var got int
		// The table itself may have yet to come.
		if err := standby.QueryRow(t.Context(), database, "SELECT count(*) FROM customers", &got); err == nil && got == want {
			return
		}
	}
	t.Fatal("the standby does not follow")
}

func count(t *testing.T, c *pgtest.Cluster, database string) (rows int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), database, "SELECT count(*) FROM customers", &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// wire forwards to a port until it is silent.
type wire struct {
	addr   string
	silent atomic.Bool
}

func newWire(t *testing.T, port int) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wire{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { client.Close() })
			server, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				client.Close()
				continue
			}
			go w.copy(server, client)
			go w.copy(client, server)
		}
	}()
	return w
}

func (w *wire) copy(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if w.silent.Load() {
			return
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			to.Close()
			return
		}
	}
}
