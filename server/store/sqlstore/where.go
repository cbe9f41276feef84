package sqlstore

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// filter adds what f selects. An error means that whoever made the filter did not know
// the table: no name reaches a statement but those of its columns.
func (c *conditions) filter(f store.Filter) error {
	if f == nil {
		return nil
	}
	part := condition{conditions: c}
	part.add(f)
	if part.err == nil {
		c.and(part.sql.String())
	}
	return part.err
}

// condition is a filter in SQL, whose comparisons are unknown where a field is null, and
// store.Filter's are false. Only NOT can tell the two apart, so there, and only there,
// unknown becomes false.
type condition struct {
	*conditions
	sql strings.Builder
	err error
}

func (c *condition) add(f store.Filter) {
	switch f := f.(type) {
	case nil:
		c.write("TRUE")
	case store.And:
		c.join(f, " AND ", "TRUE")
	case store.Or:
		c.join(f, " OR ", "FALSE")
	case store.Not:
		c.write("NOT COALESCE(")
		c.add(f.Filter)
		c.write(", FALSE)")
	case store.Compare:
		c.compare(f)
	case store.In:
		c.in(f)
	case store.Size:
		c.size(f)
	default:
		c.fail("a filter of type %T cannot be asked of the database", f)
	}
}

func (c *condition) join(parts []store.Filter, operator, none string) {
	if len(parts) == 0 {
		c.write(none)
		return
	}
	c.write("(")
	for i, part := range parts {
		if i > 0 {
			c.write(operator)
		}
		c.add(part)
	}
	c.write(")")
}

func (c *condition) compare(f store.Compare) {
	field, found := c.column(f.Field)
	if !found {
		return
	}
	if f.Value == nil {
		c.null(field, f)
		return
	}
	value, between := c.value(f.Field, field.kind, f.Value)
	switch f.Op {
	case store.Equals, store.Differs:
		c.same(field, f.Op, value, between)
	case store.Less, store.AtMost, store.More, store.AtLeast:
		c.order(field, f, value, between)
	case store.StartsWith, store.Contains, store.EndsWith:
		c.part(field, f)
	default:
		c.fail("%q is not a comparison", f.Op)
	}
}

func (c *condition) null(field column, f store.Compare) {
	switch f.Op {
	case store.Equals:
		c.write(field.name, " IS NULL")
	case store.Differs:
		c.write(field.name, " IS NOT NULL")
	default:
		c.fail("%s %s null has no meaning", f.Field, f.Op)
	}
}

func (c *condition) same(field column, op store.Op, value any, between bool) {
	switch {
	case between && op == store.Equals:
		c.write("FALSE")
	case between:
		c.write("TRUE")
	case op == store.Equals:
		c.write(field.name, " = ", c.arg(value))
	default:
		c.write(field.name, " IS DISTINCT FROM ", c.arg(value))
	}
}

func (c *condition) order(field column, f store.Compare, value any, between bool) {
	if field.kind == boolean {
		c.fail("%s is true or false, which have no order", f.Field)
		return
	}
	op := string(f.Op)
	switch {
	case between && (f.Op == store.Less || f.Op == store.AtMost):
		op = "<="
	case between:
		op = ">"
	}
	c.write(field.name)
	if field.kind == text && c.dialect == PostgreSQL {
		c.write(` COLLATE "C"`) // SQLite compares bytes anyway
	}
	c.write(" ", op, " ", c.arg(value))
}

// part asks for a text within a text. LIKE is not used: it would need escapes, and
// SQLite's does not tell upper from lower case.
func (c *condition) part(field column, f store.Compare) {
	if field.kind != text {
		c.fail("%s is not a text, so it cannot be asked whether it %s something", f.Field, f.Op)
		return
	}
	part, _ := f.Value.(string)
	switch {
	case part == "":
		c.write(field.name, " IS NOT NULL")
	case f.Op == store.StartsWith:
		c.write("substr(", field.name, ", 1, ", c.arg(characters(part)), ") = ", c.arg(part))
	case f.Op == store.EndsWith:
		c.write("substr(", field.name, ", length(", field.name, ") - ", c.arg(characters(part)), " + 1) = ", c.arg(part))
	case c.dialect == PostgreSQL:
		c.write("strpos(", field.name, ", ", c.arg(part), ") > 0")
	default:
		c.write("instr(", field.name, ", ", c.arg(part), ") > 0")
	}
}

func (c *condition) in(f store.In) {
	field, found := c.column(f.Field)
	if !found {
		return
	}
	var placeholders []string
	for _, v := range f.Values {
		if value, between := c.value(f.Field, field.kind, v); !between && c.err == nil {
			placeholders = append(placeholders, c.arg(value))
		}
	}
	if len(placeholders) == 0 {
		c.write("FALSE")
		return
	}
	c.write(field.name, " IN (", strings.Join(placeholders, ", "), ")")
}

func (c *condition) size(f store.Size) {
	field, found := c.column(f.Field)
	if !found {
		return
	}
	op, known := map[store.Op]string{
		store.Equals: "=", store.Differs: "<>", store.Less: "<", store.AtMost: "<=", store.More: ">", store.AtLeast: ">=",
	}[f.Op]
	if field.kind != text || !known {
		c.fail("the size of %s cannot be asked for with %q", f.Field, f.Op)
		return
	}
	// PostgreSQL's length is 32 bits wide and takes nothing wider; no text is that long.
	c.write("length(", field.name, ") ", op, " ", c.arg(min(max(f.Size, -1), math.MaxInt32)))
}

func (c *condition) column(field string) (column, bool) {
	i := slices.IndexFunc(c.columns, func(known column) bool { return known.name == field && known.kind != opaque })
	if i < 0 {
		c.fail("rows cannot be found by %q", field)
		return column{}, false
	}
	return c.columns[i], true
}

// value gives a value as the column holds it. A time may lie between two microseconds:
// the one before it is given then.
func (c *condition) value(field string, k columnKind, v any) (value any, between bool) {
	fits := false
	switch v := v.(type) {
	case string:
		fits = k == text
		if fits && (!utf8.ValidString(v) || strings.ContainsRune(v, 0)) {
			c.fail("a value for %s is no UTF-8 text or has a NUL in it, which no database takes", field)
		}
	case int64:
		fits = k == number
	case bool:
		fits = k == boolean
	case time.Time:
		if k == moment {
			return v.UnixMicro(), v.Nanosecond()%1000 != 0
		}
	}
	if !fits {
		c.fail("a value of type %T cannot be compared with %s", v, field)
	}
	return v, false
}

func (c *condition) write(parts ...string) {
	for _, part := range parts {
		c.sql.WriteString(part)
	}
}

// fail keeps the first fault.
func (c *condition) fail(format string, args ...any) {
	if c.err == nil {
		c.err = postern.Errorf(postern.CodeInternal, format, args...)
	}
}

func characters(text string) int64 { return int64(utf8.RuneCountInString(text)) }
