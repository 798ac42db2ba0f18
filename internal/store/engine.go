package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"till/internal/audit"
)

// engine is one kind of database. Statements are written once, in what the two
// dialects have in common, with $1, $2 and so on for their arguments.
type engine interface {
	// exec runs a statement to its end and returns how many rows it changed.
	// Without an error it is committed.
	exec(ctx context.Context, statement string, args ...any) (int64, error)
	// queryRow scans the only row into dest; sql.ErrNoRows if there is none.
	queryRow(ctx context.Context, dest []any, query string, args ...any) error
	// query calls each once per row.
	query(ctx context.Context, each func(scan) error, query string, args ...any) error
	// eventRows is a query that returns the events, in the order of auditColumns.
	eventRows(events []audit.Event) (rows string, args []any, err error)
	// clock is an expression for the database's own time, in unix milliseconds.
	clock() string
	migrate(ctx context.Context) error
	versions(ctx context.Context) (applied, newest int64, err error)
	use() poolUse
	close() error
}

// scan reads the columns of one row.
type scan func(dest ...any) error

// IsHopeless reports whether an error of Open or Migrate will stand until
// somebody changes the database or the configuration: trying again is no use.
func IsHopeless(err error) bool {
	if _, ok := errors.AsType[*unfitError](err); ok {
		return true
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return isFileTrouble(e)
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "28P01", "28000", // the password, the user or pg_hba.conf
		"3D000", // there is no such database
		"42501", // the user may not do this
		"3F000", // there is no schema to make tables in
		"42704": // the server does not know a setting that the URL names
		return true
	default:
		return false
	}
}

// unfitError says what must be changed about a database that can be reached.
type unfitError struct{ reason string }

func (e *unfitError) Error() string { return e.reason }

// isFileTrouble reports whether the file itself is the trouble: another process
// that migrates has no part in it, and a second look will not help.
func isFileTrouble(e *sqlite.Error) bool {
	switch e.Code() & 0xff { // the rest of an extended code is detail
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return true
	default:
		return false
	}
}

// isTaken reports whether the index that gives a customer to one owner refused a
// row. The primary key, the only other unique one, is never updated.
func isTaken(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505" && e.ConstraintName == "customers_customer"
}
