package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern/resource"
)

// Everything of the table is on the command line, with a flag for each field, a sentence
// for each command, and no name twice.
func TestEveryResourceHasCommands(t *testing.T) {
	root := apiCommand(ioStreams{Name: "postern", ForAPI: true, Out: io.Discard, Env: func(string) string { return "" }})
	var names []string
	for _, group := range root.Commands() {
		names = append(names, group.Name())
		var verbs []string
		for _, command := range group.Commands() {
			verbs = append(verbs, command.Name())
			if command.Short == "" || strings.Contains(command.Name(), "/") || strings.Contains(command.Name(), "_") {
				t.Errorf("api %s %s: %q", group.Name(), command.Name(), command.Short)
			}
		}
		slices.Sort(verbs)
		if len(slices.Compact(slices.Clone(verbs))) != len(verbs) {
			t.Errorf("api %s has a command twice: %v", group.Name(), verbs)
		}
	}
	for _, d := range resource.Table() {
		if !slices.Contains(names, d.Command()) {
			t.Errorf("%s has no command", d.Name)
		}
		create, _, err := root.Find([]string{d.Command(), "create"})
		if d.Creation == nil || err != nil {
			continue
		}
		for _, field := range fieldNames(d.Creation) {
			if create.Flags().Lookup(strings.ReplaceAll(field, "_", "-")) == nil {
				t.Errorf("api %s create has no flag for %s", d.Command(), field)
			}
		}
	}
}
