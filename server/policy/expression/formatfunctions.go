package expression

import (
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

const mostPrecision = 100 // digits behind the point that format writes

func formatFunctions() []function {
	return []function{{"format", []form{method(kind.text, format, kind.text, listOf(kind.anything))}}}
}

// format writes values where %s, %d, %f, %e, %b, %x, %X and %o stand; %% is a percent
// sign, and %.2f has two digits behind the point.
func format(pattern, list ref.Val) ref.Val {
	text, err := textOf(pattern)
	if err != nil {
		return types.WrapErr(err)
	}
	elements, err := elementsOf(list)
	if err != nil {
		return types.WrapErr(err)
	}
	var out strings.Builder
	used := 0
	for {
		before, rest, found := strings.Cut(text, "%")
		out.WriteString(before)
		if out.Len() > mostString {
			return types.WrapErr(exceeded("format would make a text of more than %d KiB", mostString>>10))
		}
		if !found {
			return types.String(out.String())
		}
		if strings.HasPrefix(rest, "%") {
			out.WriteByte('%')
			text = rest[1:]
			continue
		}
		precision, verb, after := clause(rest)
		if used == len(elements) {
			return types.WrapErr(unfit("format has more clauses than the list has elements"))
		}
		written, err := formatted(elements[used], verb, precision)
		if err != nil {
			return types.WrapErr(err)
		}
		out.WriteString(written)
		used++
		text = after
	}
}

// clause reads what stands behind a percent sign: a precision or -1, and a letter.
func clause(text string) (precision int, verb byte, rest string) {
	precision = -1
	if strings.HasPrefix(text, ".") {
		digits := 1
		for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
			digits++
		}
		if n, err := strconv.Atoi(text[1:digits]); err == nil {
			precision = min(n, mostPrecision)
		}
		text = text[digits:]
	}
	if text == "" {
		return precision, 0, ""
	}
	return precision, text[0], text[1:]
}

func formatted(value ref.Val, verb byte, precision int) (string, error) {
	switch verb {
	case 's':
		return textual(value)
	case 'f', 'e':
		return float(value, verb, precision)
	case 'd', 'b', 'o', 'x', 'X':
		return whole(value, verb)
	}
	return "", unfit("format has a clause that is none of %%s, %%d, %%f, %%e, %%b, %%x, %%X and %%o")
}

func float(value ref.Val, verb byte, precision int) (string, error) {
	if precision < 0 {
		precision = 6
	}
	n, ok := value.ConvertToType(types.DoubleType).(types.Double)
	if !ok || value.Type() == types.StringType {
		return "", unfit("%%%c of format takes a number", verb)
	}
	return strconv.FormatFloat(float64(n), verb, precision, 64), nil
}

func whole(value ref.Val, verb byte) (string, error) {
	base := map[byte]int{'d': 10, 'b': 2, 'o': 8, 'x': 16, 'X': 16}[verb]
	written := ""
	switch v := value.(type) {
	case types.Int:
		written = strconv.FormatInt(int64(v), base)
	case types.Uint:
		written = strconv.FormatUint(uint64(v), base)
	case types.Bool:
		if verb != 'b' {
			return "", unfit("%%%c of format takes a whole number", verb)
		}
		written = map[types.Bool]string{true: "1", false: "0"}[v]
	case types.String, types.Bytes:
		if base != 16 {
			return "", unfit("%%%c of format takes a whole number", verb)
		}
		written = hexadecimal(v)
	default:
		return "", unfit("%%%c of format takes a whole number", verb)
	}
	if verb == 'X' {
		written = strings.ToUpper(written)
	}
	return written, nil
}
