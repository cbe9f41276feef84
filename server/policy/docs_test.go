package policy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// docs/policy.md has a section for every action that there is and for no other, with a
// policy and cases that come out as it says; and it lists those that there are not.
func TestDocumentedActions(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(text), "\n## Actions\n")
	sections, missing, _ := strings.Cut(behind, "\n## Actions that there are not\n")
	var documented []string
	for _, section := range strings.Split(sections, "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		documented = append(documented, name)
		t.Run(name, func(t *testing.T) { holdExample(t, name, body) })
	}
	if !slices.Equal(documented, policy.Kinds()) {
		t.Errorf("it has the sections %q, the actions are %q", documented, policy.Kinds())
	}
	var absent []string
	for _, item := range regexp.MustCompile("(?m)^- `([a-z-]+)`").FindAllStringSubmatch(missing, -1) {
		absent = append(absent, item[1])
	}
	if !slices.Equal(absent, policy.Absent()) {
		t.Errorf("it says that there are no %q, and there are no %q", absent, policy.Absent())
	}
}

// holdExample holds the cases of a section, its second block, to the policy in the first.
func holdExample(t *testing.T, name, section string) {
	blocks := yamlBlock.FindAllStringSubmatch(section, -1)
	if len(blocks) < 2 || !strings.Contains(blocks[0][1], "type: "+name+"\n") {
		t.Fatalf("it has %d blocks; the first must be a policy with %s, the second its cases", len(blocks), name)
	}
	f, err := trial.Parse(name, []byte(blocks[1][1]))
	if err != nil {
		t.Fatal(err)
	}
	at := target(f.Target, f.Last)
	program, err := policy.Compile(blocks[0][1], at)
	if err != nil || len(f.Cases) == 0 {
		t.Fatalf("%d cases: %v", len(f.Cases), err)
	}
	hold(t, program, at, f)
}

// The policy at the top of the page can be used.
func TestDocumentedPolicy(t *testing.T) {
	text, _ := os.ReadFile("../../docs/policy.md")
	first := yamlBlock.FindStringSubmatch(string(text))
	if first == nil {
		t.Fatal("there is none")
	}
	if _, err := policy.Compile(first[1], target("https", false)); err != nil {
		t.Error(err)
	}
}
