package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A request waits for the database at most the sum of the first two. The server
// gives up a statement before we do, so that silence means that it is not there.
const (
	freeConnectionWithin = 500 * time.Millisecond
	answerWithin         = 2500 * time.Millisecond
	statementTimeout     = 2 * time.Second
	connectWithin        = 3 * time.Second
	// A connection that was idle for longer than trusted is asked whether it lives.
	trusted    = time.Second
	pongWithin = 200 * time.Millisecond
)

// server is a database of Postgres.
type server struct {
	pool *pgxpool.Pool
	// bare is set once somebody on the way to the server refused a connection with
	// a statement_timeout, as PgBouncer does.
	bare     atomic.Bool
	migrated atomic.Bool
	// free and answer are how long a caller waits for a connection, and for a statement.
	free, answer time.Duration
}

var errNotMigrated = errors.New("the database was not reached yet, or is not up to date")

// exec is one statement outside of a transaction, committed when the server says
// that it is ready for the next: the library waits for that.
func (s *server) exec(ctx context.Context, statement string, args ...any) (changed int64, err error) {
	err = s.with(ctx, func(ctx context.Context, c *pgx.Conn) error {
		tag, err := c.Exec(ctx, statement, args...)
		changed = tag.RowsAffected()
		return err
	})
	return changed, err
}

func (s *server) queryRow(ctx context.Context, dest []any, query string, args ...any) error {
	return s.with(ctx, func(ctx context.Context, c *pgx.Conn) error {
		err := c.QueryRow(ctx, query, args...).Scan(dest...)
		if errors.Is(err, pgx.ErrNoRows) {
			return sql.ErrNoRows
		}
		return err
	})
}

func (s *server) query(ctx context.Context, each func(scan) error, query string, args ...any) error {
	return s.with(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := each(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// with runs one statement on a connection of the pool.
func (s *server) with(ctx context.Context, statement func(context.Context, *pgx.Conn) error) error {
	if !s.migrated.Load() {
		return errNotMigrated
	}
	conn, err := s.acquire(ctx, s.free)
	if err != nil {
		return err
	}
	defer release(conn)
	limited, cancel := context.WithTimeout(ctx, s.answer)
	defer cancel()
	err = statement(limited, conn.Conn())
	if conn.Conn().IsClosed() && ctx.Err() == nil || isDemoted(err) {
		// The other connections lead to the same server: one error for all.
		s.pool.Reset()
	}
	return err
}

// isDemoted reports whether the server is no longer the one to write to. Any
// other end of a server closes its connections.
func isDemoted(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "25006"
}

// acquire waits for a connection, but not for long: when all are taken, one more
// that waits helps nobody.
func (s *server) acquire(ctx context.Context, within time.Duration) (*pgxpool.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := s.pool.Acquire(waiting)
	if refusesTimeout(err) {
		s.bare.Store(true)
		conn, err = s.pool.Acquire(waiting)
	}
	if err == nil && !lives(waiting, conn) {
		release(conn)
		s.pool.Reset()
		conn, err = s.pool.Acquire(waiting)
	}
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no connection to the database within %v: %w", within, err)
	}
	return conn, err
}

// refusesTimeout recognises PgBouncer, which knows few parameters of a start.
func refusesTimeout(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "08P01" && strings.Contains(e.Message, "statement_timeout")
}

// released is when a connection was last given back.
const released = "till.released"

func lives(ctx context.Context, conn *pgxpool.Conn) bool {
	since, used := conn.Conn().PgConn().CustomData()[released].(time.Time)
	if !used || time.Since(since) < trusted {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	return conn.Ping(ctx) == nil
}

func release(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		// Otherwise it would keep its place in the pool for as long as it takes to say
		// goodbye: a quarter of a minute when the other end is silent.
		conn.Hijack()
		return
	}
	conn.Conn().PgConn().CustomData()[released] = time.Now()
	conn.Release()
}

func (*server) clock() string { return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)" }

func (s *server) close() error {
	s.pool.Close()
	return nil
}
