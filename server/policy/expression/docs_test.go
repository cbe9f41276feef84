package expression_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/policy-expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks are the lines of the page's blocks of a language.
func blocks(page, language string) []string {
	var lines []string
	for _, block := range strings.Split(page, "```"+language+"\n")[1:] {
		inner, _, _ := strings.Cut(block, "```")
		lines = append(lines, strings.Split(strings.TrimSpace(inner), "\n")...)
	}
	return lines
}

// Every example of the page compiles.
func TestExamplesCompile(t *testing.T) {
	text := page(t)
	examples, templates := blocks(text, "cel"), blocks(text, "template")
	if len(examples) < 25 || len(templates) < 3 {
		t.Fatalf("only %d and %d examples", len(examples), len(templates))
	}
	for _, example := range examples {
		if _, problem := expression.Compile(expression.Response, example); problem != nil {
			t.Errorf("%s: %s", example, problem)
		}
	}
	for _, example := range templates {
		if _, problem := expression.CompileTemplate(expression.Request, example); problem != nil {
			t.Errorf("%s: %s", example, problem)
		}
	}
}

// Every function is on the page, as a function or as a method, and none that there is not.
func TestPageHasEveryFunction(t *testing.T) {
	text := page(t)
	inCode := regexp.MustCompile("`[^`\n]+`").FindAllString(text, -1)
	code := strings.Join(inCode, "\n")
	for _, name := range expression.Functions() {
		if !regexp.MustCompile(`(^|[^\w.]|[a-z"]\.)` + regexp.QuoteMeta(name) + `\b`).MatchString(code) {
			t.Errorf("%s is not on the page", name)
		}
	}
	known := " " + strings.Join(expression.Functions(), " ") + " "
	_, functions, _ := strings.Cut(text, "## Functions")
	functions, _, _ = strings.Cut(functions, "## Texts with expressions")
	for _, called := range regexp.MustCompile(`([a-z0-9A-Z_"]+\.)?([a-zA-Z0-9_]+)\(`).FindAllStringSubmatch(strings.Join(regexp.MustCompile("`[^`\n]+`").FindAllString(functions, -1), "\n"), -1) {
		if !strings.Contains(known, " "+called[2]+" ") && !strings.Contains(known, " "+called[1]+called[2]+" ") {
			t.Errorf("there is no function %s%s", called[1], called[2])
		}
	}
}

// Every variable is on the page. Those of the other side are said to be the same.
func TestPageHasEveryVariable(t *testing.T) {
	text := page(t)
	same := strings.NewReplacer("conn.server_ip.", "conn.client_ip.", ".tls.server", ".tls.client", ".issuer", ".subject", ".registered_location", ".location")
	for _, variable := range expression.Variables() {
		name := same.Replace(variable)
		if rest, ok := strings.CutPrefix(name, "res."); ok && rest != "status_code" {
			name = "req." + rest
		}
		last := max(strings.LastIndexByte(name, '.'), 0)
		whole := strings.Contains(text, "`"+name+"`") || strings.Contains(text, "`"+name+".") // itself, or its fields
		short := strings.Contains(text, "`…"+name[last:]+"`") && strings.Contains(text, "`"+name[:last])
		if !whole && !short {
			t.Errorf("%s is not on the page", variable)
		}
	}
}
