//go:build linux

package path_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// Processes that are to end with their parent outlive the making of namespaces: the kernel
// takes the end of the thread that started them for the parent's.
func TestMakingANamespaceKillsNobody(t *testing.T) {
	for range 20 {
		child := exec.Command("sleep", "60")
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		n, err := path.NewNamespace()
		if err != nil {
			t.Fatal(err)
		}
		n.Close()
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child.Process.Pid))
		if err != nil || bytes.Contains(state, []byte(") Z ")) {
			t.Errorf("the process has ended: %s, %v", state, err)
		}
		_ = child.Process.Kill()
		_ = child.Wait() // it was killed
	}
}
