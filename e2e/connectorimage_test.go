package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// S4-14, S4-16: what the container image is made of, laid out as its Dockerfile does: an
// empty root with the program at /app/postern, a link to it at /app/outsystemscc, and
// nothing else but authorities. Where this test may, it runs it in there as the image's
// user. The image itself is not built here.
func TestConnectorImage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../deploy/container/connector/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ENTRYPOINT [\"/app/outsystemscc\"]", "ln -s postern /image/app/outsystemscc", "-o /image/app/postern ./cmd/postern",
		"CGO_ENABLED=0 go build", "FROM scratch", "COPY --from=build /image/ /", "USER 65532:65532",
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the Dockerfile has no %q", line)
		}
	}
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goes := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(module))
	if goes == nil || !strings.Contains(string(text), "golang:"+goes[1]+" AS build") {
		t.Errorf("the image is not built with the Go of go.mod, %v", goes)
	}

	root := t.TempDir()
	for _, dir := range []string{"app", "work"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := program.Copy(posternBinary, filepath.Join(root, "app/postern")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("postern", filepath.Join(root, "app/outsystemscc")); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) *process {
		return startProcess(t, "connector", nil, append([]string{filepath.Join(root, "app/outsystemscc")}, args...)...)
	}
	if os.Geteuid() == 0 {
		copyLibraries(t, root)
		run = func(args ...string) *process {
			return startProcess(t, "connector", nil, append([]string{"chroot", "--userspec=65532:65532", root, "/app/outsystemscc"}, args...)...)
		}
	}
	help := run("--help")
	if code := help.wait(20 * time.Second); code != 0 || !strings.Contains(help.output(), "outsystemscc [options] <server> <remote>") {
		t.Errorf("exit status %d, %s", code, help.output())
	}
	// on-failure restarts what gives up. S4-15
	gives := run("--max-retry-count", "0", "--header", "token: x", "https://127.0.0.1:1/sg_1", "R:8081:192.168.0.3:8393")
	if code := gives.wait(20 * time.Second); code != 1 || !strings.Contains(gives.output(), "client: Give up") {
		t.Errorf("exit status %d, %s", code, gives.output())
	}
}

// copyLibraries puts the libraries of the C language below root, which the tests' program
// is linked with, and the image's is not.
func copyLibraries(t *testing.T, root string) {
	t.Helper()
	listed, _ := exec.Command("ldd", posternBinary).Output() // of a static program: none
	for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(listed), -1) {
		to := filepath.Join(root, library)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := program.Copy(library, to); err != nil {
			t.Fatal(err)
		}
	}
}
