package expression

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// adapter makes values of CEL of what Objects give.
type adapter struct{ types.Adapter }

func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case ref.Val:
		return v
	case string:
		return types.String(v)
	case Object:
		return objectValue{v}
	case Map:
		return &mapValue{adapter: a, source: v}
	case map[string][]string:
		return types.NewMap(a, v)
	case map[string][]Object:
		return types.NewMap(a, v)
	case map[string]any:
		return types.NewMap(a, v)
	case []Object:
		return types.NewList(a, v)
	case []any:
		return types.NewList(a, v)
	case *Scope:
		return scopeValue{v}
	}
	return a.Adapter.NativeToValue(value)
}

// objectValue is an Object within a list or a map, or one that an expression gives.
type objectValue struct{ Object }

func (o objectValue) ConvertToNative(reflect.Type) (any, error) { return o.Object, nil }

func (o objectValue) ConvertToType(to ref.Type) ref.Val {
	switch to {
	case types.TypeType:
		return kind.object
	case types.StringType:
		if text, ok := o.Object.(Text); ok {
			return types.String(text.Text())
		}
	}
	return types.WrapErr(unfit("an object is not a %s", to.TypeName()))
}

// Equal compares Objects that are texts by them. Others differ.
func (o objectValue) Equal(other ref.Val) ref.Val {
	text, ok := o.Object.(Text)
	if !ok {
		return types.False
	}
	if another, ok := other.(objectValue); ok {
		other = another.ConvertToType(types.StringType)
	}
	return types.Bool(other == types.String(text.Text()))
}

// Get is a field, where the type of the Object was not known when the expression was
// compiled: vars.x.y.
func (o objectValue) Get(name ref.Val) ref.Val {
	if field := o.field(name); field != nil {
		return values.NativeToValue(field)
	}
	return types.WrapErr(absent("the object has no such field"))
}

// IsSet is has of such a field.
func (o objectValue) IsSet(name ref.Val) ref.Val { return types.Bool(o.field(name) != nil) }

func (o objectValue) field(name ref.Val) any {
	if text, ok := name.(types.String); ok {
		return o.Field(string(text))
	}
	return nil
}

func (o objectValue) Type() ref.Type { return kind.object }
func (o objectValue) Value() any     { return o.Object }

// AggregateSize is what an Object counts for in the memory of an evaluation: what it is
// asked for counts when it is.
func (o objectValue) AggregateSize(types.AggregateSizer) uint32 { return 1 }

// scopeValue is the Scope on its way to a function that needs the whole of it.
type scopeValue struct{ *Scope }

func (s scopeValue) ConvertToNative(reflect.Type) (any, error) { return nil, unfit("this is no value") }
func (s scopeValue) ConvertToType(ref.Type) ref.Val            { return types.WrapErr(unfit("this is no value")) }
func (s scopeValue) Equal(ref.Val) ref.Val                     { return types.False }
func (s scopeValue) Type() ref.Type                            { return kind.scope }
func (s scopeValue) Value() any                                { return s.Scope }

func (s scopeValue) AggregateSize(types.AggregateSizer) uint32 { return 1 }
