// Package arch is the architecture test: it reads the source of the whole module
// and fails when a package imports what its room in the house may not, or when
// code has a habit that the project has given up. Each rule carries its reason,
// and the failure shows it.
//
// The house itself is drawn in docs/architecture.md; levels.go and rules.go are
// that drawing as tables. A new package needs a line there first.
package arch
