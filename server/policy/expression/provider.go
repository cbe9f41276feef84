package expression

import (
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// textMark stands before the name of a field in a select of its text: what the author
// wrote as conn.client_ip is the text conn.@client_ip, unless a field is selected of it.
const textMark = "@"

// provider tells CEL the types of Objects, and takes the fields out of them.
type provider struct {
	types.Provider
	schema *schema
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if s := p.schema.structures[name]; s != nil {
		return types.NewTypeTypeWithParam(s.typ()), true
	}
	return nil, false
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if s := p.schema.structures[name]; s != nil {
		return s.fieldNames(), true
	}
	return nil, false
}

func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	s := p.schema.structures[name]
	if s == nil {
		return nil, false
	}
	fieldName, asText := strings.CutPrefix(fieldName, textMark)
	f := s.fields[fieldName]
	if f == nil || asText && (f.object == nil || !f.object.text) {
		return nil, false
	}
	if asText {
		return &types.FieldType{Type: types.StringType, IsSet: f.isSet, GetFrom: f.text}, true
	}
	return &types.FieldType{Type: f.typ, IsSet: f.isSet, GetFrom: f.value}, true
}

// NewValue refuses: no expression makes an Object.
func (p *provider) NewValue(string, map[string]ref.Val) ref.Val {
	return types.WrapErr(unfit("an expression cannot make objects"))
}

func (f *field) isSet(of any) bool {
	object, ok := of.(Object)
	return ok && object.Field(f.name) != nil
}

// value is the field as CEL goes on with it: an Object, or a value.
func (f *field) value(of any) (any, error) {
	var value any
	if object, ok := of.(Object); ok {
		value = object.Field(f.name)
	}
	if value == nil {
		return nil, absent("there is no %s.%s", f.own.path, f.name)
	}
	if f.folded {
		return foldKeys(value), nil
	}
	return value, nil
}

func (f *field) text(of any) (any, error) {
	value, err := f.value(of)
	if err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case Text:
		return v.Text(), nil
	}
	return nil, absent("there is no %s.%s", f.own.path, f.name)
}
