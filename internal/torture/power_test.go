//go:build torture && linux

package torture_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"till/internal/store/storetest"
)

// TestTorturePowerLoss takes copies of a database and its log at random instants while they are
// written, as a disk would have them when the power goes, and opens them: everything that
// was confirmed before is there. What had not been confirmed may be damaged, and is.
func TestTorturePowerLoss(t *testing.T) {
	ctx := t.Context()
	r := dice(t.Name())
	n := sized(copies, 50, 1000)
	const perFile = 25
	var lost, bad []string
	confirmed := int64(0)
	began := time.Now()
	for done := 0; done < n; done += perFile {
		w, err := startWriter(t.TempDir())
		must(t, err)
		for range min(perFile, n-done) {
			wait(ctx, time.Duration(r.Int64N(int64(5*time.Millisecond))))
			c, err := w.copy(t.TempDir(), r)
			must(t, err)
			l, b := c.examine(ctx)
			lost, bad = append(lost, l...), append(bad, b...)
			must(t, os.RemoveAll(filepath.Dir(c.path)))
			confirmed += c.confirmed
		}
		must(t, w.kill())
	}
	report.fact(t, "duration", time.Since(began).Round(time.Second))
	report.judge(t, "copies", fmt.Sprint(n), n, true)
	report.judge(t, "confirmed transactions looked for", "> 0", confirmed, confirmed > 0)
	report.none(t, "lost", lost)
	report.none(t, "damaged databases", bad)
}

// writer writes transactions and confirms each, in a file, once it is committed.
type writer struct {
	*child
	dir string
}

func init() { roles["write"] = writeForEver }

func startWriter(dir string) (*writer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := launch("writer", []string{roleVariable + "=write", databaseVariable + "=" + dir}, self)
	if err != nil {
		return nil, err
	}
	w := &writer{c, dir}
	return w, c.until(func() bool { n, err := w.confirmed(); return err == nil && n > 0 })
}

// confirmed reads how many transactions were confirmed.
func (w *writer) confirmed() (int64, error) {
	text, err := os.ReadFile(filepath.Join(w.dir, "confirmed"))
	if err != nil || len(text) < 8 {
		return 0, errors.Join(err, errors.New("not yet"))
	}
	return int64(binary.BigEndian.Uint64(text)), nil
}

// writeForEver makes two transactions for each owner.
func writeForEver() error {
	ctx, dir := context.Background(), os.Getenv(databaseVariable)
	s, err := openStore(ctx, "sqlite://"+filepath.Join(dir, "till.db"))
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "confirmed"))
	if err != nil {
		return err
	}
	for n := uint64(0); ; {
		subject := fmt.Sprint(n)
		r, err := s.Reserve(ctx, storetest.Reservation(storetest.Owner(subject), 1, "key-"+subject))
		if err == nil {
			err = confirm(file, &n)
		}
		if err == nil {
			_, err = s.SpendKey(ctx, r)
		}
		if err == nil {
			err = confirm(file, &n)
		}
		if err != nil {
			return err
		}
	}
}

func confirm(file *os.File, n *uint64) error {
	*n++
	_, err := file.WriteAt(binary.BigEndian.AppendUint64(nil, *n), 0)
	return err
}

// snapshot is a copy of the files, and what was confirmed before it was taken.
type snapshot struct {
	path      string
	confirmed int64
	torn      string
}

// copy stops the writer between two of its system calls and copies what there is.
func (w *writer) copy(dir string, r *rand.Rand) (*snapshot, error) {
	if err := w.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	if err := w.until(w.stopped); err != nil {
		return nil, fmt.Errorf("the writer does not stop: %w", err)
	}
	c := &snapshot{path: filepath.Join(dir, "till.db")}
	var errs []error
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(filepath.Join(w.dir, "till.db"+suffix))
		if suffix == "-wal" && err == nil {
			text, c.torn = tear(text, r)
		}
		errs = append(errs, err, os.WriteFile(c.path+suffix, text, 0o600))
	}
	var err error
	c.confirmed, err = w.confirmed()
	return c, errors.Join(append(errs, err, w.signal(syscall.SIGCONT))...)
}

func (w *writer) stopped() bool {
	return hasStopped(w.cmd.Process.Pid)
}

// hasStopped reports whether every thread of a process has stopped.
func hasStopped(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		_, rest, _ := strings.Cut(string(text), ") ")
		if err == nil && !strings.HasPrefix(rest, "T") {
			return false
		}
	}
	return len(threads) > 0
}

// examine opens the copy as the next start would.
func (c *snapshot) examine(ctx context.Context) (lost, bad []string) {
	s, err := openStore(ctx, "sqlite://"+c.path)
	if err != nil {
		return nil, []string{fmt.Sprintf("%s (log %s): %v", c.path, c.torn, err)}
	}
	if err := s.Close(); err != nil {
		bad = append(bad, err.Error())
	}
	verdict, transactions, err := inspect(ctx, c.path)
	if err != nil || verdict != "ok" {
		bad = append(bad, fmt.Sprintf("log %s: %q, %v", c.torn, verdict, err))
	}
	// One more may be committed and not yet confirmed.
	if transactions < c.confirmed || transactions > c.confirmed+1 {
		lost = append(lost, fmt.Sprintf("%d confirmed, %d there (log %s)", c.confirmed, transactions, c.torn))
	}
	return lost, bad
}

// inspect asks SQLite for its judgement, and counts what a writer has written.
func inspect(ctx context.Context, path string) (verdict string, transactions int64, err error) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil {
		return "", 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT count(*) + coalesce(sum(key_spent), 0) FROM customers").Scan(&transactions)
	return verdict, transactions, err
}
