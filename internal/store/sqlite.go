package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also the driver "sqlite", without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

// file is a database of SQLite.
type file struct {
	path string
	// opened is the file that path named when it was opened.
	opened os.FileInfo
	// Writers take turns at SQLite's lock, so they have one connection between
	// them: those who wait must not keep readers out.
	reader, writer *sql.DB
}

func openSQLite(ctx context.Context, path string) (*file, error) {
	reader, err := sql.Open("sqlite", dsn(path, patience))
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	reader.SetMaxOpenConns(8)
	reader.SetMaxIdleConns(8)
	writer, err := sql.Open("sqlite", dsn(path, glance))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database: %w", err), reader.Close())
	}
	writer.SetMaxOpenConns(1)
	f := &file{path: path, reader: reader, writer: writer}
	if err := f.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bringing the database up to date: %w", err), f.close())
	}
	if f.opened, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database: %w", err), f.close())
	}
	return f, nil
}

// SQLite itself looks for a lock every 100 ms in the end: a process whose writers
// follow each other closely would starve the others. So ours looks more often.
const (
	patience   = 3 * time.Second
	glance     = 20 * time.Millisecond
	lookEvery  = 5 * time.Millisecond
	lockWithin = 8 * time.Second // below the deadline of a request, which then says what it waited for
)

func dsn(path string, busy time.Duration) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()),
		"journal_mode(WAL)",
		// FULL: a committed reservation survives a loss of power, which the
		// guarantee rests on. WAL alone would allow NORMAL to lose the last ones.
		"synchronous(FULL)",
		"foreign_keys(1)",
	}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// exec uses Exec and not RETURNING: the commit must be known to have succeeded,
// and only Exec runs the statement to its end before it returns.
func (f *file) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	if err := f.isInPlace(); err != nil {
		return 0, err
	}
	res, err := f.write(ctx, statement, args)
	if err != nil {
		return 0, err
	}
	// Again: what was written into a file that went away meanwhile is lost.
	if err := f.isInPlace(); err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// write waits for its turn, first in this process and then among them all.
func (f *file) write(ctx context.Context, statement string, args []any) (res sql.Result, err error) {
	var conn *sql.Conn
	// Making a connection looks at the file too.
	if err := untilFree(ctx, func() (err error) { conn, err = f.writer.Conn(ctx); return err }); err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // gives it back
	// With the connection kept, nobody of this process comes in between.
	err = untilFree(ctx, func() (err error) { res, err = conn.ExecContext(ctx, statement, args...); return err })
	return res, err
}

// untilFree tries until another process's lock is gone, the time is over, or ctx.
func untilFree(ctx context.Context, try func() error) error {
	for end := time.Now().Add(lockWithin); ; {
		err := try()
		if !isBusy(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(rand.N(lookEvery)): //nolint:gosec // jitter, not a secret
		case <-ctx.Done():
			return err
		}
	}
}

// isBusy reports whether another process had the lock, and nothing was done.
func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// isInPlace holds the open file against the one that the next start would open.
// A reservation in any other would be gone then, and its customer made twice.
func (f *file) isInPlace() error {
	now, err := os.Stat(f.path)
	if err == nil && os.SameFile(f.opened, now) {
		return nil
	}
	lost := fmt.Errorf("the file %s is no longer the one that was opened: put that one back, or restart on the one that counts", f.path)
	return errors.Join(lost, err)
}

func (f *file) queryRow(ctx context.Context, dest []any, query string, args ...any) error {
	return f.reader.QueryRowContext(ctx, query, args...).Scan(dest...)
}

func (f *file) query(ctx context.Context, each func(scan) error, query string, args ...any) error {
	rows, err := f.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says it too
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// clock is the host's: those who share the file are on one.
func (*file) clock() string { return "CAST(unixepoch('subsec') * 1000 AS INTEGER)" }

// migrate applies the embedded migrations. Of several processes that start at
// once on a new file, the losers see errors about objects that exist already:
// they look again until nothing is left to do.
func (f *file) migrate(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(f.path, patience))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing is left in it
	db.SetMaxOpenConns(1)
	p, err := provider(db, goose.DialectSQLite3, "sqlite")
	if err != nil {
		return err
	}
	const tries = 20
	for try := 1; ; try++ {
		_, err := p.Up(ctx)
		if err == nil || try == tries || IsHopeless(err) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (f *file) versions(ctx context.Context) (applied, newest int64, err error) {
	return versionsOf(ctx, f.reader, goose.DialectSQLite3, "sqlite")
}

func (f *file) close() error { return errors.Join(f.writer.Close(), f.reader.Close()) }
