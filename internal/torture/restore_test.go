//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"till/internal/store/pgtest"
)

// backup keeps what a database was, and brings it back; the service is not running.
type backup interface {
	take(ctx context.Context) error
	restore(ctx context.Context) error
}

// TestTortureRestore brings yesterday's backup back, after Stripe has forgotten the keys.
func TestTortureRestore(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		url := newFile(t)
		path := strings.TrimPrefix(url, "sqlite://")
		restored(t, url, &fileBackup{path: path, copy: path + ".backup"}, true)
	})
	t.Run("postgres", func(t *testing.T) {
		c := startCluster(t)
		name, err := c.NewDatabase()
		must(t, err)
		restored(t, c.URL(name), &templateBackup{c, name}, true)
	})
	// What the reconciliation is for: a check that cannot fail is none.
	t.Run("without reconciliation", func(t *testing.T) {
		url := newFile(t)
		path := strings.TrimPrefix(url, "sqlite://")
		restored(t, url, &fileBackup{path: path, copy: path + ".backup"}, false)
	})
}

func restored(t *testing.T, databaseURL string, b backup, reconcile bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	st, f := stage(ctx, t, databaseURL, serene())
	at := func(i int) string { return *f.slots[i%3].base.Load() }
	n := sized(owners, 60, 1000)
	known := &crowd{fleet: f, owners: crowdOf("known", n), seen: newSeen()}
	later := &crowd{fleet: f, owners: crowdOf("later", n), seen: newSeen()}
	served(ctx, t, known, at)
	must(t, f.stop())
	must(t, b.take(ctx))
	taken, err := st.now(ctx)
	must(t, err)
	must(t, f.start(ctx))

	served(ctx, t, later, at)
	healed, err := replaceSome(ctx, st, f, known, at)
	must(t, err)
	abandoned, err := abandon(ctx, st, f, crowdOf("abandoned", n/4), at)
	must(t, err)
	must(t, f.stop())
	must(t, st.advance(ctx, 25*time.Hour))
	must(t, b.restore(ctx))
	if reconcile {
		said, err := f.run(ctx, "customers", "reconcile", "--since", taken.UTC().Format(time.RFC3339))
		must(t, err)
		report.fact(t, "reconcile said", strings.Join(strings.Fields(said), " "))
	}
	must(t, f.start(ctx))
	everybody := &crowd{fleet: f, seen: newSeen()}
	everybody.owners = append(append(append(everybody.owners, known.owners...), later.owners...), abandoned...)
	stuck, err := everybody.once(ctx, at)
	must(t, err)
	w, err := learn(ctx, st, databaseURL, everybody.owners)
	must(t, err)
	twice := w.twice()
	report.fact(t, "owners: in the backup / since / replaced since / abandoned by a dead request since",
		fmt.Sprintf("%d / %d / %d / %d", n, n, healed, len(abandoned)))
	if !reconcile {
		report.judge(t, "owners with two customers, since nobody reconciled", "> 0", len(twice), len(twice) > 0)
		return
	}
	report.none(t, "owners unserved in the end", stuck)
	for o, ids := range later.seen.given { // the same as then
		for id := range ids {
			everybody.seen.note(o, reply{status: "before", customer: id}, 0)
		}
	}
	w.hold(t, everybody.owners, everybody.seen)
}

func served(ctx context.Context, t *testing.T, c *crowd, at func(int) string) {
	t.Helper()
	stuck, err := c.once(ctx, at)
	must(t, err)
	report.none(t, "owners unserved before", stuck)
}

// replaceSome deletes every fifth owner's customer at Stripe, so that the owner gets
// another: the backup then names one that is gone.
func replaceSome(ctx context.Context, st *stripe, f *fleet, c *crowd, at func(int) string) (int, error) {
	some := &crowd{fleet: f, seen: newSeen()}
	for i := 0; i < len(c.owners); i += 5 {
		o := c.owners[i]
		for id := range c.seen.given[o] {
			if err := st.call(ctx, http.MethodDelete, "/v1/customers/"+id, nil, nil); err != nil {
				return 0, err
			}
		}
		some.owners = append(some.owners, o)
	}
	stuck, err := some.once(ctx, at)
	if len(stuck) > 0 {
		err = errors.Join(err, fmt.Errorf("not healed: %v", stuck))
	}
	return len(some.owners), err
}

// abandon lets owners come whose requests end in the dark: Stripe makes the customer, says
// nothing, and nobody comes again.
func abandon(ctx context.Context, st *stripe, f *fleet, owners []owner, at func(int) string) ([]owner, error) {
	if err := st.call(ctx, http.MethodPost, "/sandbox/v1/faults",
		object{"operation": "customers.create", "kind": "created_then_silence"}, nil); err != nil {
		return nil, err
	}
	c := &crowd{fleet: f, owners: owners, seen: newSeen()}
	if _, err := c.once(ctx, at); err != nil {
		return nil, err
	}
	// The sweepers would settle them within seconds; the processes end before.
	if err := f.stop(); err != nil {
		return nil, err
	}
	_, err := st.heal(ctx)
	return owners, err
}

// TestTortureOldReservation is a reservation that outlives its key: a request dies in the dark,
// and its owner comes again the next day.
func TestTortureOldReservation(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"created_then_silence", "created_then_500", "failed_500", "drop"} {
		t.Run(kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			url := newFile(t)
			st, f := stage(ctx, t, url, serene())
			at := func(i int) string { return *f.slots[i%3].base.Load() }
			c := &crowd{fleet: f, owners: crowdOf("old", sized(owners, 40, 400)), seen: newSeen()}
			must(t, st.call(ctx, http.MethodPost, "/sandbox/v1/faults", object{"operation": "customers.create", "kind": kind}, nil))
			early, err := c.once(ctx, at)
			must(t, err)
			must(t, f.stop())
			_, err = st.heal(ctx)
			must(t, err)
			must(t, st.advance(ctx, 25*time.Hour))
			must(t, f.start(ctx))
			report.judge(t, "owners whose first request failed", fmt.Sprint(len(c.owners)), len(early), len(early) == len(c.owners))
			settleAll(ctx, t, c, st, url)
		})
	}
}

// fileBackup is a copy of a database of SQLite.
type fileBackup struct{ path, copy string }

func (b *fileBackup) take(ctx context.Context) error {
	// Whoever opens it last folds the log into it.
	s, err := openStore(ctx, "sqlite://"+b.path)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	text, err := os.ReadFile(b.path)
	return errors.Join(err, os.WriteFile(b.copy, text, 0o600))
}

func (b *fileBackup) restore(context.Context) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(b.path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(b.copy, b.path)
}

// templateBackup is a second database of a Postgres.
type templateBackup struct {
	cluster *pgtest.Cluster
	name    string
}

func (b *templateBackup) take(ctx context.Context) error {
	return b.copy(ctx, b.name, b.name+"_backup")
}

func (b *templateBackup) restore(ctx context.Context) error {
	if err := b.cluster.Exec(ctx, "postgres", "DROP DATABASE "+b.name+" WITH (FORCE)"); err != nil {
		return err
	}
	return b.copy(ctx, b.name+"_backup", b.name)
}

func (b *templateBackup) copy(ctx context.Context, from, to string) error {
	// The connections of processes that were killed may take a moment to end.
	err := b.cluster.Exec(ctx, "postgres",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+from+"'")
	return errors.Join(err, b.cluster.Exec(ctx, "postgres", "CREATE DATABASE "+to+" TEMPLATE "+from))
}
