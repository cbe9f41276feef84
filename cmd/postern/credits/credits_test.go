package credits_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/postern-dev/postern/cmd/postern/credits"
)

// Every module that is built in is named, and with a licence.
func TestEveryModuleIsNamed(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	text := credits.Text()
	modules := strings.Fields(string(out))
	if len(modules) < 10 {
		t.Fatalf("only %d modules: %s", len(modules), out)
	}
	for _, module := range modules {
		if !strings.Contains(text, "\n  "+module+" ") {
			t.Errorf("%s is not in credits.txt: run \"go generate ./cmd/postern/credits\"", module)
		}
	}
	for _, licence := range []string{"Apache License", "MIT License", "Redistribution and use in source and binary forms"} {
		if !strings.Contains(text, licence) {
			t.Errorf("no text of %q", licence)
		}
	}
}
