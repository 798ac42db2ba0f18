package store

import "database/sql"

// DB lets the tests ask SQLite itself what is in force.
func (s *Store) DB() *sql.DB { return s.db }
