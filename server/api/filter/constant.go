package filter

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// null is the constant.
type null struct{}

// constant gives a literal: string, int64, bool, null; nil if e is no such.
func constant(e ast.Expr) any {
	if e.Kind() != ast.LiteralKind {
		return nil
	}
	switch literal := e.AsLiteral().(type) {
	case types.String:
		return string(literal)
	case types.Int:
		return int64(literal)
	case types.Bool:
		return bool(literal)
	case types.Null:
		return null{}
	}
	return nil
}

// value gives a constant: a literal or a timestamp.
func (c *compiler) value(e ast.Expr) (any, error) {
	if literal := constant(e); literal != nil {
		if text, isText := literal.(string); isText && (strings.ContainsRune(text, 0) || !utf8.ValidString(text)) {
			return nil, c.fault(e, "texts hold neither the character 0 nor halves of characters")
		}
		return literal, nil
	}
	if e.Kind() == ast.CallKind {
		switch call := e.AsCall(); {
		case isTimestamp(call):
			return c.timestamp(e, call)
		case call.FunctionName() == "now", call.FunctionName() == "daysAgo":
			return nil, c.fault(e, `write timestamp(time.now), or timestamp(time.now).subtract("7d")`)
		}
	}
	if isOperand(e) {
		return nil, c.fault(e, `here goes a constant: a text in quotes, a whole number, true, false, null or timestamp("2026-01-31T00:00:00Z")`)
	}
	return nil, c.unsupported(e)
}

// isTimestamp tells whether a call makes a time.
func isTimestamp(call ast.CallExpr) bool {
	return slices.Contains([]string{"timestamp", "add", "subtract"}, call.FunctionName())
}

// layouts of a time: RFC 3339, and its date alone.
var layouts = []string{time.RFC3339, "2006-01-02Z07:00", time.DateOnly}

// timestamp gives what timestamp("…"), timestamp(time.now) and their add("7d") and
// subtract("7d") stand for.
func (c *compiler) timestamp(e ast.Expr, call ast.CallExpr) (any, error) {
	name, args := call.FunctionName(), call.Args()
	if len(args) != 1 || call.IsMemberFunction() == (name == "timestamp") {
		return nil, c.fault(e, `write timestamp("2026-01-31T00:00:00Z"), or timestamp(time.now).subtract("7d")`)
	}
	if name == "timestamp" {
		return c.instant(args[0])
	}
	value, err := c.value(call.Target())
	if err != nil {
		return nil, err
	}
	at, isTime := value.(time.Time)
	text, isText := constant(args[0]).(string)
	by, valid := duration(text)
	if !isTime || !isText || !valid {
		return nil, c.fault(e, `write timestamp(time.now).%s("7d"), with a whole number of d, h, m or s`, name)
	}
	if name == "subtract" {
		by = -by
	}
	return c.bounded(e, at.Add(by))
}

func (c *compiler) instant(e ast.Expr) (any, error) {
	if isPath(e) && e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "now" {
		if root := e.AsSelect().Operand(); root.Kind() == ast.IdentKind && root.AsIdent() == "time" {
			return c.bounded(e, c.now)
		}
	}
	text, _ := constant(e).(string)
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return c.bounded(e, at)
		}
	}
	return nil, c.fault(e, `a time is written timestamp("2026-01-31T00:00:00Z"), by RFC 3339, or timestamp(time.now)`)
}

// bounded refuses times outside of the years 1 to 9999, which RFC 3339 cannot write.
func (c *compiler) bounded(e ast.Expr, at time.Time) (any, error) {
	if year := at.UTC().Year(); year < 1 || year > 9999 {
		return nil, c.fault(e, "a time lies in the years 1 to 9999")
	}
	return at.UTC(), nil
}

// duration reads "7d", "24h", "15m" or "30s", up to a thousand years of days.
func duration(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 7 {
		return 0, false
	}
	unit, known := map[byte]time.Duration{
		'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second,
	}[text[len(text)-1]]
	count, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !known || err != nil || count > mostUnits {
		return 0, false
	}
	return time.Duration(count) * unit, true
}

// mostUnits days are less than what a time.Duration holds.
const mostUnits = 100_000

// fits makes sure that a constant can be compared with a field of the type.
func (c *compiler) fits(e ast.Expr, path string, t Type, value any) error {
	fits, like := false, ""
	switch t {
	case Text:
		_, fits = value.(string)
		like = `a text in quotes, as in obj.%s == "text"`
	case Number:
		_, fits = value.(int64)
		like = `a whole number, as in obj.%s == 7`
	case Boolean:
		_, fits = value.(bool)
		like = `true or false, as in obj.%s == true`
	case Time:
		_, fits = value.(time.Time)
		like = `a time, as in obj.%s > timestamp("2026-01-31T00:00:00Z")`
	}
	if fits {
		return nil
	}
	return c.fault(e, "obj.%s is compared with "+like, path, path)
}
