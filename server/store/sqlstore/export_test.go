package sqlstore

import (
	"database/sql"

	"github.com/postern-dev/postern/server/store"
)

// WriteDB lets tests reach below the store, to break it.
func (s *Store) WriteDB() *sql.DB { return s.write }

// Where exposes the conditions of filters over columns of these names and kinds, after
// one that is there already.
func Where(d Dialect, f store.Filter, kinds map[string]string) (string, []any, error) {
	c := conditions{dialect: d, columns: []column{{"sealed", opaque}}}
	for name, kind := range kinds {
		c.columns = append(c.columns, column{name, map[string]columnKind{"text": text, "number": number, "boolean": boolean, "moment": moment}[kind]})
	}
	c.and("id > " + c.arg(int64(-1)))
	err := c.filter(f)
	return c.where(), c.args, err
}
