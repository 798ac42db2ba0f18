package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// migrationLock is any number: the lock of that number is held by whoever
// migrates this database.
const migrationLock = 7_236_270_741_913_804_261

const lookWithin = 5 * time.Second

// migrate takes no lock where there is nothing to do: then the user of the
// database needs no right to change its schema either.
func (s *server) migrate(ctx context.Context) error {
	db := s.direct()
	defer func() { _ = db.Close() }() // nothing is left in it
	if err := isFit(ctx, db); err != nil {
		return err
	}
	applied, newest, err := look(ctx, db)
	if err != nil {
		return err
	}
	if applied < newest {
		if err := s.migrateAlone(ctx, db); err != nil {
			return err
		}
	}
	// The first caller is to find a connection: one to a server far away takes
	// longer to make than callers wait.
	conn, err := s.acquire(ctx, connectWithin)
	if err != nil {
		return err
	}
	release(conn)
	s.migrated.Store(true)
	return nil
}

// direct opens connections beside the pool, without a limit for statements.
func (s *server) direct() *sql.DB {
	c := s.pool.Config().ConnConfig
	delete(c.RuntimeParams, "statement_timeout")
	return stdlib.OpenDB(*c)
}

// isFit holds the server to what the guarantee rests on.
func isFit(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var commit, encoding string
	err := db.QueryRowContext(ctx, `SELECT current_setting('synchronous_commit'), current_setting('server_encoding')`).
		Scan(&commit, &encoding)
	switch {
	case err != nil:
		return err
	case commit == "off":
		return &unfitError{"synchronous_commit is off, so a crash of the server forgets what it has confirmed: " +
			"ALTER ROLE … SET synchronous_commit = on, for the user of database.url"}
	case encoding != "UTF8":
		return &unfitError{"the database has the encoding " + encoding + ": create it with ENCODING 'UTF8'"}
	}
	return nil
}

// migrateAlone keeps others out with a lock that belongs to a transaction: one of
// a session would stay with the pooler's connection when this process dies. goose
// works on a second connection, so a pooler must grant two.
func (s *server) migrateAlone(ctx context.Context, db *sql.DB) error {
	lock, err := lockForMigration(ctx, db)
	if err != nil {
		return fmt.Errorf("waiting for the others who migrate: %w", err)
	}
	defer func() { _ = lock.Rollback() }() // nothing was written in it
	p, err := provider(db, goose.DialectPostgres, "postgres")
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// lockForMigration asks again and again instead of queueing: whoever queues holds
// a connection, and with few of them the one that migrates would get no second.
func lockForMigration(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	for {
		lock, err := tryLock(ctx, db)
		if lock != nil || err != nil {
			return lock, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryLock returns nil, nil while another holds the lock.
func tryLock(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	var ours bool
	// It will be idle while goose works.
	_, err = tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`)
	if err == nil {
		err = tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(migrationLock)).Scan(&ours)
	}
	if err != nil || !ours {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func (s *server) versions(ctx context.Context) (applied, newest int64, err error) {
	db := s.direct()
	defer func() { _ = db.Close() }() // nothing is left in it
	return look(ctx, db)
}

// look is bounded because a pooler whose server is down answers nobody.
func look(ctx context.Context, db *sql.DB) (applied, newest int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	return versionsOf(ctx, db, goose.DialectPostgres, "postgres")
}
