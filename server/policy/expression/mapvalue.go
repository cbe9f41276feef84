package expression

import (
	"maps"
	"net/textproto"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// foldKeys makes a map whose keys are compared without regard to case of what an Object
// gave for headers.
func foldKeys(value any) any {
	if headers, ok := value.(map[string][]string); ok {
		return headerMap(headers)
	}
	return value
}

// headerMap is a Map of headers by their canonical names (net/http.Header).
type headerMap map[string][]string

func (h headerMap) Get(name string) any {
	if values, ok := h[name]; ok {
		return values
	}
	if values, ok := h[textproto.CanonicalMIMEHeaderKey(name)]; ok {
		return values
	}
	for key, values := range h {
		if strings.EqualFold(key, name) {
			return values
		}
	}
	return nil
}

func (h headerMap) Names() []string { return slices.Sorted(maps.Keys(h)) }

// mapValue is a Map in CEL.
type mapValue struct {
	adapter adapter
	source  Map
}

func (m *mapValue) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	value := m.source.Get(string(name))
	if value == nil {
		return nil, false
	}
	return m.adapter.NativeToValue(value), true
}

func (m *mapValue) Get(key ref.Val) ref.Val {
	if value, ok := m.Find(key); ok {
		return value
	}
	return types.WrapErr(absent("the map has no such key"))
}

func (m *mapValue) Contains(key ref.Val) ref.Val {
	_, ok := m.Find(key)
	return types.Bool(ok)
}

func (m *mapValue) Size() ref.Val { return types.Int(len(m.source.Names())) }

func (m *mapValue) Iterator() traits.Iterator {
	return types.NewStringList(m.adapter, m.source.Names()).Iterator()
}

// all is the map with all that it holds.
func (m *mapValue) all() traits.Mapper {
	entries := map[string]any{}
	for _, name := range m.source.Names() {
		if value := m.source.Get(name); value != nil {
			entries[name] = value
		}
	}
	return types.NewMap(m.adapter, entries)
}

func (m *mapValue) Equal(other ref.Val) ref.Val {
	if another, ok := other.(*mapValue); ok {
		other = another.all()
	}
	return m.all().Equal(other)
}

func (m *mapValue) ConvertToNative(to reflect.Type) (any, error) { return m.all().ConvertToNative(to) }

func (m *mapValue) ConvertToType(to ref.Type) ref.Val {
	switch to {
	case types.MapType:
		return m
	case types.TypeType:
		return types.MapType
	}
	return types.WrapErr(unfit("a map is not a %s", to.TypeName()))
}

func (m *mapValue) Type() ref.Type { return types.MapType }
func (m *mapValue) Value() any     { return m.source }

// AggregateSize is what the map counts for in the memory of an evaluation: what it is
// asked for counts when it is.
func (m *mapValue) AggregateSize(types.AggregateSizer) uint32 { return 1 }
