// Package store keeps what must survive the process, in SQLite. It decides how
// rows are written and read; what they mean is decided by the packages whose
// interfaces it implements.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also the driver "sqlite", without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. It is safe for concurrent use, and several
// processes on one host may share the file.
type Store struct {
	// db is for reading. Writers take turns at SQLite's lock, so they have one
	// connection between them: those who wait must not keep readers out.
	db, writer *sql.DB
	now        func() time.Time
}

// Open opens the database at a URL of the form "sqlite://path" and brings its
// schema up to date. The directory must exist. now is the clock for times that
// the callers do not give; nil means time.Now.
func Open(ctx context.Context, databaseURL string, now func() time.Time) (*Store, error) {
	path, ok := strings.CutPrefix(databaseURL, "sqlite://")
	if !ok || path == "" {
		return nil, errors.New(`opening the database: the URL must be "sqlite://" and a path`)
	}
	if now == nil {
		now = time.Now
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	writer, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database: %w", err), db.Close())
	}
	writer.SetMaxOpenConns(1)
	s := &Store{db: db, writer: writer, now: now}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bringing the database up to date: %w", err), s.Close())
	}
	return s, nil
}

func dsn(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		// Well below the deadline of a request, which then says what it waited for.
		"busy_timeout(3000)",
		"journal_mode(WAL)",
		// FULL: a committed reservation survives a loss of power, which the
		// guarantee rests on. WAL alone would allow NORMAL to lose the last ones.
		"synchronous(FULL)",
		"foreign_keys(1)",
	}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// migrate applies the embedded migrations. Of several processes that start at
// once on a new file, the losers see errors about objects that exist already:
// they look again until nothing is left to do.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, files)
	if err != nil {
		return err
	}
	const tries = 20
	for try := 1; ; try++ {
		_, err := p.Up(ctx)
		if err == nil || try == tries || isHopeless(err) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// isHopeless reports whether the file itself is the trouble: another process
// that migrates has no part in it, and a second look will not help.
func isHopeless(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff { // the rest of an extended code is detail
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return true
	default:
		return false
	}
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.writer.Close(), s.db.Close()) }

func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func fromMillis(v sql.NullInt64) time.Time {
	if !v.Valid {
		return time.Time{}
	}
	return time.UnixMilli(v.Int64)
}
