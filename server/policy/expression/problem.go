package expression

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"

	"github.com/postern-dev/postern/internal/nearest"
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
		r.problem = problemAt(r.text, r.tree.SourceInfo().GetStartLocation(e.ID()), fmt.Sprintf(message, args...))
	}
}

// problemAt is a problem with the name that CEL means by a place: it gives that of the
// dot before a field, and of the parenthesis behind a function.
func problemAt(text string, at common.Location, message string) *Problem {
	p := &Problem{Line: max(at.Line(), 1), Column: max(at.Column()+1, 1), Message: message}
	lines := strings.Split(text, "\n")
	if p.Line > len(lines) {
		return p
	}
	line := []rune(lines[p.Line-1])
	if p.Column > len(line) {
		return p
	}
	switch line[p.Column-1] {
	case '.':
		p.Column++
	case '(':
		for p.Column > 1 && isNamePart(line[p.Column-2]) {
			p.Column--
		}
	}
	return p
}

func isNamePart(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }

func (r *resolver) failField(e ast.Expr, of *structure, name string) {
	hint := ""
	if near := nearest.Of(name, of.fieldNames()); near != "" {
		hint = fmt.Sprintf("; did you mean %s.%s?", of.path, near)
	} else {
		hint = "; there are " + strings.Join(of.fieldNames(), ", ")
	}
	r.fail(e, "there is no %s.%s%s", of.path, name, hint)
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
	if near := nearest.Of(name, append(namespaces(), r.schema.names(r.phase)...)); near != "" {
		return fmt.Sprintf("there is no %s; did you mean %s?", name, near)
	}
	if slices.Contains(functionNames(), name) || isNamespace(name) {
		return fmt.Sprintf("%s is a function; write parentheses behind it", name)
	}
	return fmt.Sprintf("there is no %s; a text is written in quotes, '%s'; a variable begins with %s", name, name, strings.Join(r.schema.names(r.phase), ", "))
}

func unknownFunction(name string) string {
	if near := nearest.Of(name, functionNames()); near != "" {
		return fmt.Sprintf("there is no function %s; did you mean %s?", name, near)
	}
	return fmt.Sprintf("there is no function %s; docs/policy-expressions.md lists those that there are", name)
}

// problemOf makes one of what CEL found first; it has found something. The names of things
// have been checked: what is left is grammar and types.
func problemOf(issues *cel.Issues, text string) *Problem {
	first := issues.Errors()[0]
	return problemAt(text, first.Location, inPlain(first.Message))
}
