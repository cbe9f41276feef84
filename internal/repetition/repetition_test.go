package repetition_test

import (
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/postern-dev/postern/internal/repetition"
)

// What is told is close to what the compiler makes.
func TestStepsAreThoseOfTheCompiler(t *testing.T) {
	for _, text := range []string{
		"", "a", "abc", "a|b", "[a-z]+", "(a*)*", "^/(admin|internal)/[0-9]{1,20}$", "(?i)straße", `\bword\b`, "x{0}", "x{3}", "x{2,}",
		"((a|b){1,20}c?){1,11}Z", "(a?b?c?){1,330}", "(?:[a-f0-9]{4}-){3}[a-f0-9]{8}", ".*?(foo|bar|baz).*$", `(?s).{5,9}\pL+`,
	} {
		tree, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			t.Fatal(text, err)
		}
		program, err := syntax.Compile(tree.Simplify())
		if err != nil {
			t.Fatal(text, err)
		}
		got, err := repetition.Steps(text)
		if made := len(program.Inst); err != nil || got > 2*made || 2*got+10 < made {
			t.Errorf("%q: %d steps, %v; compiled it has %d", text, got, err, made)
		}
	}
}

// What would become gigabytes is counted without being made.
func TestStepsOfWhatIsNeverMade(t *testing.T) {
	for text, least := range map[string]int{
		"(" + strings.Repeat("a?", 440) + "){1,1000}Q": 800_000,
		"(((a{10}){10}){10})":                          1000,
		strings.Repeat("(x{1000})", 100):               100_000,
	} {
		if got, err := repetition.Steps(text); err != nil || got < least {
			t.Errorf("%.20q: %d steps, %v; there are %d", text, got, err, least)
		}
	}
	if _, err := repetition.Steps("("); err == nil {
		t.Error("what is none has steps")
	}
}
