package nesting_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/lexer"

	"github.com/postern-dev/postern/internal/nesting"
)

func TestDepth(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want int
	}{
		"plain":            {"a: b\nc: d\n", 1},
		"brackets":         {strings.Repeat("[", 70) + strings.Repeat("]", 70), 70},
		"braces":           {"a: {b: {c: 1}}", 3},
		"closed brackets":  {"[" + strings.Repeat("[], ", 3) + "[[]]]", 3},
		"along a line":     {strings.Repeat("- ", 65) + "a", 65},
		"lines":            {strings.Repeat("- a\n", 100), 1},
		"keys":             {strings.Repeat("? ", 20) + "a", 20},
		"items":            {"[" + strings.Repeat("a: b, ", 100) + "c]", 1},
		"tags and anchors": {strings.Repeat("!a &b ", 10) + "c", 20},
	} {
		var g nesting.Gauge
		deepest := 0
		for _, token := range lexer.Tokenize(test.text) {
			deepest = max(deepest, g.Depth(token))
		}
		if deepest != test.want {
			t.Errorf("%s: %d, want %d", name, deepest, test.want)
		}
	}
}
