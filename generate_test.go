package postern_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The generated files are what the generator makes of errors.json now.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	dir := t.TempDir()
	code, page := filepath.Join(dir, "catalogue.go"), filepath.Join(dir, "errors.md")
	generate := exec.CommandContext(t.Context(), "go", "run", "./internal/cataloguegen", "-in", "errors.json", "-go", code, "-docs", page)
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for fresh, committed := range map[string]string{code: "catalogue.go", page: "docs/errors.md"} {
		want, err := os.ReadFile(fresh)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(committed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what errors.json makes; run \"go generate .\"", committed)
		}
	}
}
