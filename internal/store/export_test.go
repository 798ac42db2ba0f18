package store

import (
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// DB lets the tests ask SQLite itself what is in force.
func (s *Store) DB() *sql.DB { return s.engine.(*file).reader }

// Writer is the connection that commits.
func (s *Store) Writer() *sql.DB { return s.engine.(*file).writer }

// Pool lets the tests ask Postgres.
func (s *Store) Pool() *pgxpool.Pool { return s.engine.(*server).pool }

// Patiently takes the limits away that a busy machine would meet, for tests of what
// is right and not of how soon it is there.
func (s *Store) Patiently() *Store {
	if e, ok := s.engine.(*server); ok {
		e.free, e.answer = time.Minute, time.Minute
	}
	return s
}
