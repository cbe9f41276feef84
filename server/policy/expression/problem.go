package expression

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// Problem is why an expression cannot be compiled, and what to write instead where that
// is known.
type Problem struct {
	Line, Column int // within the text, from 1, in characters
	Message      string
}

func (p *Problem) String() string {
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message)
}

func (r *resolver) fail(e ast.Expr, message string, args ...any) {
	if r.problem == nil {
		at := r.tree.SourceInfo().GetStartLocation(e.ID())
		r.problem = &Problem{Line: max(at.Line(), 1), Column: max(at.Column(), 0) + 1, Message: fmt.Sprintf(message, args...)}
	}
}

func (r *resolver) failField(e ast.Expr, of *structure, name string) {
	hint := ""
	if near := nearest(name, of.fieldNames()); near != "" {
		hint = fmt.Sprintf("; did you mean %s.%s?", of.path, near)
	} else {
		hint = "; there are " + strings.Join(of.fieldNames(), ", ")
	}
	r.fail(e, "there is no %s.%s%s", of.path, name, hint)
	r.problem.Column++ // behind the dot
}

func (r *resolver) unknownName(name string) string {
	for later := r.phase + 1; later < phases; later++ {
		if slices.Contains(r.schema.names(later), name) {
			return fmt.Sprintf("there is no %s in %s yet; it is there from %s on", name, r.phase, later)
		}
	}
	if name == "time" {
		return "time has one field, time.now"
	}
	if near := nearest(name, r.schema.names(r.phase)); near != "" {
		return fmt.Sprintf("there is no %s; did you mean %s?", name, near)
	}
	if slices.Contains(functionNames(), name) || isNamespace(name) {
		return fmt.Sprintf("%s is a function; write parentheses behind it", name)
	}
	return fmt.Sprintf("there is no %s; a text is written in quotes, '%s'; a variable begins with %s", name, name, strings.Join(r.schema.names(r.phase), ", "))
}

func unknownFunction(name string) string {
	if near := nearest(name, functionNames()); near != "" {
		return fmt.Sprintf("there is no function %s; did you mean %s?", name, near)
	}
	return fmt.Sprintf("there is no function %s; docs/policy-expressions.md lists those that there are", name)
}

// problemOf makes one of what CEL found first. The names of things have been checked:
// what is left is grammar and types.
func problemOf(issues *cel.Issues, text string) *Problem {
	found := issues.Errors()
	if len(found) == 0 {
		return &Problem{1, 1, issues.Err().Error()}
	}
	first := found[0]
	p := &Problem{Line: 1, Column: 1, Message: inPlain(first)}
	if first.Location != common.NoLocation && first.Location.Line() > 0 {
		p.Line, p.Column = first.Location.Line(), first.Location.Column()+1
	}
	if strings.TrimSpace(text) == "" {
		p.Message = "the expression is empty"
	}
	return p
}

// inPlain says what CEL says, for those who do not know it.
func inPlain(found *common.Error) string {
	message := found.Message
	if field, ok := strings.CutPrefix(message, "undefined field '"); ok {
		name := strings.TrimSuffix(field, "'")
		for _, s := range known().structures {
			if near := nearest(name, s.fieldNames()); near != "" && (s.name == "Cookie" || s.name == "Extension") {
				return fmt.Sprintf("there is no field %s; did you mean %s?", name, near)
			}
		}
		return fmt.Sprintf("there is no field %s", name)
	}
	if applied, ok := strings.CutPrefix(message, "found no matching overload for '"); ok {
		if name, types, ok := strings.Cut(applied, "' applied to '"); ok {
			return misapplied(name, strings.TrimSuffix(types, "'"))
		}
	}
	if strings.Contains(message, "recursion") || strings.Contains(message, "expression node") {
		return "the expression is too large; split it in several"
	}
	message = strings.TrimPrefix(message, "Syntax error: ")
	return clip("the expression cannot be read: " + message)
}

// operators as they are written, by their names in CEL.
var operators = map[string]string{
	"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/",
	"_%_": "%", "_&&_": "&&", "_||_": "||", "!_": "!", "-_": "-", "@in": "in", "_[_]": "[ ]", "_?_:_": "? :", matchesName: "matches",
}

// misapplied says that an operator or a function does not take values of these types.
func misapplied(name, applied string) string {
	written, isOperator := operators[name]
	for lookup, as := range lookups {
		if as.function == name {
			return fmt.Sprintf("%s takes a name in quotes, such as %s('x-name')", lookup, lookup)
		}
	}
	if !isOperator {
		written = strings.ReplaceAll(strings.TrimPrefix(name, "@"), "secret", "secrets.get")
		return fmt.Sprintf("%s cannot be called with %s", written, plainTypes(applied))
	}
	hint := ""
	switch {
	case strings.Contains(applied, "list(string), string"):
		hint = "; this is a list of texts: write [0] behind it for the first, or 'text' in list"
	case strings.Contains(applied, "int, string") || strings.Contains(applied, "string, int"):
		hint = "; write the number without quotes, or int(text) for the number in a text"
	case strings.Contains(applied, "timestamp, string") || strings.Contains(applied, "string, timestamp"):
		hint = "; write timestamp(text) for the time in a text"
	case name == "_&&_" || name == "_||_" || name == "!_":
		hint = "; both sides must be true or false: compare them with something"
	}
	return fmt.Sprintf("%s cannot be used with %s%s", written, plainTypes(applied), hint)
}

// plainTypes names types as the documentation does.
func plainTypes(applied string) string {
	target, args, isMethod := strings.Cut(applied, ".(")
	if !isMethod {
		args = strings.TrimPrefix(applied, "(")
	}
	args = strings.TrimSuffix(args, ")")
	replacer := strings.NewReplacer("google.protobuf.", "", "Timestamp", "timestamp", "Duration", "duration")
	switch {
	case isMethod && args == "":
		return replacer.Replace(target)
	case isMethod:
		return replacer.Replace("(" + args + ") on " + target)
	}
	return replacer.Replace("(" + args + ")")
}

func clip(message string) string {
	const most = 300
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}
