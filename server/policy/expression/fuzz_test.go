package expression_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/postern-dev/postern/server/policy/expression"
)

const mostTime = 10 * time.Second // far more than anything takes, on a busy machine

// FuzzExpression compiles anything and evaluates what compiles: nothing panics, nothing
// takes long, and problems are at a place within the text.
func FuzzExpression(f *testing.F) {
	for _, c := range allCases() {
		for _, text := range c.holds {
			f.Add(text)
		}
		for text := range c.fails {
			f.Add(text)
		}
	}
	for _, text := range hostile() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		x, problem := expression.CompileValue(expression.Message, text)
		if problem != nil {
			if problem.Line < 1 || problem.Column < 1 || problem.Line > 1+strings.Count(text, "\n") || problem.Message == "" || !utf8.ValidString(problem.Message) {
				t.Errorf("%+v", problem)
			}
			return
		}
		for _, s := range []*expression.Scope{scope(), {}} {
			value, err := x.Value(s)
			if err != nil && value != nil {
				t.Errorf("%v and %v", value, err)
			}
			if err != nil && strings.Contains(err.Error(), "mistake of the server") {
				t.Errorf("a panic: %v", err)
			}
			if ok, err := x.True(s); ok && err != nil {
				t.Errorf("true and %v", err)
			}
		}
		if took := time.Since(began); took > mostTime {
			t.Errorf("it took %s", took)
		}
	})
}

// FuzzTemplate: nothing panics, a text is never larger than it may be, and one without
// placeholders is what it was.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"a ${req.host} b", "$${", "$$${'}'}", "${{'a': 1}}", "${r'\\'}", "${\"\"\"}\"\"\"}", "${", "${vars.none}", "\n ${\n x}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, problem := expression.CompileTemplate(expression.Message, text)
		if problem != nil {
			if problem.Line < 1 || problem.Column < 1 || problem.Message == "" {
				t.Errorf("%+v", problem)
			}
			return
		}
		got, err := tmpl.Text(scope())
		if len(got) > 64<<10 || err != nil && got != "" && !expression.IsAbsent(err) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if !strings.Contains(text, "${") && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
