package filter

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Type is what a field holds.
type Type int

// The types. A field of any of them may be null.
const (
	Text   Type = iota
	Number      // a whole one
	Boolean
	Time
	List // of texts
)

// Field is something that may be asked about a resource.
type Field struct {
	Type Type

	// Store is the field's name in the store, or empty where rows cannot be found by
	// it: then the resource itself is looked at. The row must hold what the resource
	// shows, but that times may have fractions of a second, which are not shown.
	Store string

	// Means has values of a text by which it is also known, and what they stand for.
	Means map[string]string
}

// Fields are what may be asked about a kind of resource, by its path without the "obj.":
// "description", "tunnel_session.id". A path without its ".id", where only the longer
// one is listed, means the longer one.
type Fields map[string]Field

// Of gives the fields of a resource as its type shows them in JSON. Of a reference it
// has what is in it; of lists only those of texts. What is tagged api:"secret" is left
// out, and filter:"agent=ephemeral" is Field.Means. stored names fields by which the
// store finds rows, as in Field.Store.
func Of(object reflect.Type, stored map[string]string) Fields {
	fields := Fields{}
	fields.collect(object, "")
	for path, name := range stored {
		if field, found := fields[path]; found {
			field.Store = name
			fields[path] = field
		}
	}
	return fields
}

// collect adds the fields of a struct, whose own path ends with a dot.
func (f Fields) collect(object reflect.Type, path string) {
	for field := range object.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		switch {
		case field.Anonymous && name == "" && kind.Kind() == reflect.Struct:
			f.collect(kind, path)
		case !field.IsExported() || name == "" || name == "-":
		case slices.Contains(strings.Split(field.Tag.Get("api"), ","), "secret"):
		case kind == reflect.TypeFor[time.Time]():
			f[path+name] = Field{Type: Time}
		case kind.Kind() == reflect.Struct && strings.Count(path, ".") < mostNesting:
			f.collect(kind, path+name+".")
		default:
			if simple, found := simpleType(kind); found {
				f[path+name] = Field{Type: simple, Means: meanings(field.Tag.Get("filter"))}
			}
		}
	}
}

// mostNesting is how deep a field may lie in a resource; no type may hold itself.
const mostNesting = 4

// meanings reads a tag such as "agent=ephemeral,edge=legacy".
func meanings(tag string) map[string]string {
	var means map[string]string
	for pair := range strings.SplitSeq(tag, ",") {
		if other, value, found := strings.Cut(pair, "="); found {
			if means == nil {
				means = make(map[string]string)
			}
			means[other] = value
		}
	}
	return means
}

func simpleType(t reflect.Type) (Type, bool) {
	switch t.Kind() {
	case reflect.String:
		return Text, true
	case reflect.Bool:
		return Boolean, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Number, true
	case reflect.Slice:
		return List, t.Elem().Kind() == reflect.String
	}
	return 0, false
}

// find looks a path up, and gives that of the field which is meant.
func (f Fields) find(path string) (string, Field, bool) {
	field, found := f[path]
	if !found {
		path += ".id"
		field, found = f[path]
	}
	return path, field, found
}

// list names those fields, for a message.
func (f Fields) list(wanted func(Field) bool) string {
	var names []string
	for _, path := range slices.Sorted(maps.Keys(f)) {
		if wanted(f[path]) {
			names = append(names, "obj."+path)
		}
	}
	return strings.Join(names, ", ")
}

// value is a field of a resource as store.Values has it, or a list.
func (f Fields) value(object map[string]any, path string) any {
	var have any = object
	for name := range strings.SplitSeq(path, ".") {
		inner, _ := have.(map[string]any)
		have = inner[name]
	}
	switch f[path].Type {
	case Number:
		return whole(have)
	case Time:
		return instant(have)
	}
	return have
}

func whole(have any) any {
	switch have := have.(type) {
	case int64:
		return have
	case int:
		return int64(have)
	case float64:
		if exact := int64(have); float64(exact) == have {
			return exact
		}
	case json.Number:
		if exact, err := have.Int64(); err == nil {
			return exact
		}
	}
	return nil
}

func instant(have any) any {
	switch have := have.(type) {
	case time.Time:
		return have
	case string:
		if at, err := time.Parse(time.RFC3339, have); err == nil {
			return at
		}
	}
	return nil
}
