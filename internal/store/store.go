// Package store keeps what must survive the process, in SQLite or Postgres. It
// decides how rows are written and read; what they mean is decided by the packages
// whose interfaces it implements.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"till/internal/customers"
)

// Store is a database. It is safe for concurrent use, and several processes may
// share the database: a file of SQLite those on one host, Postgres all.
type Store struct {
	engine engine
	now    func() time.Time
}

var _ customers.Ledger = (*Store)(nil)

// Open opens the database at databaseURL. now is the clock for times that the
// callers do not give; nil means time.Now.
//
// "sqlite://path" is a file, made if need be, in a directory that must exist. It
// is brought up to date here: what hinders that, hinders the start.
//
// "postgres://…" is a server that may be absent: only a URL that cannot be read
// is an error here. Everything but Migrate, Status and Close fails until Migrate
// has succeeded once.
func Open(ctx context.Context, databaseURL string, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	e, err := openEngine(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	return &Store{engine: e, now: now}, nil
}

func openEngine(ctx context.Context, databaseURL string) (engine, error) {
	path, ok := strings.CutPrefix(databaseURL, "sqlite://")
	switch {
	case ok && path != "":
		return openSQLite(ctx, path)
	case strings.HasPrefix(databaseURL, "postgres://"), strings.HasPrefix(databaseURL, "postgresql://"):
		return openPostgres(ctx, databaseURL)
	default:
		return nil, errors.New(`opening the database: the URL must be "sqlite://" and a path, or that of a Postgres database`)
	}
}

// Migrate brings the schema up to date, and is done at once where it is, or where
// a later version of the service has been. Any number of processes may call it
// together: each migration is run by one. After an error it can be called again,
// unless IsHopeless says that it is no use.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.engine.migrate(ctx); err != nil {
		return fmt.Errorf("bringing the database up to date: %w", err)
	}
	return nil
}

// Status returns the version that the schema of the database has, 0 for none, and
// the one that Migrate brings it to. It writes nothing.
func (s *Store) Status(ctx context.Context) (applied, newest int64, err error) {
	applied, newest, err = s.engine.versions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the version of the database: %w", err)
	}
	return applied, newest, nil
}

// Close closes the database, once the statements that are running have ended.
func (s *Store) Close() error { return s.engine.close() }

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
