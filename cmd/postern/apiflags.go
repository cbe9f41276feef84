package main

import (
	"encoding/json"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
)

// mostFieldBytes is the largest file that a field is read from.
const mostFieldBytes = 1 << 20

// bodyFlags are the fields of a request's body as flags. What was not given is not sent.
type bodyFlags struct{ fields []*bodyField }

// bodyField is one field: a flag, and where its value goes.
type bodyField struct {
	path  []string // in the body
	flag  *pflag.Flag
	value func() (any, error) // nil as a value is null
	text  *string             // of a text field, which may name a file
}

// register makes a flag for every field of a struct type; those of structs within it are
// behind a dot.
func (b *bodyFlags) register(flags *pflag.FlagSet, t reflect.Type) { b.registerAll(flags, t, nil) }

func (b *bodyFlags) registerAll(flags *pflag.FlagSet, t reflect.Type, above []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			b.registerAll(flags, f.Type, above)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := append(slices.Clone(above), name)
		kind := fieldKind(f.Type)
		if kind.Kind() == reflect.Struct && kind != reflect.TypeFor[time.Time]() {
			b.registerAll(flags, kind, path)
		}
		b.registerOne(flags, kind, path, usage(f))
	}
}

// fieldKind is the type behind pointers and resource.Nullable.
func fieldKind(t reflect.Type) reflect.Type {
	if described, is := reflect.Zero(t).Interface().(interface{ Holds() reflect.Type }); is {
		return fieldKind(described.Holds())
	}
	if t.Kind() == reflect.Pointer {
		return fieldKind(t.Elem())
	}
	return t
}

func usage(f reflect.StructField) string {
	text := f.Tag.Get("doc")
	if slices.Contains(strings.Split(f.Tag.Get("api"), ","), "required") {
		text = "(required) " + text
	}
	// pflag takes a word in backquotes for the name of the value.
	return strings.ReplaceAll(text, "`", "'")
}

func (b *bodyFlags) registerOne(flags *pflag.FlagSet, kind reflect.Type, path []string, usage string) {
	name := strings.ReplaceAll(strings.Join(path, "."), "_", "-")
	field := &bodyField{path: path}
	switch {
	case kind.Kind() == reflect.String || kind == reflect.TypeFor[time.Time](): // of a time, the API says what is wrong with it
		field.text = flags.String(name, "", usage)
		field.value = func() (any, error) { return *field.text, nil }
	case kind.Kind() == reflect.Bool:
		value := flags.Bool(name, false, usage)
		field.value = func() (any, error) { return *value, nil }
	case kind.Kind() == reflect.Int || kind.Kind() == reflect.Int64 || kind.Kind() == reflect.Uint16:
		value := flags.Int64(name, 0, usage)
		field.value = func() (any, error) { return *value, nil }
	case kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.String:
		value := flags.StringArray(name, nil, usage+" May be repeated; '' alone is the empty list.")
		field.value = func() (any, error) {
			if slices.Equal(*value, []string{""}) {
				return []string{}, nil
			}
			return *value, nil
		}
	default:
		field.text = flags.String(name, "", usage+" In JSON.")
		field.value = func() (any, error) { return asJSON(name, *field.text) }
	}
	field.flag = flags.Lookup(name)
	b.fields = append(b.fields, field)
}

func asJSON(name, text string) (any, error) {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--%s is not JSON: %v", name, err)
	}
	return value, nil
}

// body is the request's, with the fields whose flags were given.
func (b *bodyFlags) body(in io.Reader) (map[string]any, error) {
	body := make(map[string]any)
	for _, field := range b.fields {
		if !field.flag.Changed {
			continue
		}
		if field.text != nil {
			text, err := readField(field.flag.Name, *field.text, in)
			if err != nil {
				return nil, err
			}
			*field.text = text
		}
		value, err := field.value()
		if err != nil {
			return nil, err
		}
		to := body
		for _, name := range field.path[:len(field.path)-1] {
			below, _ := to[name].(map[string]any)
			if below == nil {
				below = make(map[string]any)
				to[name] = below
			}
			to = below
		}
		to[field.path[len(field.path)-1]] = value
	}
	return body, nil
}

// readField gives a text as it was written, or of the file that it names.
func readField(name, text string, in io.Reader) (string, error) {
	path, isFile := strings.CutPrefix(text, "@")
	if !isFile || strings.HasPrefix(path, "@") {
		return path, nil // without the first of two
	}
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", postern.Errorf(postern.CodeFileUnreadable, "the file of --%s cannot be read: %v", name, err)
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, mostFieldBytes+1))
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "the file of --%s cannot be read: %v", name, err)
	}
	if len(content) > mostFieldBytes {
		return "", postern.Errorf(postern.CodeFileUnreadable, "the file of --%s has more than %d bytes", name, mostFieldBytes)
	}
	return string(content), nil
}
