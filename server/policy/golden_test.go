package policy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

func target(scheme postern.Scheme, last bool) policy.Target {
	framing := func(name string) string {
		if strings.EqualFold(name, "content-length") {
			return "it belongs to the framing"
		}
		return ""
	}
	return policy.Target{Scheme: scheme, Last: last, Editable: policy.Editable{Request: framing, Response: framing}}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.UnmarshalWithOptions(text, into, yaml.Strict())
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Every action does what testdata/golden says; each has three cases at least.
func TestGolden(t *testing.T) {
	cases := map[string]int{}
	files, _ := filepath.Glob("testdata/golden/*/*.yaml")
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "testdata/golden/"), func(t *testing.T) {
			g, err := trial.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			at := target(g.Target, g.Last)
			program, err := policy.Compile(g.Policy, at)
			if err != nil {
				t.Fatal(err)
			}
			cases[filepath.Base(filepath.Dir(file))] += len(g.Cases)
			hold(t, program, at, g)
		})
	}
	for _, kind := range policy.Kinds() {
		if cases[kind] < 3 {
			t.Errorf("%s has %d cases in testdata/golden", kind, cases[kind])
		}
	}
}

// hold holds cases to a program.
func hold(t *testing.T, program *policy.Program, at policy.Target, f *trial.File) {
	t.Helper()
	world, err := f.World()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Cases {
		got, err := trial.Run(t.Context(), program, at, world, c)
		if err != nil || c.Want == nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		for _, miss := range got.Misses(c.Want) {
			t.Errorf("%s: %s", c.Name, miss)
		}
	}
}

// refused is a file of testdata/refused: a policy, and why it is none.
type refused struct {
	Target   postern.Scheme `yaml:"target"`
	Last     bool           `yaml:"last"`
	Internal bool           `yaml:"internal"`
	Policy   string         `yaml:"policy"`
	Options  string         `yaml:"options"` // of an older client's, in JSON, instead of Policy
	Code     postern.Code   `yaml:"code"`
	Place    string         `yaml:"place"` // line:column; options have none
	Says     string         `yaml:"says"`
}

// What cannot be used is refused with a code, the place, and what to write.
func TestRefused(t *testing.T) {
	files, _ := filepath.Glob("testdata/refused/*.yaml")
	if len(files) < 10 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var r refused
			read(t, file, &r)
			if r.Options != "" {
				_, err := policy.OfOptions(options(t, r.Options), postern.HTTPS)
				if !postern.HasCode(err, r.Code) || !strings.Contains(err.Error(), r.Says) {
					t.Errorf("got %v", err)
				}
				return
			}
			at := target(r.Target, r.Last)
			at.Internal = r.Internal
			_, err := policy.Compile(r.Policy, at)
			problems, _ := err.(policy.Problems)
			if !slices.ContainsFunc(problems, func(p policy.Problem) bool {
				return p.Code == r.Code && r.Place == place(p) && strings.Contains(p.Message, r.Says)
			}) {
				t.Errorf("got %v", all(problems))
			}
		})
	}
}
