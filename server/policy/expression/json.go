package expression

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// readJSON reads what is valid JSON, up to mostDepth deep and mostList large.
func readJSON(s string) (any, error) {
	if strings.Count(s, ",") > mostList { // before anything is made of it
		return nil, exceeded("the JSON has more than %d values", mostList)
	}
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || strings.TrimSpace(s[decoder.InputOffset():]) != "" {
		return nil, unfit("the text is not JSON")
	}
	elements := 0
	return withNumbers(value, 0, &elements)
}

// withNumbers makes int64 or float64 of the numbers in value.
func withNumbers(value any, depth int, elements *int) (any, error) {
	if *elements++; *elements > mostList || depth > mostDepth {
		return nil, exceeded("the JSON has more than %d values, or is deeper than %d", mostList, mostDepth)
	}
	var err error
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			if v[i], err = withNumbers(v[i], depth+1, elements); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = withNumbers(v[key], depth+1, elements); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// writeJSON writes a value as JSON, the keys of maps in order.
func writeJSON(value ref.Val) (string, error) {
	out, err := appendJSON(nil, value, 0)
	return string(out), err
}

func appendJSON(out []byte, value ref.Val, depth int) ([]byte, error) {
	if len(out) > mostString || depth > mostDepth {
		return nil, exceeded("the value is too large for a text: %d KiB and %d values within each other are the most", mostString>>10, mostDepth)
	}
	switch v := value.(type) {
	case types.Null:
		return append(out, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(out, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(out, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(out, uint64(v), 10), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, unfit("the number cannot be written as JSON")
		}
		return strconv.AppendFloat(out, float64(v), 'g', -1, 64), nil
	case types.String:
		return appendText(out, string(v)), nil
	case types.Bytes:
		return appendText(out, base64.StdEncoding.EncodeToString(v)), nil
	case types.Timestamp:
		return appendText(out, v.UTC().Format(time.RFC3339Nano)), nil
	case types.Duration:
		return appendText(out, v.Duration.String()), nil
	case objectValue:
		if text, ok := v.Object.(Text); ok {
			return appendText(out, text.Text()), nil
		}
	case traits.Mapper:
		return appendMap(out, v, depth)
	case traits.Lister:
		return appendList(out, v, depth)
	}
	return nil, unfit("an object as a whole cannot be written; name its fields")
}

func appendList(out []byte, list traits.Lister, depth int) ([]byte, error) {
	out = append(out, '[')
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; first = false {
		if !first {
			out = append(out, ',')
		}
		var err error
		if out, err = appendJSON(out, it.Next(), depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func appendMap(out []byte, entries traits.Mapper, depth int) ([]byte, error) {
	byName, err := namesOf(entries)
	if err != nil {
		return nil, err
	}
	out = append(out, '{')
	for i, entry := range byName {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, entry.name), ':')
		if out, err = appendJSON(out, entries.Get(entry.key), depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

type namedKey struct {
	name string
	key  ref.Val
}

// namesOf are the keys of a map as texts, sorted.
func namesOf(entries traits.Mapper) ([]namedKey, error) {
	if size, _ := entries.Size().(types.Int); size > mostList {
		return nil, exceeded("a map has more than %d entries", mostList)
	}
	var all []namedKey
	for it := entries.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.ConvertToType(types.StringType).(types.String)
		if !ok {
			return nil, unfit("a key of the map is no text")
		}
		all = append(all, namedKey{string(name), key})
	}
	slices.SortFunc(all, func(a, b namedKey) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// appendText writes a text without the escapes that Go makes for HTML.
func appendText(out []byte, s string) []byte {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // texts can always be written
	return append(out, strings.TrimSuffix(b.String(), "\n")...)
}
