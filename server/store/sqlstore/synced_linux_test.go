package sqlstore_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A write that returned is on the disk: the program that writes is watched, and each
// of its commits comes with a call that syncs the log.
func TestEveryCommitIsSynced(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	child := exec.Command("strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o", trace,
		os.Args[0], "-test.run=^TestWriterForKill$")
	child.Env = append(os.Environ(), "POSTERN_TEST_KILL="+filepath.Join(dir, "postern.db"), "POSTERN_TEST_WRITES=100")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("strace (scripts/test-deps.sh test installs it): %v\n%s", err, out)
	}
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	committed, synced := bytes.Count(out, []byte("committed ")), bytes.Count(calls, []byte("sync("))
	if committed != 100 || synced < committed {
		t.Errorf("%d calls synced %d commits", synced, committed)
	}
}
