package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-dev/postern"
)

// decode reads a body into to, a pointer to a struct, strictly: it must be one JSON object
// in UTF-8 without repeated keys; a field that the struct has not, and is not among
// ignored, is refused; null stands for a field's zero value.
func decode(body []byte, to any, ignored []string) error {
	if !utf8.Valid(body) {
		return postern.Errorf(postern.CodeBodyUnparsable, "the body is not UTF-8 text")
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	return decodeObject(body, reflect.ValueOf(to).Elem(), "", ignored)
}

// checkJSON says where a body that is not JSON goes wrong.
func checkJSON(body []byte) error {
	var any json.RawMessage
	err := json.Unmarshal(body, &any)
	if err == nil {
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return postern.Errorf(postern.CodeBodyUnparsable, "the body is empty; send a JSON object")
	}
	if syntax, is := errors.AsType[*json.SyntaxError](err); is {
		before := body[:min(int(syntax.Offset), len(body))]
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
		hint := ""
		if bytes.ContainsAny(body[:min(len(before)+utf8.UTFMax, len(body))], "“”„‘’") {
			hint = "; it has curly quotes, JSON needs straight ones (\")"
		}
		return postern.Errorf(postern.CodeBodyUnparsable, "the body is not JSON: line %d, column %d: %s%s", line, column, syntax.Error(), hint)
	}
	return postern.Errorf(postern.CodeBodyUnparsable, "the body is not JSON").Because(err)
}

// decodeObject reads an object that is known to be JSON. path names it in messages.
func decodeObject(text []byte, to reflect.Value, path string, ignored []string) error {
	members, err := membersOf(text, path)
	if err != nil {
		return err
	}
	fields := fieldsOf(to)
	for _, m := range members {
		field, known := fields[m.name]
		if !known {
			if path == "" && slices.Contains(ignored, m.name) {
				continue
			}
			return unknownField(path+m.name, fields)
		}
		err := decodeValue(m.value, field.Value, path+m.name)
		if err != nil && field.secret {
			return postern.Errorf(postern.CodeValueInvalid, "the field %q must be %s", path+m.name, inWords(field.Type()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unknownField(name string, fields map[string]field) error {
	known := make([]string, 0, len(fields))
	for field := range fields {
		known = append(known, field)
	}
	slices.Sort(known)
	return postern.Errorf(postern.CodeFieldUnknown, "the field %q is not known here; known are: %s", clip(name), strings.Join(known, ", "))
}

// field is one of a struct.
type field struct {
	reflect.Value
	secret bool // messages do not quote it
}

// fieldsOf are the fields of a struct by their names in JSON, those of embedded structs
// included.
func fieldsOf(to reflect.Value) map[string]field {
	fields := make(map[string]field)
	for i := range to.NumField() {
		said := to.Type().Field(i)
		if said.Anonymous {
			maps.Copy(fields, fieldsOf(to.Field(i)))
			continue
		}
		name, _, _ := strings.Cut(said.Tag.Get("json"), ",")
		fields[name] = field{to.Field(i), says(said, "secret")}
	}
	return fields
}

// decodeValue reads one value. Structs are read by decodeObject, wherever they lie, unless
// they read themselves.
func decodeValue(text json.RawMessage, to reflect.Value, path string) error {
	_, readsItself := to.Addr().Interface().(json.Unmarshaler)
	switch null := string(text) == "null"; {
	case readsItself:
	case null && to.Kind() == reflect.Pointer:
		// The zero value clears the field; a nil pointer would mean that it is absent.
		to.Set(reflect.New(to.Type().Elem()))
		return nil
	case null:
		to.SetZero()
		return nil
	case to.Kind() == reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return decodeValue(text, to.Elem(), path)
	case to.Kind() == reflect.Struct:
		return decodeObject(text, to, path+".", nil)
	case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Struct:
		return decodeList(text, to, path)
	}
	if err := json.Unmarshal(text, to.Addr().Interface()); err != nil {
		return valueProblem(text, to, path, err)
	}
	return nil
}

func decodeList(text json.RawMessage, to reflect.Value, path string) error {
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		return valueProblem(text, to, path, err)
	}
	list := reflect.MakeSlice(to.Type(), len(items), len(items))
	for i, item := range items {
		if err := decodeValue(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	to.Set(list)
	return nil
}

func valueProblem(text json.RawMessage, to reflect.Value, path string, cause error) error {
	if coded, is := errors.AsType[*postern.Error](cause); is {
		return coded
	}
	return postern.Errorf(postern.CodeValueInvalid, "the field %q is %s; it must be %s", path, clip(string(text)), inWords(to.Type())).Because(cause)
}

// inWords is a type as a reader knows it.
func inWords(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "a time in RFC 3339, such as 2031-05-17T09:30:00Z"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list, each item " + inWords(t.Elem())
	case reflect.Pointer:
		return inWords(t.Elem())
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint16:
		return "a whole number"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return "of another kind"
}

// member is one key of an object with its value.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf splits an object, in order, and refuses repeated keys: which of them counts
// would depend on the reader.
func membersOf(text []byte, path string) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		if path == "" {
			return nil, postern.Errorf(postern.CodeBodyUnparsable, "the body must be an object") // it is not quoted: it may have secrets
		}
		return nil, postern.Errorf(postern.CodeValueInvalid, "the field %q is %s; it must be an object", strings.TrimSuffix(path, "."), clip(string(text)))
	}
	var members []member
	seen := make(map[string]bool)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, postern.Errorf(postern.CodeBodyUnparsable, "the body is not JSON").Because(err)
		}
		name, _ := key.(string)
		if seen[name] {
			return nil, postern.Errorf(postern.CodeBodyUnparsable, "the field %q is there twice", clip(path+name))
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, postern.Errorf(postern.CodeBodyUnparsable, "the body is not JSON").Because(err)
		}
		members = append(members, member{name, value})
	}
	return members, nil
}
