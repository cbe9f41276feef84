package store

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Filter says which rows are meant; nil means all of them. The package's own filters
// are And, Or, Not, Compare, In and Size, and a store takes those only. They have two
// values: what compares a field that is null is false, but for != and what asks for null
// itself, and Not turns that around like any other false.
//
// A filter is not changed once it is made, and may be used concurrently.
type Filter interface {
	// Match tells whether a row with these values is meant. It defines what a store
	// must select.
	Match(values Values) bool
}

// Values gives a row's field by its name: a string, int64, bool or time.Time, and nil
// where it is null.
type Values func(field string) any

type (
	// And is true where all of its parts are; with none, everywhere.
	And []Filter

	// Or is true where one of its parts is; with none, nowhere.
	Or []Filter

	// Not is true where its part is false.
	Not struct{ Filter Filter }

	// Compare is true where a field and a value are as Op says. The value has the
	// field's type; with Equals and Differs it may be nil, which stands for null.
	Compare struct {
		Field string
		Op    Op
		Value any // string, int64, bool, time.Time, nil
	}

	// In is true where a field is one of the values.
	In struct {
		Field  string
		Values []any // as in Compare, without nil
	}

	// Size is true where the number of characters (code points) of a text is as Op, one
	// of Equals to AtLeast, says.
	Size struct {
		Field string
		Op    Op
		Size  int64
	}
)

// Op is how two values are compared.
type Op string

// The comparisons. Texts are ordered as bytes; booleans are not ordered; the last three
// are for texts only, and tell upper from lower case.
const (
	Equals  Op = "=="
	Differs Op = "!="
	Less    Op = "<"
	AtMost  Op = "<="
	More    Op = ">"
	AtLeast Op = ">="

	StartsWith Op = "startsWith"
	Contains   Op = "contains"
	EndsWith   Op = "endsWith"
)

// Equal is true where the field has the value, which may also be of a type that is made of
// a text or number, such as postern.UserID.
func Equal(field string, value any) Filter {
	return Compare{Field: field, Op: Equals, Value: plain(value)}
}

// OneOf is true where the field has one of the values, which may be as those of Equal.
func OneOf[T any](field string, values ...T) Filter {
	in := In{Field: field, Values: make([]any, len(values))}
	for i, v := range values {
		in.Values[i] = plain(v)
	}
	return in
}

// plain gives a value that Compare takes.
func plain(value any) any {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	}
	return value
}

// All is true where all of the filters are, of which some may be nil. It is nil if no
// other is left.
func All(filters ...Filter) Filter {
	given := slices.DeleteFunc(slices.Clone(filters), func(f Filter) bool { return f == nil })
	switch len(given) {
	case 0:
		return nil
	case 1:
		return given[0]
	}
	return And(given)
}

// Matches is f.Match for a filter that may be nil.
func Matches(f Filter, values Values) bool { return f == nil || f.Match(values) }

// Match implements Filter.
func (a And) Match(values Values) bool {
	return !slices.ContainsFunc(a, func(f Filter) bool { return !Matches(f, values) })
}

// Match implements Filter.
func (o Or) Match(values Values) bool {
	return slices.ContainsFunc(o, func(f Filter) bool { return Matches(f, values) })
}

// Match implements Filter.
func (n Not) Match(values Values) bool { return !Matches(n.Filter, values) }

// Match implements Filter.
func (c Compare) Match(values Values) bool {
	have := values(c.Field)
	switch c.Op {
	case Equals:
		return same(have, c.Value)
	case Differs:
		return !same(have, c.Value)
	case StartsWith, Contains, EndsWith:
		text, isText := have.(string)
		part, asked := c.Value.(string)
		return isText && asked && c.Op.holdsPart(text, part)
	}
	order, comparable := compare(have, c.Value)
	return comparable && c.Op.Holds(order)
}

// Match implements Filter.
func (i In) Match(values Values) bool {
	have := values(i.Field)
	return have != nil && slices.ContainsFunc(i.Values, func(v any) bool { return same(have, v) })
}

// Match implements Filter.
func (s Size) Match(values Values) bool {
	text, isText := values(s.Field).(string)
	return isText && s.Op.Holds(cmp.Compare(int64(utf8.RuneCountInString(text)), s.Size))
}

// same tells whether two values are one. Two times are if they are the same instant.
func same(a, b any) bool {
	if a, isTime := a.(time.Time); isTime {
		b, both := b.(time.Time)
		return both && a.Equal(b)
	}
	return a == b
}

// compare orders two values of one type that has an order.
func compare(a, b any) (order int, comparable bool) {
	switch a := a.(type) {
	case string:
		b, both := b.(string)
		return strings.Compare(a, b), both
	case int64:
		b, both := b.(int64)
		return cmp.Compare(a, b), both
	case time.Time:
		b, both := b.(time.Time)
		return a.Compare(b), both
	}
	return 0, false
}

// Holds tells whether the comparison is true of two values of that order.
func (o Op) Holds(order int) bool {
	switch o {
	case Equals:
		return order == 0
	case Differs:
		return order != 0
	case Less:
		return order < 0
	case AtMost:
		return order <= 0
	case More:
		return order > 0
	case AtLeast:
		return order >= 0
	}
	return false
}

func (o Op) holdsPart(text, part string) bool {
	switch o {
	case StartsWith:
		return strings.HasPrefix(text, part)
	case EndsWith:
		return strings.HasSuffix(text, part)
	}
	return strings.Contains(text, part)
}
