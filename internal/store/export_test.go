package store

import "database/sql"

// DB lets the tests ask SQLite itself what is in force.
func (s *Store) DB() *sql.DB { return s.db }

// Writer is the connection that commits.
func (s *Store) Writer() *sql.DB { return s.writer }
