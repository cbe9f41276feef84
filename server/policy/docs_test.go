package policy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// The examples of docs/policy.md do what is said there: each action's section has a policy
// and cases. LONG stands for a text that is long enough to be compressed.
func TestDocumentedExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	at := target(postern.HTTPS, false)
	sections := 0
	for _, section := range strings.Split(string(text), "\n### `")[1:] {
		action, _, _ := strings.Cut(section, "`")
		if !slices.Contains(policy.Kinds(), action) {
			t.Errorf("there is no action %s", action)
		}
		blocks := block.FindAllStringSubmatch(section, -1)
		if len(blocks) < 2 {
			t.Errorf("%s has no example with cases", action)
			continue
		}
		sections++
		program, err := policy.Compile(blocks[0][1], at)
		if err != nil || !strings.Contains(blocks[0][1], "type: "+action) {
			t.Errorf("%s: %v", action, err)
			continue
		}
		var cases []trial.Case
		filled := strings.ReplaceAll(blocks[1][1], "LONG", strings.Repeat("long", 1000))
		if err := yaml.UnmarshalWithOptions([]byte(filled), &cases, yaml.Strict()); err != nil || len(cases) == 0 {
			t.Errorf("%s: %v", action, err)
		}
		for _, c := range cases {
			got, err := trial.Run(t.Context(), program, at, &policy.World{}, c)
			if err != nil || c.Want == nil {
				t.Errorf("%s, %s: %v", action, c.Name, err)
				continue
			}
			for _, miss := range got.Misses(c.Want) {
				t.Errorf("%s, %s: %s", action, c.Name, miss)
			}
		}
	}
	if sections == 0 {
		t.Error("no action has a section")
	}
}
