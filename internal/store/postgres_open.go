package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

func openPostgres(ctx context.Context, databaseURL string) (*server, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, unreadable(err)
	}
	s := &server{free: freeConnectionWithin, answer: answerWithin}
	tune(cfg, databaseURL)
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		if s.bare.Load() {
			delete(c.RuntimeParams, "statement_timeout")
		}
		return nil
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return s, nil
}

// unreadable keeps of the library's error what cannot hold a part of the URL,
// which has a password in it.
func unreadable(err error) error {
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("opening the database: a file that the URL names: %w", missing)
	}
	return errors.New("opening the database: the URL is not that of a Postgres database: " +
		"write postgres://user:password@host/database, and escape what is special in the password")
}

// tune sets what the URL leaves open.
func tune(cfg *pgxpool.Config, databaseURL string) {
	c := cfg.ConnConfig
	given := func(name string) bool { return strings.Contains(databaseURL, name+"=") }
	// A pooler gives the connection to others between two statements: nothing may
	// be prepared on it.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	if !given("connect_timeout") {
		c.ConnectTimeout = connectWithin
	}
	if !given("target_session_attrs") {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "till"
	}
	if c.RuntimeParams["statement_timeout"] == "" {
		c.RuntimeParams["statement_timeout"] = strconv.FormatInt(statementTimeout.Milliseconds(), 10)
	}
	if !given("pool_max_conns") {
		cfg.MaxConns = 10
	}
	if !given("pool_min_idle_conns") {
		cfg.MinIdleConns = 1
	}
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // see lives
}
