package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the source of a whole module, parsed.
type Module struct {
	Path     string // of the module
	Packages map[string]*Package
	Files    *token.FileSet
}

// Package is the files of one folder. Its path is below the module's root.
type Package struct {
	Path        string
	Sources     []*ast.File
	TestSources []*ast.File
}

// Load parses every Go file below root, whatever its build constraints, so that a
// rule holds on all systems. Folders with a go.mod of their own are other modules.
func Load(root, modulePath string) (*Module, error) {
	m := &Module{Path: modulePath, Packages: map[string]*Package{}, Files: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return m.enter(root, name, entry.Name())
		case strings.HasSuffix(name, ".go"):
			return m.add(root, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module at %s: %w", root, err)
	}
	return m, nil
}

func (m *Module) enter(root, dir, name string) error {
	if dir == root {
		return nil
	}
	if name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return fs.SkipDir
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if err == nil {
		return fs.SkipDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (m *Module) add(root, name string) error {
	file, err := parser.ParseFile(m.Files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(root, filepath.Dir(name))
	if err != nil {
		return err
	}
	key := filepath.ToSlash(dir)
	if key == "." {
		key = ""
	}
	p := m.Packages[key]
	if p == nil {
		p = &Package{Path: key}
		m.Packages[key] = p
	}
	if strings.HasSuffix(name, "_test.go") {
		p.TestSources = append(p.TestSources, file)
	} else {
		p.Sources = append(p.Sources, file)
	}
	return nil
}

// imports gives what the files import, sorted: packages of the module by their
// path below its root, others by import path.
func (m *Module) imports(files []*ast.File) []string {
	seen := map[string]bool{}
	for _, file := range files {
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the compiler has more to say about it
			}
			seen[m.short(imported)] = true
		}
	}
	list := make([]string, 0, len(seen))
	for imported := range seen {
		list = append(list, imported)
	}
	slices.Sort(list)
	return list
}

func (m *Module) short(importPath string) string {
	if importPath == m.Path {
		return ""
	}
	return strings.TrimPrefix(importPath, m.Path+"/")
}

// own tells whether the short path is a package of this module.
func (m *Module) own(short string) bool {
	_, found := m.Packages[short]
	return found
}

// reach gives everything that the package imports, directly or not, each with the
// way there.
func (m *Module) reach(from string) map[string][]string {
	ways := map[string][]string{}
	queue := []string{from}
	ways[from] = []string{display(from)}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		p := m.Packages[at]
		if p == nil {
			continue
		}
		for _, next := range m.imports(p.Sources) {
			if _, seen := ways[next]; !seen {
				ways[next] = append(slices.Clone(ways[at]), display(next))
				queue = append(queue, next)
			}
		}
	}
	delete(ways, from)
	return ways
}

func (m *Module) sorted() []*Package {
	list := make([]*Package, 0, len(m.Packages))
	for _, p := range m.Packages {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func (m *Module) at(pos token.Pos) string {
	p := m.Files.Position(pos)
	return fmt.Sprintf("%s:%d", path.Base(filepath.ToSlash(p.Filename)), p.Line)
}

func display(pkg string) string {
	if pkg == "" {
		return "postern"
	}
	return pkg
}
