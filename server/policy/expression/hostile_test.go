package expression_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/policy/expression"
)

// hostile are expressions that would take seconds, or gigabytes, if nothing bounded them.
func hostile() map[string]string {
	nested := func(n int, before, inner, after string) string {
		return strings.Repeat(before, n) + inner + strings.Repeat(after, n)
	}
	repeat := func(n int, begin, step, end string) string { return begin + strings.Repeat(step, n) + end }
	loop := `lists.range(10000)`
	return map[string]string{
		"loops in loops":       loop + `.all(a, ` + loop + `.all(b, ` + loop + `.all(c, a + b + c >= 0)))`,
		"texts that double":    repeat(40, `['xxxxxxxxxx']`, `.map(x, x + x)`, `[0] == ''`),
		"lists that double":    repeat(40, `[[1, 2, 3]]`, `.map(x, x + x)`, `[0] == []`),
		"trees that double":    repeat(40, `[[1]]`, `.map(x, [x, x])`, `[0] == [1]`),
		"maps that double":     repeat(40, `[{'a': 1}]`, `.map(x, {'a': x, 'b': x})`, `[0] == {}`),
		"trees as JSON":        repeat(40, `[[1]]`, `.map(x, [x, x])`, `.encodeJson() == ''`),
		"trees compared":       repeat(12, `[[1]]`, `.map(x, [x, x, x])`, ` == `) + repeat(12, `[[1]]`, `.map(x, [x, x, x])`, ``),
		"replace":              repeat(30, `'aaaaaaaaaa'`, `.replace('a', 'aaaaaaaaaa')`, ` == ''`),
		"replace of nothing":   repeat(30, `'aaaaaaaaaa'`, `.replace('', 'aaaaaaaaaa')`, ` == ''`),
		"join":                 loop + `.map(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').join('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') == ''`,
		"format":               repeat(30, `['aaaaaaaaaa']`, `.map(x, '%s%s%s%s'.format([x, x, x, x]))`, `[0] == ''`),
		"precision":            `'%.99999999999f'.format([1.0]) == ''`,
		"sums of texts":        repeat(200, `vars.long`, ` + vars.long`, ` == ''`),
		"patterns":             repeat(200, `true`, ` && !vars.header.matches('(x+x+)+y')`, ``),
		"worked out patterns":  loop + `.all(i, !vars.header.matches('(a|b|c|d|e){1,50}' + string(i)))`,
		"a huge pattern":       `vars.header.matches('(' + '((a{9}){9}){9}' + '){9}')`,
		"escaped":              nested(8, `url.escape(`, `vars.long`, `)`) + ` == ''`,
		"hashes":               loop + `.all(i, hash.sha512(vars.long) != '')`,
		"sort":                 `size(` + loop + `.map(i, vars.header).sort()) == 1`,
		"distinct":             `size(` + loop + `.map(i, [i]).distinct()) == 1`,
		"flatten":              repeat(20, `[[1, 1, 1, 1]]`, `.map(x, [x, x, x, x].flatten())`, `.flatten(16) == []`),
		"deep JSON":            `json.decode('` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `') == []`,
		"long JSON":            `size(json.decode(vars.json)) == 1`,
		"membership":           loop + `.all(i, !(i in ` + loop + `.map(x, -1)))`,
		"headers again":        loop + `.all(i, size(req.headers) > 0 && !("none" in req.headers))`,
		"comparing long texts": loop + `.all(i, vars.long == vars.long2)`,
		"searching long texts": loop + `.all(i, !vars.long.contains("xxxxxxxxxxxxxxxxxxxxxxxxxxxy"))`,
		"converting":           loop + `.all(i, size(bytes(vars.long)) > 0)`,
	}
}

func hostileScope() *expression.Scope {
	s := scope()
	long := strings.Repeat("x", 64<<10)
	s.Vars = map[string]any{"long": long, "long2": strings.Clone(long), "header": long[:8<<10], "json": "[" + strings.Repeat("1,", 30<<10) + "1]"}
	return s
}

// None of them may take long, nor end in a panic; most are ended by a limit.
func TestHostileExpressionsEndSoon(t *testing.T) {
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			x, problem := expression.Compile(expression.Request, text)
			if problem != nil {
				t.Log(problem)
				return
			}
			s := hostileScope()
			began := time.Now()
			got, err := x.True(s)
			took := time.Since(began)
			t.Log(took, got, err)
			if took > time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, text := range hostile() {
		x, problem := expression.Compile(expression.Request, text)
		if problem != nil {
			continue
		}
		s := hostileScope()
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				x.True(s)
			}
		})
	}
}

// What a regular expression may take goes by its instructions, not by the bytes that they
// were written in.
func TestRegularExpressionsCostTheirSteps(t *testing.T) {
	s := hostileScope()
	s.Vars["text"] = strings.Repeat("ab", 240)
	for text, passes := range map[string]bool{
		`[1].all(i, !vars.text.matches('((a|b){1,20}c?){1,11}Z'))`:                      true,
		`[1, 2, 3].all(i, !vars.text.matches('((a|b){1,20}c?){1,11}Z'))`:                false,
		`[1, 2, 3].all(i, !vars.text.matches('((a|b){1,20}c?){1,11}' + string(i)))`:     false,
		`lists.range(50).all(i, !vars.text.matches('^/(admin|internal)/[0-9]+$'))`:      true,
		`lists.range(20).all(i, !vars.text.matches('^/(admin|internal)/' + string(i)))`: true,
	} {
		x, problem := expression.Compile(expression.Request, text)
		if problem != nil {
			t.Fatal(problem)
		}
		if got, err := x.True(s); got != passes || (err == nil) != passes {
			t.Errorf("%s: %t, %v", text, got, err)
		}
	}
}
