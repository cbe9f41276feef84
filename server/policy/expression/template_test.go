package expression_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		``: ``, `plain`: `plain`, `$`: `$`, `$x {y} }`: `$x {y} }`, `$$`: `$$`, `$1.00`: `$1.00`,
		`a ${req.host} b`:                       `a shop.example.com b`,
		`${req.method}${req.host}`:              `GETshop.example.com`,
		`$${req.host}`:                          `${req.host}`,
		`$$${req.host}`:                         `$${req.host}`,
		`x$${y}${req.method}`:                   `x${y}GET`,
		`${"}"}`:                                `}`,
		`${'a"}' + "'}"}`:                       `a"}'}`,
		`${"\"}"}`:                              `"}`,
		`${r"\"}`:                               `\`,
		`${"""a"}"""}`:                          `a"}`,
		`${{"a": "b"}.a}`:                       `b`,
		`${ {"a": {"b": "c"}}["a"]["b"] }!`:     `c!`,
		"${\n  req.method\n}":                   `GET`,
		`${conn.client_ip} ${conn.client_port}`: `192.0.2.7 5555`,
		`${1} ${2u} ${1.5} ${true} ${null}|`:    `1 2 1.5 true |`,
		`${[1, "a", {"k": null}]}`:              `[1,"a",{"k":null}]`,
		`${conn.ts.start} ${duration("90s")}`:   `2026-01-02T03:04:00Z 1m30s`,
		`${b"hi"}`:                              `hi`,
		`${conn.tls.client.subject}`:            `CN=bob,C=DE`,
		`${secrets.get("v", "key")}`:            `hunter2-key`,
		`${vars.injected}`:                      `${secrets.get("v", "key")}`,
		`${req.headers["X-List"]}`:              `["a","b"]`,
	} {
		tmpl, problem := expression.CompileTemplate(expression.Request, text)
		if problem != nil {
			t.Errorf("%s: %s", text, problem)
			continue
		}
		s := scope()
		s.Vars["injected"] = `${secrets.get("v", "key")}`
		if got, err := tmpl.Text(s); got != want || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
		constant, ok := tmpl.Constant()
		if isConstant := !strings.Contains(strings.ReplaceAll(text, "$${", ""), "${"); ok != isConstant || ok && constant != want {
			t.Errorf("%s: constant %q, %v", text, constant, ok)
		}
	}
}

// What is absent leaves a gap, and is told; anything else leaves no text.
func TestTemplatesWithoutValues(t *testing.T) {
	for text, c := range map[string]struct {
		want, fault string
		absent      bool
	}{
		`a ${vars.none} b ${req.method}`:           {"a  b GET", "line 1, column 10: there is no such key", true},
		"a\nbc ${req.headers['x-none'][0]}!":       {"a\nbc !", "line 2, column 27: there is no such key", true},
		"${\n vars.none }|${vars.none}":            {"|", "line 2, column 7", true},
		`${getReqCookie("none").value}`:            {"", "there is no such cookie", true},
		`a ${vars.none} ${1 / 0}`:                  {"", "it divides by zero", false},
		`a ${req}`:                                 {"", "an object as a whole cannot be written", false},
		`${lists.range(10000).map(x, "aaaaaaaa")}`: {"", "more than", false},
	} {
		tmpl, problem := expression.CompileTemplate(expression.Request, text)
		if problem != nil {
			t.Fatalf("%s: %s", text, problem)
		}
		got, err := tmpl.Text(scope())
		if err == nil || got != c.want || !strings.Contains(err.Error(), c.fault) || expression.IsAbsent(err) != c.absent {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestTemplateProblems(t *testing.T) {
	for text, want := range map[string]string{
		"${":                          "line 1, column 1: this ${ has no } that ends it; write $${ for ${ itself",
		"ab\nc ${ 'x} ":               "line 2, column 3: this ${ has no }",
		"${}":                         "line 1, column 3: there is no expression within ${ }",
		"é ${ req.methd }":            "line 1, column 10: there is no req.methd; did you mean req.method?",
		"a\n ${req.method +\n x.y}":   "line 3, column 2: there is no x",
		"${res.status_code}":          "there is no res in on_http_request yet",
		"${hasReqHeader(}":            "column 16: the expression cannot be read",
		strings.Repeat("a", 64<<10+1): "64 KiB are the most",
		strings.Repeat("${1}", 129):   "128 are the most",
	} {
		_, problem := expression.CompileTemplate(expression.Request, text)
		if problem == nil || !strings.Contains(problem.String(), want) {
			t.Errorf("%.40q: %v", text, problem)
		}
	}
}

// All placeholders of a text share one budget and one size.
func TestTemplatesAreBounded(t *testing.T) {
	for _, text := range []string{
		strings.Repeat(`${lists.range(1000).map(x, x + 1).size()}`, 20),
		strings.Repeat(`${vars.long}`, 3),
	} {
		tmpl, problem := expression.CompileTemplate(expression.Request, text)
		if problem != nil {
			t.Fatal(problem)
		}
		s := scope()
		s.Vars["long"] = strings.Repeat("x", 30<<10)
		if got, err := tmpl.Text(s); err == nil || got != "" || expression.IsAbsent(err) {
			t.Errorf("%.40s: %d bytes, %v", text, len(got), err)
		}
	}
}
