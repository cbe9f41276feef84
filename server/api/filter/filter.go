package filter

import (
	"time"

	"github.com/postern-dev/postern/server/store"
)

// Filter is a filter that was read. nil is one that lets everything through. It may be
// used concurrently.
type Filter struct {
	tree   store.Filter // its fields are paths of the resource
	fields Fields
}

// SQL gives what the store can select by. If that is all of the filter, whole is true.
// Otherwise rows are missing in none of what the filter lets through, but the store
// selects others, too: the caller has to ask Match.
func (f *Filter) SQL() (where store.Filter, whole bool) {
	if f == nil {
		return nil, true
	}
	return f.stored(f.tree)
}

// stored is what remains of a part when everything that no column holds is taken for
// true. exact tells whether nothing was.
func (f *Filter) stored(part store.Filter) (where store.Filter, exact bool) {
	switch part := part.(type) {
	case store.And:
		exact = true
		kept := make([]store.Filter, len(part))
		for i, one := range part {
			only := false
			kept[i], only = f.stored(one)
			exact = exact && only
		}
		return store.All(kept...), exact
	case store.Or:
		return f.storedOr(part)
	case store.Not:
		inner, exact := f.stored(part.Filter)
		if !exact { // it lets too much through, so its opposite would let too little
			return nil, false
		}
		if inner == nil {
			return store.Or{}, true
		}
		return store.Not{Filter: inner}, true
	case store.Compare:
		part.Field = f.fields[part.Field].Store
		return known(part, part.Field)
	case store.In:
		part.Field = f.fields[part.Field].Store
		return known(part, part.Field)
	case store.Size:
		part.Field = f.fields[part.Field].Store
		return known(part, part.Field)
	}
	return nil, false
}

func (f *Filter) storedOr(part store.Or) (store.Filter, bool) {
	exact := true
	kept := make(store.Or, len(part))
	for i, one := range part {
		where, only := f.stored(one)
		if where == nil {
			return nil, only // one that lets everything through is enough
		}
		kept[i], exact = where, exact && only
	}
	return kept, exact
}

func known(part store.Filter, column string) (store.Filter, bool) {
	if column == "" {
		return nil, false
	}
	return part, true
}

// Searchable names the fields that SQL can be about, for a message.
func (f *Filter) Searchable() string {
	return f.fields.list(func(field Field) bool { return field.Store != "" })
}

// Match tells whether the filter lets a resource through. object is what its JSON holds:
// maps, lists, texts, numbers, booleans and nil; times may be texts or time.Time.
func (f *Filter) Match(object map[string]any) bool {
	return f == nil || f.tree.Match(func(path string) any { return f.fields.value(object, path) })
}

// Compile reads a filter over the fields. now is what timestamp(time.now) stands for.
// Blank text is no filter: it gives nil. What cannot be used is CodeFilterInvalid, with a
// message that says where it is wrong and what may be written instead.
func Compile(text string, fields Fields, now time.Time) (*Filter, error) {
	return compile(text, compiler{fields: fields, now: now})
}

// CompileSelector is Compile of a text in which the resource may be called name, too.
func CompileSelector(text, name string, fields Fields, now time.Time) (*Filter, error) {
	return compile(text, compiler{fields: fields, now: now, also: name})
}

func compile(text string, c compiler) (*Filter, error) {
	parsed, err := parse(text)
	if parsed == nil || err != nil {
		return nil, err
	}
	c.info = parsed.SourceInfo()
	tree, err := c.condition(parsed.Expr())
	if err != nil {
		return nil, err
	}
	return &Filter{tree: tree, fields: c.fields}, nil
}
