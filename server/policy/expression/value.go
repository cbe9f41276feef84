package expression

import (
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// textual is a value as it stands in a text: lists and maps as JSON, nothing for null.
func textual(value ref.Val) (string, error) {
	switch v := value.(type) {
	case types.String:
		if len(v) > mostString {
			return "", exceeded("the text has more than %d KiB", mostString>>10)
		}
		return string(v), nil
	case types.Null:
		return "", nil
	case types.Bool:
		return strconv.FormatBool(bool(v)), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), nil
	case types.Double:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), nil
	case types.Bytes:
		return string(v), nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	case types.Duration:
		return v.Duration.String(), nil
	case objectValue:
		if text, ok := v.Object.(Text); ok {
			return text.Text(), nil
		}
	}
	return writeJSON(value)
}

// native is a value in Go: nil, bool, int64, uint64, float64, string, []byte, time.Time,
// time.Duration, []any, map[string]any or Object.
func native(value ref.Val, depth int, left *int) (any, error) {
	if *left--; *left < 0 || depth > mostDepth {
		return nil, exceeded("the value is too large: %d elements and %d values within each other are the most", mostList, mostDepth)
	}
	switch v := value.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		if len(v) > mostString {
			return nil, exceeded("the text has more than %d KiB", mostString>>10)
		}
		return string(v), nil
	case types.Bytes:
		return []byte(v), nil
	case types.Timestamp:
		return v.Time, nil
	case types.Duration:
		return v.Duration, nil
	case objectValue:
		return v.Object, nil
	case traits.Mapper:
		return nativeMap(v, depth, left)
	case traits.Lister:
		return nativeList(v, depth, left)
	}
	return nil, unfit("the result is no value")
}

func nativeList(list traits.Lister, depth int, left *int) (any, error) {
	all := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		element, err := native(it.Next(), depth+1, left)
		if err != nil {
			return nil, err
		}
		all = append(all, element)
	}
	return all, nil
}

func nativeMap(entries traits.Mapper, depth int, left *int) (any, error) {
	byName, err := namesOf(entries)
	if err != nil {
		return nil, err
	}
	all := make(map[string]any, len(byName))
	for _, entry := range byName {
		if all[entry.name], err = native(entries.Get(entry.key), depth+1, left); err != nil {
			return nil, err
		}
	}
	return all, nil
}
