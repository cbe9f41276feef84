package filter

import (
	"cmp"
	"slices"

	"github.com/postern-dev/postern/server/store"
)

// member is true where a list has a text in it. No store selects by that.
type member struct{ field, text string }

// Match implements store.Filter.
func (m member) Match(values store.Values) bool {
	switch list := values(m.field).(type) {
	case []any:
		return slices.Contains(list, any(m.text))
	case []string:
		return slices.Contains(list, m.text)
	}
	return false
}

// length is true where the number of a list's elements is as op says. null has none.
type length struct {
	field string
	op    store.Op
	size  int64
}

// Match implements store.Filter.
func (l length) Match(values store.Values) bool {
	size := 0
	switch list := values(l.field).(type) {
	case []any:
		size = len(list)
	case []string:
		size = len(list)
	}
	return l.op.Holds(cmp.Compare(int64(size), l.size))
}
