package expression

import (
	"maps"
	"slices"
	"sync"

	"cel.dev/cel-go/common/types"
)

// structure is the type of an Object: the fields that it may have.
type structure struct {
	name   string // of the type, as CEL knows it
	path   string // as the reader of an error knows it
	text   bool   // named alone it is a text
	fields map[string]*field
}

type field struct {
	name   string
	object *structure // its fields, or nil
	folded bool       // the keys of its map are compared without regard to case
	typ    *types.Type
	own    *structure // which it is a field of
}

// schema is what may be named in a policy.
type schema struct {
	roots      map[string]*structure
	structures map[string]*structure
}

// known is the one schema.
var known = sync.OnceValue(func() *schema {
	s := &schema{structures: map[string]*structure{}}
	s.roots = map[string]*structure{
		"conn":     s.connection(),
		"endpoint": s.structure("Endpoint", "endpoint", fields("id", kind.text, "url", kind.text, "host", kind.text, "port", kind.number, "addr", kind.text, "protocol", kind.text)),
		"req":      s.request(),
		"res":      s.response(),
		"message":  s.structure("Message", "message", fields("id", kind.text, "event", kind.text, "data", kind.text, "retry", kind.number)),
	}
	return s
})

// names lists what stands before the first dot, in a phase.
func (s *schema) names(p Phase) []string {
	names := []string{"conn", "endpoint", "time.now", "vars", "actions"}
	if p >= Request {
		names = append(names, "req")
	}
	if p >= Response {
		names = append(names, "res")
	}
	if p == Message {
		names = append(names, "message")
	}
	return names
}

// object is the type in CEL of an Object with these fields.
func (s *structure) typ() *types.Type { return types.NewObjectType(s.name) }

// fieldNames are sorted.
func (s *structure) fieldNames() []string { return slices.Sorted(maps.Keys(s.fields)) }

func (s *schema) structure(name, path string, all []field) *structure {
	made := &structure{name: name, path: path, fields: make(map[string]*field, len(all))}
	for _, f := range all {
		f.own = made
		made.fields[f.name] = &f
	}
	s.structures[name] = made
	return made
}

// textual is a structure that is a text as well.
func (s *schema) textual(name, path string, all []field) *structure {
	made := s.structure(name, path, all)
	made.text = true
	return made
}

// kind has the types of plain fields and of the arguments of functions.
var kind = struct {
	text, number, boolean, double, moment, duration, octets, anything, texts, textMap, valuesMap, object, scope *types.Type
}{
	text: types.StringType, number: types.IntType, boolean: types.BoolType, double: types.DoubleType, moment: types.TimestampType,
	duration: types.DurationType, octets: types.BytesType, anything: types.DynType, texts: listOf(types.StringType),
	textMap: mapTo(types.StringType), valuesMap: mapTo(listOf(types.StringType)),
	object: types.NewObjectType("object"), // what type() says of every Object
	scope:  types.NewOpaqueType("scope"),
}

func listOf(t *types.Type) *types.Type { return types.NewListType(t) }

func mapTo(t *types.Type) *types.Type { return types.NewMapType(types.StringType, t) }

// fields reads pairs of a name and a *types.Type or *structure.
func fields(pairs ...any) []field {
	all := make([]field, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		f := field{name: pairs[i].(string)}
		switch t := pairs[i+1].(type) {
		case *structure:
			f.object, f.typ = t, t.typ()
		case *types.Type:
			f.typ = t
		}
		all = append(all, f)
	}
	return all
}

// headerMaps are those whose names are compared without regard to case.
func headerMaps(all []field, names ...string) []field {
	for i := range all {
		all[i].folded = slices.Contains(names, all[i].name)
	}
	return all
}

// Variables lists what expressions may name, with dots; objects and their fields.
func Variables() []string {
	all := []string{"time.now", "vars", "actions"}
	for name, root := range known().roots {
		all = root.appendVariables(all, name)
	}
	slices.Sort(all)
	return all
}

func (s *structure) appendVariables(all []string, path string) []string {
	for name, f := range s.fields {
		all = append(all, path+"."+name)
		if f.object != nil {
			all = f.object.appendVariables(all, path+"."+name)
		}
	}
	return all
}
