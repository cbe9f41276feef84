package service_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the service seals, a rotation of the sealing key seals anew: what is missing
// in sealedTables would be lost with the older key.
func TestEverySealedFieldIsRotated(t *testing.T) {
	sealed, rotated := map[string]string{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch function := call.Fun.(type) {
			case *ast.SelectorExpr: // s.seal(d, kind, id, field, secret)
				if function.Sel.Name == "seal" && len(call.Args) == 5 {
					sealed[named(t, call.Args[1])+"."+named(t, call.Args[3])] = set.Position(call.Pos()).String()
				}
			case *ast.Ident: // sealedColumn(kind, field, rows, column)
				if function.Name == "sealedColumn" && len(call.Args) == 4 {
					rotated[named(t, call.Args[0])+"."+named(t, call.Args[1])] = true
				}
			}
			return true
		})
	}
	for field, where := range sealed {
		if !rotated[field] {
			t.Errorf("%s: what is sealed as %s is not in sealedTables", where, field)
		}
	}
	if len(sealed) < 3 {
		t.Errorf("only %d sealed fields were found: this test sees too little", len(sealed))
	}
}

// named is the constant that an argument is, or its text.
func named(t *testing.T, argument ast.Expr) string {
	t.Helper()
	switch argument := argument.(type) {
	case *ast.Ident:
		return argument.Name
	case *ast.BasicLit:
		return argument.Value
	}
	t.Errorf("a kind or field that is sealed is computed, not a constant: %T", argument)
	return ""
}
