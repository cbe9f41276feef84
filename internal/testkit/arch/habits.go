package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

const (
	mostFileLines     = 450
	mostFunctionLines = 80
)

// CheckHabits gives a line for each piece of source that does what the project has
// given up doing.
func (m *Module) CheckHabits() []string {
	var faults []string
	for _, p := range m.sorted() {
		written := writtenNames(p.Sources)
		for _, file := range p.Sources {
			if ast.IsGenerated(file) {
				continue
			}
			faults = append(faults, m.checkSizes(p, file)...)
			for _, declaration := range file.Decls {
				faults = append(faults, m.checkDeclaration(p, declaration, written)...)
			}
		}
		for _, file := range p.TestSources {
			faults = append(faults, m.checkTestFile(p, file)...)
		}
	}
	return faults
}

func (m *Module) checkSizes(p *Package, file *ast.File) []string {
	var faults []string
	if lines := m.Files.File(file.Pos()).LineCount(); lines > mostFileLines {
		faults = append(faults, fmt.Sprintf("%s: %s has %d lines: a file over %d holds more than one thing", display(p.Path), m.at(file.Package), lines, mostFileLines))
	}
	for _, declaration := range file.Decls {
		f, isFunc := declaration.(*ast.FuncDecl)
		if !isFunc {
			continue
		}
		if lines := m.Files.Position(f.End()).Line - m.Files.Position(f.Pos()).Line + 1; lines > mostFunctionLines {
			faults = append(faults, fmt.Sprintf("%s: %s %s has %d lines: a function over %d does more than one thing", display(p.Path), m.at(f.Pos()), f.Name.Name, lines, mostFunctionLines))
		}
	}
	return faults
}

func (m *Module) checkDeclaration(p *Package, declaration ast.Decl, written map[string]bool) []string {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.Name == "init" {
			return []string{fmt.Sprintf("%s: %s has an init function: what happens at import can be neither ordered, nor tested, nor left out", display(p.Path), m.at(d.Pos()))}
		}
	case *ast.GenDecl:
		if d.Tok == token.VAR {
			return m.checkVars(p, d, written)
		}
	}
	return nil
}

func (m *Module) checkVars(p *Package, d *ast.GenDecl, written map[string]bool) []string {
	var faults []string
	for _, spec := range d.Specs {
		value := spec.(*ast.ValueSpec) // a var declaration holds nothing else
		for i, name := range value.Names {
			var init ast.Expr
			if i < len(value.Values) {
				init = value.Values[i]
			}
			if name.Name == "_" || isEmbed(d.Doc, value.Doc) || isConstant(name, value.Type, init, written) || p.Path+"."+name.Name == linkerSet {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s: %s %s may change while the program runs: package-level state makes two servers in one process, and tests side by side, disturb each other", display(p.Path), m.at(name.Pos()), name.Name))
		}
	}
	return faults
}

// linkerSet is the one variable that the linker writes (-ldflags -X).
const linkerSet = "cmd/postern.release"

func isEmbed(docs ...*ast.CommentGroup) bool {
	for _, doc := range docs {
		if doc == nil {
			continue
		}
		for _, comment := range doc.List {
			if strings.HasPrefix(comment.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// isConstant tells whether a variable is a constant that Go's const cannot express:
// an error, something compiled once, a pool of equal buffers, or an unexported
// table that nobody in its package writes to.
func isConstant(name *ast.Ident, typ, init ast.Expr, written map[string]bool) bool {
	if holdsPool(typ) {
		return true
	}
	if address, ok := init.(*ast.UnaryExpr); ok && address.Op == token.AND {
		init = address.X
		if literal, ok := init.(*ast.CompositeLit); ok && isSelector(literal.Type, "postern", "Error") {
			return true
		}
	}
	switch value := init.(type) {
	case *ast.CallExpr:
		return !written[name.Name] && (isConstructor(value.Fun) || !name.IsExported() && computes(value.Fun))
	case *ast.CompositeLit:
		return holdsPool(value.Type) || !name.IsExported() && !written[name.Name]
	}
	return false
}

// computes tells a call that works a table out from one that makes a thing with a
// life of its own, by its name: the latter are called new, make, open, start.
func computes(fun ast.Expr) bool {
	called := ""
	switch f := fun.(type) {
	case *ast.FuncLit:
		return true
	case *ast.Ident:
		called = f.Name
	case *ast.SelectorExpr:
		called = f.Sel.Name
	case *ast.IndexExpr: // a generic function
		return computes(f.X)
	default:
		return false
	}
	called = strings.ToLower(called)
	for _, maker := range []string{"new", "make", "open", "start", "default"} {
		if strings.HasPrefix(called, maker) {
			return false
		}
	}
	return true
}

// holdsPool knows sync.Pool and arrays of it.
func holdsPool(typ ast.Expr) bool {
	if array, ok := typ.(*ast.ArrayType); ok {
		typ = array.Elt
	}
	return isSelector(typ, "sync", "Pool")
}

// isConstructor knows the calls whose result nobody changes.
func isConstructor(fun ast.Expr) bool {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		pkg, _ := f.X.(*ast.Ident)
		if strings.HasPrefix(f.Sel.Name, "Must") {
			return true
		}
		return pkg != nil && (pkg.Name == "errors" && f.Sel.Name == "New" ||
			pkg.Name == "fmt" && f.Sel.Name == "Errorf" ||
			pkg.Name == "postern" && f.Sel.Name == "Errorf" ||
			pkg.Name == "strings" && f.Sel.Name == "NewReplacer" ||
			pkg.Name == "base64" && f.Sel.Name == "NewEncoding" ||
			pkg.Name == "prometheus" && f.Sel.Name == "NewDesc" ||
			pkg.Name == "slog" && f.Sel.Name != "Default")
	case *ast.ArrayType: // a conversion: []byte("…")
		return true
	}
	return false
}

func isSelector(expr ast.Expr, pkg, name string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// writtenNames lists the names that some statement of the package assigns to,
// indexes into as a target, increments, deletes from, clears, or takes the address
// of. Local variables of the same name count too: a little too strict is fine.
func writtenNames(files []*ast.File) map[string]bool {
	written := map[string]bool{}
	for _, file := range files {
		for node := range ast.Preorder(file) {
			switch n := node.(type) {
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					continue
				}
				for _, target := range n.Lhs {
					written[rootName(target)] = true
				}
			case *ast.IncDecStmt:
				written[rootName(n.X)] = true
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					written[rootName(n.X)] = true
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (f.Name == "delete" || f.Name == "clear" || f.Name == "copy") {
					written[rootName(n.Args[0])] = true
				}
			}
		}
	}
	return written
}

func rootName(expr ast.Expr) string {
	for {
		switch e := expr.(type) {
		case *ast.Ident:
			return e.Name
		case *ast.IndexExpr:
			expr = e.X
		case *ast.SliceExpr:
			expr = e.X
		case *ast.SelectorExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		default:
			return ""
		}
	}
}

func (m *Module) checkTestFile(p *Package, file *ast.File) []string {
	var faults []string
	// In a bubble of testing/synctest time is virtual and nothing sleeps. Helpers of
	// bubbles cannot be told from others, so the whole file is believed.
	virtual := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
	ast.Inspect(file, func(node ast.Node) bool {
		if f, ok := node.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fuzz") {
			return false // Skip means "not an input of interest" in there
		}
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if isSelector(call.Fun, "time", "Sleep") && !virtual {
			faults = append(faults, fmt.Sprintf("%s: %s sleeps: a test that sleeps is slow when it need not be and flakes when it must not; wait for the event, or use testing/synctest", display(p.Path), m.at(call.Pos())))
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Skip" || f.Sel.Name == "Skipf" || f.Sel.Name == "SkipNow") {
			faults = append(faults, fmt.Sprintf("%s: %s skips a test: what is not run is not promised; make test installs what tests need", display(p.Path), m.at(call.Pos())))
		}
		return true
	})
	return faults
}
