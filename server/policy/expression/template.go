package expression

import (
	"cmp"
	"errors"
	"strings"
	"unicode/utf8"
)

// Template is a text with expressions in it: "a ${req.host} b". It is compiled, never
// changes, and may be evaluated by many at the same time. What an expression gives is put
// in as it is, and never looked into for expressions.
type Template struct{ parts []part }

// part is a text, or an expression whose value stands in its place.
type part struct {
	text         string
	expression   *Expression
	line, column int // of the expression within the template
}

// CompileTemplate compiles a text. "$${" stands for "${".
func CompileTemplate(p Phase, text string) (*Template, *Problem) {
	if len(text) > mostTexts {
		return nil, &Problem{1, 1, "the text is too long: 64 KiB are the most"}
	}
	t := &Template{}
	scan := scanner{text: text}
	for count := 1; ; count++ {
		plain, inner, at, problem := scan.next()
		if problem != nil {
			return nil, problem
		}
		if plain != "" {
			t.parts = append(t.parts, part{text: plain})
		}
		if at < 0 {
			return t, nil
		}
		line, column := position(text, at)
		if count > mostParts {
			return nil, &Problem{line, column, "the text has too many ${ }: 128 are the most"}
		}
		if strings.TrimSpace(inner) == "" {
			return nil, &Problem{line, column, "there is no expression within ${ }; write $${ for ${ itself"}
		}
		x, problem := CompileValue(p, inner)
		if problem != nil {
			problem.Line, problem.Column = shift(line, column, problem.Line, problem.Column)
			return nil, problem
		}
		t.parts = append(t.parts, part{expression: x, line: line, column: column})
	}
}

// Constant is the text of a template without expressions.
func (t *Template) Constant() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].expression == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// Written is what its author has written: the text, with nothing in the place of the
// expressions.
func (t *Template) Written() string {
	var text strings.Builder
	for _, p := range t.parts {
		text.WriteString(p.text)
	}
	return text.String()
}

// Reads is Expression.Reads of all expressions in the text.
func (t *Template) Reads() (all []string) {
	for _, p := range t.parts {
		if p.expression != nil {
			all = append(all, p.expression.reads...)
		}
	}
	return all
}

// Text puts the values in. Errors are *Failures. After one that IsAbsent tells, the text
// is whole, with nothing in the place of what is absent; after others it is empty.
func (t *Template) Text(s *Scope) (string, error) {
	if text, constant := t.Constant(); constant {
		return text, nil
	}
	var out strings.Builder
	var missing error
	cost := uint64(0)
	for _, p := range t.parts {
		text, spent, err := p.evaluate(s)
		cost += spent
		switch {
		case IsAbsent(err):
			missing = cmp.Or(missing, err)
		case err != nil:
			return "", err
		}
		if out.Len()+len(text) > mostString {
			return "", exceeded("the text would have more than %d KiB", mostString>>10)
		}
		if cost > mostCost {
			return "", exceeded("the text took more than one may")
		}
		out.WriteString(text)
	}
	return out.String(), missing
}

func (p part) evaluate(s *Scope) (string, uint64, error) {
	if p.expression == nil {
		return p.text, 0, nil
	}
	value, cost, err := p.expression.spend(s)
	text := ""
	if err == nil {
		text, err = textual(value)
	}
	var failure *Failure
	if errors.As(err, &failure) && failure.Line > 0 {
		failure.Line, failure.Column = shift(p.line, p.column, failure.Line, failure.Column)
	}
	return text, cost, err
}

// shift is where a place of an expression is within the text that the expression begins in.
func shift(line, column, innerLine, innerColumn int) (int, int) {
	if innerLine == 1 {
		return line, column + innerColumn - 1
	}
	return line + innerLine - 1, innerColumn
}

// position is the line and the column of a byte, in characters from 1.
func position(text string, at int) (line, column int) {
	before := text[:at]
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}
