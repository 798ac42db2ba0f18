package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"till/internal/audit"
	"till/internal/customers"
	"till/internal/store"
	"till/internal/store/pgtest"
	"till/internal/store/storetest"
)

// The statements of the version that knew the first migration only, word for word.
func TestABinaryOfBeforeGoesOnWritingBesideTheNewSchema(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	at := storetest.Base.UnixMilli()
	owner := []any{"acct_1", true, "https://id.example.com/", "user", "alice"}
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{`INSERT INTO customers
		(account, livemode, issuer, kind, subject, generation, state, idempotency_key, params, stripe_version, reserved_at)
		VALUES (?, ?, ?, ?, ?, ?, 'reserved', ?, ?, ?, ?)
		ON CONFLICT (account, livemode, issuer, kind, subject) DO NOTHING`, append(owner[:5:5], 1, "k1", "params", "2023-10-16", at)},
		{
			`UPDATE customers
		SET first_attempt_at = coalesce(first_attempt_at, ?), last_attempt_at = max(coalesce(last_attempt_at + 1, 0), ?)
		WHERE account = ? AND livemode = ? AND issuer = ? AND kind = ? AND subject = ? AND generation = ? AND state = 'reserved' AND key_spent = 0`,
			append(append([]any{at, at}, owner...), 1),
		},
		{
			`UPDATE customers SET key_spent = 1 WHERE account = ? AND livemode = ? AND issuer = ? AND kind = ? AND subject = ? AND generation = ? AND state = 'reserved'`,
			append(owner[:5:5], 1),
		},
		{
			`UPDATE customers SET generation = ?, idempotency_key = ?, params = ?, stripe_version = ?,
		key_spent = 0, reserved_at = ?, first_attempt_at = NULL, last_attempt_at = NULL
		WHERE account = ? AND livemode = ? AND issuer = ? AND kind = ? AND subject = ? AND generation = ? AND state = 'reserved' AND last_attempt_at IS ?`,
			append(append([]any{2, "k2", "params", "2023-10-16", at}, owner...), 1, at),
		},
		{
			`UPDATE customers SET state = 'active', customer = ?, activated_at = ?
		WHERE account = ? AND livemode = ? AND issuer = ? AND kind = ? AND subject = ? AND generation = ? AND state = 'reserved'`,
			append(append([]any{"cus_1", at}, owner...), 2),
		},
	} {
		res, err := s.Writer().ExecContext(t.Context(), step.statement, step.args...)
		if err != nil {
			t.Fatalf("%s: %v", step.statement, err)
		}
		if n, err := res.RowsAffected(); n != 1 || err != nil {
			t.Fatalf("%s: %d rows, %v", step.statement, n, err)
		}
	}
	r, err := s.Find(t.Context(), storetest.Owner("alice"))
	if err != nil || r.CustomerID != "cus_1" || r.Generation != 2 || !r.HealedAt.IsZero() || r.Sent != (customers.Sent{}) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestASchemaOfALaterVersionIsNoHindrance(t *testing.T) {
	t.Parallel()
	const later = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, TRUE)"
	path := newFile(t)
	for name, reopen := range map[string]func(*testing.T) (*store.Store, error){
		"sqlite": func(t *testing.T) (*store.Store, error) {
			s := open(t, path)
			_, err := s.Writer().ExecContext(t.Context(), later)
			s.Close()
			if err != nil {
				return nil, err
			}
			return store.Open(t.Context(), "sqlite://"+path, nil)
		},
		"postgres": func(t *testing.T) (*store.Store, error) {
			url := pgtest.Database(t)
			s := openMigrated(t, url)
			_, err := s.Pool().Exec(t.Context(), later)
			s.Close()
			if err != nil {
				return nil, err
			}
			return store.Open(t.Context(), url, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := reopen(t)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if applied, newest, err := s.Status(t.Context()); err != nil || applied != 99 || newest >= 99 {
				t.Errorf("status: got %d, %d, %v", applied, newest, err)
			}
			if _, err := s.Reserve(t.Context(), storetest.Reservation(storetest.Owner("alice"), 1, "k")); err != nil {
				t.Error(err)
			}
		})
	}
}

// The service's own user need not be allowed to change the schema, where another
// migrates.
func TestNoRightToMigrateIsNeededWhereNothingIsLeftToDo(t *testing.T) {
	t.Parallel()
	c := pgtest.Shared(t)
	name, err := c.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	openMigrated(t, c.URL(name))
	for _, statement := range []string{
		"CREATE ROLE clerk_" + name + " LOGIN PASSWORD 'clerk'",
		"GRANT SELECT, INSERT, UPDATE ON customers, found_customers, stripe_accounts TO clerk_" + name,
		"GRANT SELECT, INSERT, DELETE ON audit_events TO clerk_" + name,
		"GRANT SELECT ON goose_db_version TO clerk_" + name,
	} {
		if err := c.Exec(t.Context(), name, statement); err != nil {
			t.Fatal(err)
		}
	}
	s := openMigrated(t, fmt.Sprintf("postgres://clerk_%s:clerk@127.0.0.1:%d/%s", name, c.Port, name))
	if _, err := protocol(t.Context(), s, "alice", "cus_1"); err != nil {
		t.Error(err)
	}
	if err := s.AppendEvents(t.Context(), []audit.Event{storetest.Event("a", 0)}); err != nil {
		t.Error(err)
	}
	if n, err := s.DeleteEvents(t.Context(), storetest.Base.Add(time.Hour), 10); n != 1 || err != nil {
		t.Errorf("%d events were deleted, %v", n, err)
	}
	if _, err := s.Pool().Exec(t.Context(), "DROP TABLE customers"); err == nil {
		t.Error("the clerk may do more than it needs")
	}
}

// A pooler forgets what a session was told, and nobody may queue behind a migration.
func TestEveryPostgresMigrationBoundsItsLocksInItsTransaction(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/postgres/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, want := range []string{"SET LOCAL statement_timeout = 0;", "SET LOCAL lock_timeout = "} {
			if !strings.Contains(up, want) {
				t.Errorf("%s has no %s", file, want)
			}
		}
		if strings.Contains(up, "NO TRANSACTION") {
			t.Errorf("%s: a kill in the middle would leave a part of it", file)
		}
	}
}

func TestThreeProcessesMigrateAndReserveInPostgresOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	raceForOwners(t, url)
	s := openMigrated(t, url)
	isMigratedOnce(t, s)
	var n int
	if err := s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM customers").Scan(&n); err != nil || n != racedOwners {
		t.Errorf("got %d rows, %v, want %d", n, err, racedOwners)
	}
}

func isMigratedOnce(t *testing.T, s *store.Store) {
	t.Helper()
	var twice int
	err := s.Pool().QueryRow(t.Context(), "SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version").Scan(&twice)
	if err != nil || twice != 0 {
		t.Errorf("%d migrations were run twice, %v", twice, err)
	}
	if applied, newest, err := s.Status(t.Context()); err != nil || applied != newest {
		t.Errorf("status: got %d, %d, %v", applied, newest, err)
	}
}

// Half of the kills fall where chance wants, half of them surely within: a table of
// the same name, in a transaction of another, holds the migration up.
func TestAKilledMigrationIsCompletedByTheNextStart(t *testing.T) {
	t.Parallel()
	kills, within := 10, 0
	if testing.Short() {
		kills = 4
	}
	for kill := range kills {
		url := pgtest.Database(t)
		var hold func()
		if kill%2 == 0 {
			hold = holdUp(t, url)
		}
		p := start(t, "migrate", url, "")
		p.ready(t)
		fmt.Fprintln(p.in, "go")
		if hold != nil {
			if awaitBlocked(t, url) {
				within++
			}
		} else {
			time.Sleep(time.Duration(kill) * 4 * time.Millisecond)
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.Wait()
		if hold != nil {
			hold()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		s := openAbsent(t, url)
		for {
			err := s.Migrate(ctx)
			if err == nil {
				break
			}
			if store.IsHopeless(err) || ctx.Err() != nil {
				t.Fatalf("kill %d: %v", kill, err)
			}
		}
		cancel()
		isMigratedOnce(t, s)
		if _, err := protocol(t.Context(), s, "alice", "cus_1"); err != nil {
			t.Errorf("kill %d: %v", kill, err)
		}
		s.Close()
	}
	if within == 0 {
		t.Error("no kill fell within a migration")
	}
	t.Logf("%d kills, %d surely within the migration", kills, within)
}

// holdUp takes the name of the migration's last table until the function is called.
func holdUp(t *testing.T, url string) (letGo func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "CREATE TABLE stripe_accounts ()"); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = tx.Rollback(context.Background())
		conn.Close(context.Background())
	}
}

func awaitBlocked(t *testing.T, url string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		var blocked int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%stripe_accounts%'`).Scan(&blocked)
		if err != nil {
			t.Fatal(err)
		}
		if blocked > 0 {
			return true
		}
	}
	return false
}

// Rows that the schema forbids, as somebody might leave them who edits by hand:
// what they mean is not the store's to say.
func TestOddRowsAreReturnedAsTheyAre(t *testing.T) {
	t.Parallel()
	const odd = `INSERT INTO customers (account, livemode, issuer, kind, subject, generation, state, customer, idempotency_key, params, stripe_version, reserved_at)
		VALUES ('acct_1', TRUE, 'https://id.example.com/', 'user', 'alice', -3, 'retired', '', '', '', '', 0)`
	want := customers.Record{
		Owner: storetest.Owner("alice"), Generation: -3, State: "retired", ReservedAt: time.UnixMilli(0),
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := open(t, newFile(t))
		execAll(t, s.Writer(), "PRAGMA ignore_check_constraints = ON", odd)
		if got, err := s.Find(t.Context(), want.Owner); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s := openMigrated(t, pgtest.Database(t))
		for _, statement := range []string{`DO $$ DECLARE c text; BEGIN
			FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = 'customers'::regclass AND contype = 'c' LOOP
				EXECUTE format('ALTER TABLE customers DROP CONSTRAINT %I', c);
			END LOOP; END $$`, odd} {
			if _, err := s.Pool().Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Find(t.Context(), want.Owner); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func execAll(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
