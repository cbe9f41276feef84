package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// binaryVariable names a binary that is there already, for a test that runs itself
// again in another namespace.
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

// Inherit is the environment entry that hands a built binary to a test that runs
// itself again.
func Inherit(binary string) string { return binaryVariable + "=" + binary }
