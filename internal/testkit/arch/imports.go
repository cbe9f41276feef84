package arch

import (
	"fmt"
	"strings"
)

// CheckImports gives a line for each import that breaks the house's order or one
// of its rules, with the reason.
func (m *Module) CheckImports() []string {
	var faults []string
	rooms := house()
	for _, p := range m.sorted() {
		home, found := roomOf(rooms, p.Path)
		if !found || p.Path != "" && home.path == "" {
			faults = append(faults, fmt.Sprintf("%s is in no room of the house: add it to levels.go, with its level", p.Path))
			continue
		}
		for _, imported := range m.imports(p.Sources) {
			if fault := m.checkLevel(rooms, home, p.Path, imported); fault != "" {
				faults = append(faults, fault)
			}
		}
		faults = append(faults, m.checkTestImports(rooms, home, p)...)
	}
	for _, r := range rules() {
		faults = append(faults, m.checkRule(r)...)
	}
	return append(faults, m.checkRoot()...)
}

func (m *Module) checkLevel(rooms []room, home room, from, to string) string {
	if !m.own(to) {
		return ""
	}
	there, _ := roomOf(rooms, to)
	switch {
	case there == home:
		return ""
	case there.kind == program:
		return fmt.Sprintf("%s imports %s: nobody imports a program", display(from), to)
	case there.kind == tests && home.kind != tests:
		return fmt.Sprintf("%s imports %s: helpers of tests stay out of the product", display(from), to)
	case there.level >= home.level:
		return fmt.Sprintf("%s (level %d) imports %s (level %d): imports point to a lower level, never sideways, never up, so that every package can be read, tested and replaced with nothing but what lies below it",
			display(from), home.level, display(to), there.level)
	}
	return ""
}

// checkTestImports is more lenient: a test may use helpers, and packages of its own
// level and below, as the real thing is better than a double. It may not reach up.
func (m *Module) checkTestImports(rooms []room, home room, p *Package) []string {
	var faults []string
	for _, to := range m.imports(p.TestSources) {
		if !m.own(to) {
			continue
		}
		there, _ := roomOf(rooms, to)
		above := there.kind == product && there.level > home.level
		if there != home && (above || there.kind == program) {
			faults = append(faults, fmt.Sprintf("a test of %s imports %s: tests that need the floors above belong into e2e", display(p.Path), to))
		}
	}
	return faults
}

func (m *Module) checkRule(r rule) []string {
	var faults []string
	for _, p := range m.sorted() {
		if !matchesAny(r.who, p.Path) || matchesAny(r.except, p.Path) {
			continue
		}
		if home, _ := roomOf(house(), p.Path); home.kind == tests {
			continue
		}
		for to, way := range m.reach(p.Path) {
			if !matchesAny(r.never, to) || !r.transitive && len(way) > 2 {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s: %s", strings.Join(way, " → "), r.reason))
		}
	}
	return faults
}

// checkRoot holds the root package to the standard library.
func (m *Module) checkRoot() []string {
	root := m.Packages[""]
	if root == nil {
		return []string{"the module has no root package"}
	}
	var faults []string
	for _, imported := range m.imports(root.Sources) {
		first, _, _ := strings.Cut(imported, "/")
		if m.own(imported) || strings.Contains(first, ".") {
			faults = append(faults, fmt.Sprintf("postern imports %s: the nouns' only dependency is the standard library, as everything depends on them", imported))
		}
	}
	return faults
}
