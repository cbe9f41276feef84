package sqlstore

import "database/sql"

// WriteDB lets tests reach below the store, to break it.
func (s *Store) WriteDB() *sql.DB { return s.write }
