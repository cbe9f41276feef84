package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// In a container the configuration is often a mount of its own, which no file can take
// the place of.
func TestConfigurationThatIsAMount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, mounted := filepath.Join(dir, "host.yml"), filepath.Join(dir, "ngrok.yml")
	for _, path := range []string{file, mounted} {
		if err := os.WriteFile(path, []byte("version: 2\nauthtoken: a-long-one-that-goes\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	argv := append([]string{"--mount"}, mapUser()...)
	argv = append(argv, "sh", "-c", `mount --bind "$1" "$2" && "$0" config add-authtoken short --config "$2"`, posternBinary, file, mounted)
	if output, err := exec.Command("unshare", argv...).CombinedOutput(); err != nil || !strings.Contains(string(output), "Authtoken saved") {
		t.Fatalf("%s (%v)", output, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "version: 2\nauthtoken: short\n" {
		t.Errorf("the file has %q (%v)", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("%s was left", left)
	}
}
