package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// kinds are the fields of the table on which filters are tried.
var kinds = map[string]string{"name": "text", "note": "text", "count": "number", "live": "boolean", "at": "moment"}

const table = `CREATE TABLE things (
	id BIGINT PRIMARY KEY, name TEXT, note TEXT COLLATE "C", count BIGINT, live BOOLEAN, at BIGINT)`

// What the databases select is what store.Filter says, for any rows and any filter.
func TestWhereSelectsWhatTheFilterMeans(t *testing.T) {
	stores := map[sqlstore.Dialect]*sqlstore.Store{
		sqlstore.SQLite:     open(t, filepath.Join(t.TempDir(), "postern.db")),
		sqlstore.PostgreSQL: openPostgres(t, postgreSQL.Database(t)),
	}
	for dialect, s := range stores {
		text := table
		if dialect == sqlstore.SQLite {
			text = strings.ReplaceAll(table, ` COLLATE "C"`, "")
		}
		if _, err := s.WriteDB().Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(thing), 1, 12).Draw(r, "rows")
		f := filters(3).Draw(r, "filter")
		var want []int64
		for i, row := range rows {
			if store.Matches(f, func(field string) any { return row[field] }) {
				want = append(want, int64(i))
			}
		}
		for dialect, s := range stores {
			if got := selected(r, dialect, s, rows, f); !slices.Equal(got, want) {
				r.Fatalf("%s selects %v, want %v", dialect, got, want)
			}
		}
	})
}

// selected fills the table, and gives the numbers of the rows that the filter selects.
func selected(r *rapid.T, dialect sqlstore.Dialect, s *sqlstore.Store, rows []map[string]any, f store.Filter) []int64 {
	if _, err := s.WriteDB().Exec("DELETE FROM things"); err != nil {
		r.Fatal(err)
	}
	var values []string
	var args []any
	for i, row := range rows {
		at := row["at"]
		if instant, ok := at.(time.Time); ok {
			at = instant.UnixMicro()
		}
		n := len(args)
		values = append(values, fmt.Sprintf("($%d, $%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5, n+6))
		args = append(args, int64(i), row["name"], row["note"], row["count"], row["live"], at)
	}
	if _, err := s.WriteDB().Exec("INSERT INTO things VALUES "+strings.Join(values, ", "), args...); err != nil {
		r.Fatal(err)
	}
	where, args, err := sqlstore.Where(dialect, f, kinds)
	if err != nil {
		r.Fatal(err)
	}
	found, err := s.WriteDB().Query("SELECT id FROM things"+where+" ORDER BY id", args...)
	if err != nil {
		r.Fatalf("%s: %v: %s", dialect, err, where)
	}
	defer found.Close()
	var ids []int64
	for found.Next() {
		var id int64
		if err := found.Scan(&id); err != nil {
			r.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := found.Err(); err != nil {
		r.Fatal(err)
	}
	return ids
}

// thing is a row. Its values are few, so that they meet those of filters.
func thing(r *rapid.T) map[string]any {
	row := map[string]any{}
	for _, field := range []string{"name", "note", "count", "live", "at"} {
		row[field] = rapid.OneOf(rapid.Just[any](nil), values(kinds[field], time.Microsecond)).Draw(r, field)
	}
	return row
}

// values are what a field of the kind may hold, or be compared with.
func values(kind string, step time.Duration) *rapid.Generator[any] {
	switch kind {
	case "text": // with what LIKE, quotes, locales, case and lengths in bytes would get wrong
		return rapid.StringOfN(rapid.SampledFrom([]rune(`aAz%_\'?é😀`)), 0, 4, -1).AsAny()
	case "number":
		return rapid.OneOf(rapid.Int64Range(-2, 2), rapid.SampledFrom([]int64{-1 << 63, 1<<63 - 1})).AsAny()
	case "boolean":
		return rapid.Bool().AsAny()
	}
	return rapid.Custom(func(r *rapid.T) any {
		return time.Unix(1_700_000_000, 0).Add(time.Duration(rapid.Int64Range(-2, 2).Draw(r, "steps")) * step).UTC()
	})
}

// filters are trees of at most that depth.
func filters(depth int) *rapid.Generator[store.Filter] {
	leaves := rapid.Custom(leaf)
	if depth == 0 {
		return leaves
	}
	parts := rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[store.Filter] { return filters(depth - 1) }), 0, 3)
	return rapid.OneOf(
		rapid.Just[store.Filter](nil),
		leaves,
		rapid.Map(parts, func(p []store.Filter) store.Filter { return store.And(p) }),
		rapid.Map(parts, func(p []store.Filter) store.Filter { return store.Or(p) }),
		rapid.Map(filters(depth-1), func(f store.Filter) store.Filter { return store.Not{Filter: f} }),
	)
}

func leaf(r *rapid.T) store.Filter {
	field := rapid.SampledFrom([]string{"name", "note", "count", "live", "at"}).Draw(r, "field")
	value := values(kinds[field], 500*time.Nanosecond) // also between two microseconds
	same := []store.Op{store.Equals, store.Differs}
	order := append(slices.Clone(same), store.Less, store.AtMost, store.More, store.AtLeast)
	parts := []store.Op{store.StartsWith, store.Contains, store.EndsWith}
	compare := func(ops []store.Op, value *rapid.Generator[any]) store.Filter {
		return store.Compare{Field: field, Op: rapid.SampledFrom(ops).Draw(r, "op"), Value: value.Draw(r, "value")}
	}
	switch form := rapid.IntRange(0, 4).Draw(r, "form"); {
	case form == 0:
		return compare(same, rapid.Just[any](nil))
	case form == 1:
		return store.In{Field: field, Values: rapid.SliceOfN(value, 0, 3).Draw(r, "values")}
	case form == 2 && kinds[field] == "text":
		return compare(parts, value)
	case form == 3 && kinds[field] == "text":
		size := rapid.OneOf(rapid.Int64Range(-1, 4), rapid.SampledFrom([]int64{-1 << 63, 1<<63 - 1}))
		return store.Size{Field: field, Op: rapid.SampledFrom(order).Draw(r, "op"), Size: size.Draw(r, "size")}
	case kinds[field] == "boolean":
		return compare(same, value)
	}
	return compare(order, value)
}

// What a table does not list is refused, and nothing of it gets into a query.
func TestWhereRefuses(t *testing.T) {
	is := func(field string, op store.Op, value any) store.Filter {
		return store.Compare{Field: field, Op: op, Value: value}
	}
	for name, f := range map[string]store.Filter{
		"unknown field":      store.Equal("1=1 --", "x"),
		"another case":       store.Equal("NAME", "x"),
		"opaque":             store.Equal("sealed", "x"),
		"unknown, in a list": store.OneOf("gone", "x"),
		"unknown, in a size": store.Size{Field: "gone", Op: store.Equals},
		"unknown comparison": is("name", "; DROP TABLE things", "x"),
		"unknown, of sizes":  store.Size{Field: "name", Op: "; DROP TABLE things"},
		"size of a number":   store.Size{Field: "count", Op: store.Equals},
		"another type":       store.Equal("name", int64(1)),
		"another, in a list": store.OneOf("count", "x"),
		"an int":             is("count", store.Equals, 1),
		"time for a number":  store.Equal("count", time.Unix(0, 0)),
		"number for a time":  store.Equal("at", int64(0)),
		"less than null":     is("name", store.Less, nil),
		"order of booleans":  is("live", store.Less, true),
		"part of a number":   is("count", store.Contains, int64(1)),
		"NUL":                store.Equal("name", "a\x00b"),
		"no UTF-8":           is("name", store.Contains, "\xff"),
		"null in a list":     store.In{Field: "name", Values: []any{nil}},
		"somebody's own":     own{},
		"deep within a tree": store.Not{Filter: store.Or{store.And{nil, own{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dialect := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.PostgreSQL} {
				where, _, err := sqlstore.Where(dialect, f, kinds)
				if !postern.HasCode(err, postern.CodeInternal) || where != " WHERE id > $1" {
					t.Errorf("%s: %q, %v", dialect, where, err)
				}
			}
		})
	}
}

// own is a filter that only its maker knows.
type own struct{}

func (own) Match(store.Values) bool { return true }

func TestWhereHasValuesAsParametersOnly(t *testing.T) {
	evil := `x' OR 1=1 --`
	f := store.All(store.Equal("name", evil), store.Compare{Field: "note", Op: store.Contains, Value: evil}, store.OneOf("name", evil, evil))
	where, args, err := sqlstore.Where(sqlstore.PostgreSQL, f, kinds)
	if err != nil {
		t.Fatal(err)
	}
	if want := ` WHERE id > $1 AND (name = $2 AND strpos(note, $3) > 0 AND name IN ($4, $5))`; where != want {
		t.Errorf("got %s\nwant %s", where, want)
	}
	if want := []any{int64(-1), evil, evil, evil, evil}; !slices.Equal(args, want) {
		t.Errorf("got %v", args)
	}
}
