package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// binaryVariable names a binary that is there already, for instance a release's.
const binaryVariable = "POSTERN_E2E_BINARY"

// Build compiles the program into dir and returns its path. A path in the
// environment variable POSTERN_E2E_BINARY is taken instead.
func Build(dir string) (string, error) {
	if built := os.Getenv(binaryVariable); built != "" {
		return built, nil
	}
	binary := filepath.Join(dir, "postern")
	build := exec.Command("go", "build", "-o", binary, "github.com/postern-dev/postern/cmd/postern")
	var output bytes.Buffer
	build.Stdout, build.Stderr = &output, &output
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build postern: %w\n%s", err, output.String())
	}
	return binary, nil
}
