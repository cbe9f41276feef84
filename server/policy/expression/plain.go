package expression

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"

	"github.com/postern-dev/postern/internal/nearest"
)

// inPlain says what CEL says, for those who do not know it.
func inPlain(message string) string {
	if grammar, ok := strings.CutPrefix(message, "Syntax error: "); ok {
		return plainGrammar(grammar)
	}
	if name, ok := strings.CutPrefix(message, "undefined field '"); ok {
		return unknownField(strings.TrimSuffix(name, "'"))
	}
	if applied, ok := strings.CutPrefix(message, "found no matching overload for '"); ok {
		if name, given, ok := strings.Cut(applied, "' applied to '"); ok {
			return misapplied(name, strings.TrimSuffix(given, "'"))
		}
	}
	switch {
	case strings.HasPrefix(message, "has takes"):
		return message
	case strings.HasPrefix(message, "expected type 'bool'"):
		return "what stands here is neither true nor false, and &&, || and ? take nothing else; compare it with something"
	case strings.HasSuffix(message, "does not support field selection"):
		return "what stands before the dot has no fields"
	case strings.Contains(message, "recursion"), strings.Contains(message, "expression node"), strings.Contains(message, "nesting"):
		return "the expression is too large, or nested too deep; split it in several"
	}
	return clip("the expression cannot be read: " + message)
}

// plainGrammar is for what the parser of CEL stumbles over.
func plainGrammar(message string) string {
	hint := ""
	switch {
	case strings.Contains(message, "error at: '='"), strings.Contains(message, "error at: '= "):
		hint = "; values are compared with =="
	case strings.Contains(message, "error at: '$"):
		hint = "; ${ } stands in what actions are told, not within expressions"
	case strings.Contains(message, "error at: ''"), strings.Contains(message, "error at: '\""):
		hint = "; this text has no quote that ends it"
	case strings.Contains(message, "input 'and'"):
		hint = "; write && for and"
	case strings.Contains(message, "input 'or'"):
		hint = "; write || for or"
	case strings.Contains(message, "input 'not'"):
		hint = "; write ! for not"
	case strings.Contains(message, "'<EOF>'"), strings.HasSuffix(message, "input '.'"):
		hint = "; something is missing at its end"
	}
	return "the expression cannot be read from here on" + hint
}

// unknownField is for fields of what stands in lists and maps: cookies and extensions.
func unknownField(name string) string {
	for _, of := range []string{"Cookie", "Extension"} {
		if near := nearest.Of(name, known().structures[of].fieldNames()); near != "" {
			return fmt.Sprintf("there is no field %s; did you mean %s?", name, near)
		}
	}
	return fmt.Sprintf("there is no field %s", name)
}

// operators as they are written, by their names in CEL.
var operators = map[string]string{
	"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/",
	"_%_": "%", "_&&_": "&&", "_||_": "||", "!_": "!", "-_": "-", "@in": "in", "_[_]": "[ ]", "_?_:_": "? :",
}

// misapplied says that an operator or a function does not take values of these types.
func misapplied(name, applied string) string {
	written, isOperator := operators[name]
	if !isOperator {
		return fmt.Sprintf("%s cannot be called with %s", writtenName(name), plainTypes(applied))
	}
	return fmt.Sprintf("%s cannot be used with %s%s", written, plainTypes(applied), operatorHint(name, applied))
}

// writtenName undoes what resolver has made of a function's name.
func writtenName(name string) string {
	switch name {
	case matchesName:
		return "matches"
	case "@secret":
		return "secrets.get"
	case "@sortPairs":
		return "sortBy"
	}
	return strings.TrimPrefix(name, "@")
}

func operatorHint(name, applied string) string {
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(applied, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("list(string), string"):
		return "; this is a list of texts: write [0] behind it for the first, or 'text' in list"
	case name == "_+_" && has("string"):
		return "; write string(value) for what is no text"
	case has("int, string", "string, int"):
		return "; write the number without quotes, or int(text) for the number in a text"
	case has("timestamp, string", "string, timestamp"):
		return "; write timestamp(text) for the time in a text"
	case name == "_[_]":
		return "; [ ] takes an element out of a list or a map, and a field is written behind a dot"
	case name == "@in":
		return "; in takes a list or a map: value in ['a', 'b']"
	case name == "!_":
		return "; compare it with something"
	}
	return ""
}

// plainTypes names types as the documentation does.
func plainTypes(applied string) string {
	target, args, isMethod := strings.Cut(applied, ".(")
	if !isMethod {
		args = strings.TrimPrefix(applied, "(")
	}
	args = strings.TrimSuffix(args, ")")
	if !isMethod && args == "" {
		return "nothing"
	}
	pairs := []string{"google.protobuf.", "", "Timestamp", "timestamp", "Duration", "duration", "dyn", "any"}
	replacer := strings.NewReplacer(pairs...)
	switch {
	case isMethod && args == "":
		return replacer.Replace(target)
	case isMethod:
		return replacer.Replace(args + " on " + target)
	}
	return clip(replacer.Replace(args))
}

func typeName(t *types.Type) string {
	if t.Kind() == types.StructKind {
		return "an object"
	}
	return plainTypes(t.String())
}

func clip(message string) string {
	const most = 300
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}
