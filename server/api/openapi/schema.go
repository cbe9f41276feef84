package openapi

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern/resource"
)

// schemas are the components that documents refer to.
type schemas struct{ byName object }

func newSchemas() *schemas { return &schemas{byName: object{}} }

// withError are all of them and the one of errors.
func (s *schemas) withError() object {
	text := object{"type": "string"}
	s.byName["Error"] = object{
		"type": "object", "required": []any{"status_code", "msg", "details"}, "additionalProperties": false,
		"properties": object{
			"error_code": object{"type": "string", "description": "What is wrong, for ever; absent where there is no such resource."}, "status_code": object{"type": "integer"},
			"msg": text, "details": object{"type": "object", "additionalProperties": text},
		},
	}
	return s.byName
}

// body is the schema of what a request sends; nil for nothing.
func (s *schemas) body(t reflect.Type) object {
	if t == nil {
		return nil
	}
	return s.of(t)
}

// answer is the schema of what a route of its own sends back; nil for nothing.
func (s *schemas) answer(r resource.Route) object {
	switch {
	case r.Answer == nil:
		return nil
	case r.ListKey != "":
		return s.listed(r.ListKey, r.Answer, r.Paged)
	}
	return s.of(r.Answer)
}

// list is the schema of a page of a resource.
func (s *schemas) list(d resource.Definition) object { return s.listed(d.ListKey, d.Object, true) }

func (s *schemas) listed(key string, item reflect.Type, paged bool) object {
	properties := object{key: object{"type": "array", "items": s.of(item)}, "uri": object{"type": "string"}}
	required := []any{key, "uri"}
	if paged {
		properties["next_page_uri"] = object{"type": []any{"string", "null"}, "description": "The address of the next page, null behind the last."}
		required = append(required, "next_page_uri")
	}
	return object{"type": "object", "required": required, "properties": properties, "additionalProperties": false}
}

// of is the schema of a type; structs become components.
func (s *schemas) of(t reflect.Type) object {
	if t == reflect.TypeFor[time.Time]() {
		return object{"type": "string", "format": "date-time"}
	}
	if described, is := reflect.Zero(t).Interface().(interface{ Holds() reflect.Type }); is { // resource.Nullable
		return orNull(s.of(described.Holds()))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return orNull(s.of(t.Elem()))
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.component(t)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Interface:
		return object{}
	}
	return object{"type": "string"}
}

// component makes the schema of a struct, once, and refers to it.
func (s *schemas) component(t reflect.Type) object {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if s.byName[t.Name()] != nil {
		return ref
	}
	schema := object{"type": "object", "additionalProperties": false}
	s.byName[t.Name()] = schema // before its fields, which may refer to it
	properties, required := object{}, []any{}
	for _, f := range fields(t) {
		property := s.of(f.kind)
		if f.doc != "" {
			property = withDoc(property, f.doc)
		}
		properties[f.name] = property
		if f.required {
			required = append(required, f.name)
		}
	}
	schema["properties"] = properties
	if len(required) > 0 {
		schema["required"] = required
	}
	return ref
}

// field is one of a struct, as JSON has it.
type field struct {
	name, doc string
	kind      reflect.Type
	required  bool // it is always there, or must be given
}

// fields are those of a struct and of the structs that it embeds.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			all = append(all, fields(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		asked := strings.Split(f.Tag.Get("api"), ",")
		all = append(all, field{name: name, doc: f.Tag.Get("doc"), kind: f.Type,
			required: options == "" || slices.Contains(asked, "required")})
	}
	return all
}

// orNull lets a schema be null as well.
func orNull(schema object) object {
	if kind, simple := schema["type"].(string); simple {
		schema["type"] = []any{kind, "null"}
		return schema
	}
	return object{"anyOf": []any{schema, object{"type": "null"}}}
}

// withDoc adds a description; a bare reference takes one beside it (JSON Schema 2020-12).
func withDoc(schema object, doc string) object {
	schema["description"] = doc
	return schema
}
