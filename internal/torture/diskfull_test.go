//go:build torture && linux

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"till/internal/customers"
	"till/internal/store"
	"till/internal/store/storetest"
)

// TestTortureDiskFull fills a disk of 1 MiB that a database lies on. What was confirmed stays,
// what cannot be confirmed is refused, and space is all it takes to go on.
func TestTortureDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		// Neither a CI without the right to mount nor one without root can do this.
		report.fact(t, "not possible here", err)
		t.Skip("mounting a small tmpfs:", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	t.Run("the store", func(t *testing.T) { fillStore(t, dir) })
	t.Run("the service", func(t *testing.T) { fillService(t, dir) })
}

// fillStore fills the disk again and again, each time by another amount.
func fillStore(t *testing.T, dir string) {
	ctx, r, n := t.Context(), dice(t.Name()), sized(perPoint, 10, 500)
	var bad []string
	refused := 0
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("till-%d.db", i))
		s, err := openStore(ctx, "sqlite://"+path)
		must(t, err)
		ballast, err := fill(dir, int64(r.IntN(64<<10)))
		must(t, err)
		written, err := reserveUntilRefused(ctx, s)
		if err != nil {
			refused++
		}
		must(t, os.Remove(ballast))
		if err := stillThere(ctx, s, written); err != nil {
			bad = append(bad, fmt.Sprintf("round %d: %v", i, err))
		}
		must(t, s.Close())
		if verdict, _, err := inspect(ctx, path); err != nil || verdict != "ok" {
			bad = append(bad, fmt.Sprintf("round %d: %q, %v", i, verdict, err))
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + suffix) // the last two may be gone already
		}
	}
	report.judge(t, "disks that ran full", fmt.Sprint(n), refused, refused == n)
	report.none(t, "databases damaged, or that do not go on", bad)
}

// reserveUntilRefused returns how many reservations were confirmed before the first refusal.
func reserveUntilRefused(ctx context.Context, s *store.Store) (int, error) {
	for i := range 10_000 {
		subject := fmt.Sprint(i)
		if _, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner(subject), 1, "key-"+subject)); err != nil {
			return i, err
		}
	}
	return 10_000, nil
}

// stillThere looks for what was confirmed, and whether writing works again.
func stillThere(ctx context.Context, s *store.Store, n int) error {
	for i := range n {
		if _, err := s.Find(ctx, storetest.Owner(fmt.Sprint(i))); err != nil {
			return fmt.Errorf("owner %d of %d: %w", i, n, err)
		}
	}
	_, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner("afterwards"), 1, "key-afterwards"))
	return err
}

// fill takes all space of a disk but so much.
func fill(dir string, but int64) (string, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ballast")
	size := max(0, int64(disk.Bavail)*disk.Bsize-but)
	return path, os.WriteFile(path, make([]byte, size), 0o600)
}

// fillService fills the disk under a running service.
func fillService(t *testing.T, dir string) {
	ctx := t.Context()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=8m"))
	st, err := startStripe(ctx)
	must(t, err)
	t.Cleanup(func() { _ = st.kill() })
	databaseURL := "sqlite://" + filepath.Join(dir, "served.db")
	f, err := newFleet(ctx, t.TempDir(), databaseURL, st.base, 1)
	must(t, err)
	t.Cleanup(func() { must(t, f.stop()) })
	must(t, f.start(ctx))
	at := func(int) string { return *f.slots[0].base.Load() }

	before := &crowd{fleet: f, owners: crowdOf("before", 40), seen: newSeen()}
	unserved, err := before.once(ctx, at)
	must(t, err)
	report.none(t, "owners unserved before", unserved)

	ballast, err := fill(dir, 0)
	must(t, err)
	during := &crowd{fleet: f, owners: crowdOf("during", 400), seen: newSeen()}
	refused, err := during.once(ctx, at)
	must(t, err)
	report.fact(t, "new owners on a full disk", during.seen.histogram())
	report.judge(t, "new owners refused on a full disk", "> 0", len(refused), len(refused) > 0)
	report.none(t, "answers that are no 503", during.seen.odd)
	known, err := before.once(ctx, at)
	must(t, err)
	report.none(t, "known owners unserved on a full disk", known)
	report.none(t, "customers made without a reservation", unreserved(ctx, t, st, databaseURL, during.owners))

	must(t, os.Remove(ballast))
	// The log alone grows to 4 MiB before SQLite begins it again.
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"))
	wait(ctx, time.Second) // as the answers ask for
	again, err := during.once(ctx, at)
	must(t, err)
	report.none(t, "owners unserved once there is space again, without a restart", again)
	all := append(append([]owner(nil), before.owners...), during.owners...)
	w, err := learn(ctx, st, databaseURL, all)
	must(t, err)
	w.hold(t, all, during.seen)
	must(t, f.stop())
	verdict, _, err := inspect(ctx, filepath.Join(dir, "served.db"))
	report.judge(t, "integrity_check", "ok", fmt.Sprint(verdict, errText(err)), verdict == "ok" && err == nil)
}

// unreserved are owners with a customer at Stripe and no row.
func unreserved(ctx context.Context, t *testing.T, st *stripe, databaseURL string, owners []owner) []string {
	t.Helper()
	all, err := st.customers(ctx)
	must(t, err)
	has := map[string]bool{}
	for _, c := range all {
		has[c.owner()] = true
	}
	s, err := openStore(ctx, databaseURL)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	var found []string
	for _, o := range owners {
		if _, err := s.Find(ctx, o.key(st.account)); errors.Is(err, customers.ErrNoRecord) && has[o.String()] {
			found = append(found, o.String())
		}
	}
	return found
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return " " + err.Error()
}
