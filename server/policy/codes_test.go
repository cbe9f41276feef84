package policy_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/trial"
)

// speaking are the packages whose errors come of policies, by their directories. What is
// wrong with the files of a trial is not: trial has its own tests.
var speaking = []string{".", "body", "body/pattern", "body/eventstream", "breaker", "expression", "geo", "jwks", "window", "../gate", "../outcall"}

// shownElsewhere are the codes that no file can show, and why.
var shownElsewhere = map[postern.Code]string{
	postern.CodeInternal:      "nothing can bring it about: it is for what cannot fail",
	postern.CodeConfigInvalid: "it is about the operator's database of places: geo's own tests",
	postern.CodeFieldInvalid:  "the compiler says it as ERR_NGROK_2204, with the place: refused/short-password.yaml",
	postern.CodeServerBusy:    "a password could not be checked in time: gate's own tests",
	postern.CodeBodyMemory:    "it takes all the memory that a server has for bodies: body's own tests",
}

// Every code that a policy can give has a golden file, or one of what is refused. The codes
// are those of the catalogue that are named in the code.
func TestEveryCodeHasAFile(t *testing.T) {
	shown, given := codesOfFiles(t), codesOfSource(t)
	if len(given) < 25 {
		t.Fatalf("only %d codes were found: %v", len(given), given)
	}
	for code, where := range given {
		why, elsewhere := shownElsewhere[code]
		switch {
		case !shown[code] && !elsewhere:
			t.Errorf("%s has no file in testdata/golden or testdata/refused; it is given in %s", code, where)
		case shown[code] && elsewhere:
			t.Errorf("%s has a file now, so it is not shown elsewhere (%s)", code, why)
		}
	}
	for code := range shownElsewhere {
		if given[code] == "" {
			t.Errorf("%s is not given any more", code)
		}
	}
	for code := range shown {
		if code.Entry().Code != code {
			t.Errorf("a file has %s, which is not in the catalogue", code)
		}
	}
}

// codesOfSource finds the codes that the packages name, and one place of each.
func codesOfSource(t *testing.T) map[postern.Code]string {
	t.Helper()
	byName := catalogue(t)
	given := make(map[postern.Code]string)
	for _, dir := range speaking {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no source: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			positions := token.NewFileSet()
			parsed, err := parser.ParseFile(positions, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				selector, is := n.(*ast.SelectorExpr)
				if !is {
					return true
				}
				of, _ := selector.X.(*ast.Ident)
				name, isCode := strings.CutPrefix(selector.Sel.Name, "Code")
				if of != nil && of.Name == "postern" && isCode && name != "" {
					code, known := byName[name]
					if !known {
						t.Errorf("%s: %s is not in the catalogue", positions.Position(n.Pos()), selector.Sel.Name)
					}
					given[code] = positions.Position(n.Pos()).String()
				}
				return true
			})
		}
	}
	return given
}

// catalogue is the one of errors, by name.
func catalogue(t *testing.T) map[string]postern.Code {
	t.Helper()
	text, err := os.ReadFile("../../errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name string
		Code postern.Code
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]postern.Code, len(all))
	for _, one := range all {
		byName[one.Name] = one.Code
	}
	return byName
}

// codesOfFiles are those that golden files want, and that are refused with.
func codesOfFiles(t *testing.T) map[postern.Code]bool {
	t.Helper()
	shown := make(map[postern.Code]bool)
	golden, _ := filepath.Glob("testdata/golden/*/*.yaml")
	for _, file := range golden {
		f, err := trial.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Cases {
			if c.Want != nil && c.Want.Code != "" {
				shown[postern.Code(c.Want.Code)] = true
			}
		}
	}
	files, _ := filepath.Glob("testdata/refused/*.yaml")
	for _, file := range files {
		var r refused
		read(t, file, &r)
		shown[r.Code] = true
	}
	return shown
}
