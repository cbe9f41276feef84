//go:build linux

package path

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const inside = "POSTERN_TEST_NAMESPACE"

// Isolate runs the calling test again, in a process and a network namespace of its
// own, where it may use any port and drop packets without harm to the machine. It
// returns true there; outside it reports what the inner run said, and returns
// false. Arguments (a -test.parallel, say) go to the inner run.
func Isolate(t *testing.T, args ...string) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	argv := []string{"unshare", "--net"}
	if os.Getuid() != 0 {
		argv = append(argv, "--map-root-user")
	}
	argv = append(argv, "sh", "-c", `ip link set lo up && exec "$0" "$@"`,
		os.Args[0], "-test.run=^"+t.Name()+"$"+subtests(t), "-test.v", "-test.timeout=3m")
	command := exec.CommandContext(t.Context(), argv[0], append(argv[1:], args...)...)
	command.Env = append(os.Environ(), inside+"=1")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("in its namespace: %v\n%s", err, output)
	}
	if testing.Verbose() {
		t.Logf("in its namespace:\n%s", output)
	}
	return false
}

// subtests is the part of -test.run that chooses among the test's own, of a test at
// the top.
func subtests(t *testing.T) string {
	asked := flag.Lookup("test.run").Value.String()
	_, rest, found := strings.Cut(asked, "/")
	if !found || strings.Contains(t.Name(), "/") || strings.Contains(asked, "|") {
		return ""
	}
	return "/" + rest
}

// Between makes a Path from the caller's namespace to a fresh one, which it
// returns. Both end with the test.
func Between(t *testing.T, c Config) (*Path, *Namespace) {
	t.Helper()
	here, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	there, err := NewNamespace()
	if err != nil {
		t.Fatal(errors.Join(err, here.Close()))
	}
	p, err := Open(here, there, c)
	if err != nil {
		t.Fatal(errors.Join(err, here.Close(), there.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), here.Close(), there.Close()); err != nil {
			t.Error(err)
		}
	})
	return p, there
}
