package expression

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
)

// sample is an Object with a value in every field that its structure has.
type sample struct{ of *structure }

func (s sample) Text() string { return "text of " + s.of.path }

func (s sample) Field(name string) any {
	f := s.of.fields[name]
	switch {
	case f == nil:
		panic("nobody should ask for " + name)
	case f.object != nil:
		return sample{f.object}
	}
	return sampleOf(f)
}

func sampleOf(f *field) any {
	switch f.typ.Kind() {
	case types.StringKind:
		return f.own.path + "." + f.name
	case types.IntKind:
		return int64(7)
	case types.BoolKind:
		return true
	case types.BytesKind:
		return []byte{1}
	case types.TimestampKind:
		return time.Unix(1, 0).UTC()
	case types.DurationKind:
		return time.Second
	case types.ListKind:
		if f.typ.Parameters()[0].Kind() == types.StructKind {
			return []Object{sample{known().structures[f.typ.Parameters()[0].TypeName()]}}
		}
		return []string{"a", "b"}
	case types.MapKind:
		return sampleMap(f.typ.Parameters()[1])
	}
	panic(fmt.Sprint("no sample for ", f.name))
}

func sampleMap(values *types.Type) any {
	switch {
	case values.Kind() == types.StringKind:
		return map[string]string{"k": "v"}
	case values.Parameters()[0].Kind() == types.StringKind:
		return map[string][]string{"K": {"v"}}
	}
	return map[string][]Object{"k": {sample{known().structures["Cookie"]}}}
}

// want is what the field is in Go, as Value gives it.
func want(f *field) any {
	switch v := sampleOf(f).(type) {
	case []string:
		return []any{"a", "b"}
	case map[string]string:
		return map[string]any{"k": "v"}
	case map[string][]string:
		return map[string]any{"K": []any{"v"}}
	case []Object:
		return []any{v[0]}
	case map[string][]Object:
		return map[string]any{"k": []any{v["k"][0]}}
	default:
		return v
	}
}

// variables calls back with every variable that the schema has.
func variables(s *structure, path string, each func(path string, f *field)) {
	for name, f := range s.fields {
		each(path+"."+name, f)
		if f.object != nil {
			variables(f.object, path+"."+name, each)
		}
	}
}

// Every variable compiles, has its value and its type, is there for has, and is Absent
// where its Object does not have it.
func TestEveryVariable(t *testing.T) {
	schema := known()
	full := &Scope{
		Conn: sample{schema.roots["conn"]}, Endpoint: sample{schema.roots["endpoint"]}, Request: sample{schema.roots["req"]},
		Response: sample{schema.roots["res"]}, Message: sample{schema.roots["message"]},
	}
	seen := 0
	for name, root := range schema.roots {
		variables(root, name, func(path string, f *field) {
			seen++
			x, problem := CompileValue(Message, path)
			if problem != nil {
				t.Errorf("%s: %s", path, problem)
				return
			}
			got, err := x.Value(full)
			wanted := any(sample{f.object})
			switch {
			case f.object == nil:
				wanted = want(f)
			case f.object.text:
				wanted = sample{f.object}.Text()
			}
			if err != nil || !reflect.DeepEqual(got, wanted) {
				t.Errorf("%s is %v, %v", path, got, err)
			}
			if _, err := x.Value(&Scope{}); !IsAbsent(err) {
				t.Errorf("%s of nothing: %v", path, err)
			}
			has, problem := Compile(Message, "has("+path+")")
			if problem != nil {
				t.Errorf("has(%s): %s", path, problem)
				return
			}
			if ok, err := has.True(full); !ok || err != nil {
				t.Errorf("has(%s): %v, %v", path, ok, err)
			}
		})
	}
	if seen < 170 {
		t.Errorf("only %d variables", seen)
	}
}

// A value of another type than the field's is an error, not a panic.
func TestFieldsOfWrongTypes(t *testing.T) {
	for _, wrong := range []any{int64(1), "text", []string{"a"}, map[string]string{"a": "b"}, make(chan int), struct{}{}, sample{known().roots["endpoint"]}} {
		for _, text := range []string{`conn.tls.sni == "a"`, `conn.client_ip == "a"`, `conn.client_ip.is_tor_node`, `conn.client_port > 1`, `conn.geo.city.startsWith("a")`} {
			x, problem := Compile(Connect, text)
			if problem != nil {
				t.Fatal(problem)
			}
			if ok, _ := x.True(&Scope{Conn: always{wrong}}); ok {
				t.Errorf("%s is true of %T", text, wrong)
			}
		}
	}
}

type always struct{ value any }

func (a always) Field(string) any { return a.value }
