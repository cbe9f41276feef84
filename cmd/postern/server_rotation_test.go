package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server"
)

func TestServerRotations(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	config := writeConfig(t, "domain: example.com\ndata_dir: "+dir+"\n")
	run := func(args ...string) (int, string, string) {
		t.Helper()
		return runPostern(t, nil, append([]string{"server", "keys"}, append(args, "--config", config)...)...)
	}
	printed := func(lines []string, args ...string) {
		t.Helper()
		status, out, errors := run(args...)
		for _, line := range lines {
			if status != 0 || errors != "" || !strings.Contains(out, line) {
				t.Errorf("%v: status %d, %q is not in %q; err %q", args, status, line, out, errors)
			}
		}
	}
	printed([]string{"(seals)\n", "CA file:    " + filepath.Join(dir, "ca", "ca.pem"), "(signs)\n", "pin sha256:"}, "status")
	printed([]string{"Key:        ", "Resealed:   0 rows\n", "Retired:    ", "Make a new backup"}, "rotate-sealing")
	printed([]string{"(signs)\n", "(takes over on ", "Bring the CA file to all"}, "rotate-ca")
	status, out, _ := run("status", "--format", "json")
	var found server.KeyStatus
	if err := json.Unmarshal([]byte(out), &found); err != nil || status != 0 || len(found.CA.Roots) != 2 || len(found.Sealing.Used) != 1 || found.CA.SwitchAt.IsZero() {
		t.Errorf("status %d, out %q: %v", status, out, err)
	}
	if status, _, errors := run("rotate-ca"); status != 1 || !strings.Contains(errors, "ERR_POSTERN_502") || !strings.Contains(errors, "overlap of 0") {
		t.Errorf("a second time: status %d, err %q", status, errors)
	}
	printed([]string{"Root:       SERIALNUMBER=", "(signs)\n"}, "rotate-ca", "--overlap", "0")
	if status, out, _ := run("status"); status != 0 || strings.Count(out, "Root: ") != 1 {
		t.Errorf("status %d, out %q", status, out)
	}

	// Keys of the configuration are the operator's.
	text, err := os.ReadFile(filepath.Join(dir, "sealing.keys"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	key := lines[len(lines)-1]
	environment := map[string]string{"POSTERN_SEALING_KEY": key}
	status, out, errors := runPostern(t, environment, "server", "keys", "rotate-sealing", "--config", config)
	if status != 1 || !strings.Contains(errors, "put a new one before it") || strings.Contains(out+errors, key) {
		t.Errorf("status %d, out %q, err %q", status, out, errors)
	}
	target := filepath.Join(t.TempDir(), "postern.tar.gz")
	status, out, errors = runPostern(t, environment, "server", "backup", target, "--config", config)
	if status != 0 || !strings.Contains(out, "Elsewhere:  the keys of sealing.key,") || strings.Contains(out+errors, key) {
		t.Errorf("status %d, out %q, err %q", status, out, errors)
	}
	environment["POSTERN_SEALING_KEY"] = "hunter2"
	status, out, errors = runPostern(t, environment, "server", "keys", "status", "--config", config)
	if status != 1 || !strings.Contains(errors, "POSTERN_SEALING_KEY: a sealing key is not base64") || strings.Contains(out+errors, "hunter2") {
		t.Errorf("status %d, out %q, err %q", status, out, errors)
	}
}
