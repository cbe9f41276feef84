package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server"
)

func TestServerBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	config := writeConfig(t, "domain: example.com\ndata_dir: "+filepath.Join(dir, "data")+"\n")
	target, other := filepath.Join(dir, "postern.tar.gz"), filepath.Join(dir, "other")
	if status, _, errors := runPostern(t, nil, "server", "backup", target, "--config", config); status != 1 || !strings.Contains(errors, "has no postern.db") {
		t.Errorf("before anything is there: status %d, err %q", status, errors)
	}
	if status, _, errors := runPostern(t, nil, "server", "bootstrap", "--config", config); status != 0 {
		t.Fatal(errors)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "access.log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errors := runPostern(t, nil, "server", "backup", target, "--config", config)
	for _, line := range []string{"Backup:     " + target, "Of:         " + filepath.Join(dir, "data"), `by Postern "`, "Database:   sqlite, version ", "File:       ca/ca.key", "Left out:   access.log"} {
		if status != 0 || !strings.Contains(out, line) || errors != "" {
			t.Errorf("status %d, %q is not in %q; err %q", status, line, out, errors)
		}
	}
	status, out, errors = runPostern(t, nil, "server", "restore", target, "--config", config, "--data-dir", other)
	for _, line := range []string{"Restored:   " + other, "From:       " + target, "File:       names.key (32 bytes)"} {
		if status != 0 || !strings.Contains(out, line) || errors != "" {
			t.Errorf("status %d, %q is not in %q; err %q", status, line, out, errors)
		}
	}
	status, _, errors = runPostern(t, nil, "server", "restore", target, "--data-dir", other)
	if status != 1 || !strings.Contains(errors, "ERR_POSTERN_509") || !strings.Contains(errors, "mv "+other) {
		t.Errorf("over another: status %d, err %q", status, errors)
	}

	// With PostgreSQL the report ends with the commands for the rows.
	postgres := []string{"--config", config, "--database", "postgres://u:s3cret@db/postern"}
	status, out, errors = runPostern(t, nil, append([]string{"server", "backup", target}, postgres...)...)
	if status != 0 || !strings.Contains(out, "\n  pg_dump --") || !strings.Contains(out, "Left out:   postern.db") || strings.Contains(out+errors, "s3cret") {
		t.Errorf("status %d, out %q, err %q", status, out, errors)
	}
	status, out, errors = runPostern(t, nil, append([]string{"server", "restore", target, "--data-dir", filepath.Join(dir, "third")}, postgres...)...)
	if status != 0 || !strings.Contains(out, "\n  pg_restore --") || strings.Contains(out+errors, "s3cret") {
		t.Errorf("status %d, out %q, err %q", status, out, errors)
	}

	// Through a pipe the report is on the other stream.
	status, out, errors = runPostern(t, nil, "server", "backup", "-", "--config", config, "--format", "json")
	var report server.BackedUp
	if err := json.Unmarshal([]byte(errors), &report); err != nil || status != 0 || report.Bytes != int64(len(out)) || len(report.LeftOut) != 1 {
		t.Errorf("status %d, %d bytes, report %q: %v", status, len(out), errors, err)
	}
	for _, command := range []string{"backup", "restore"} {
		if status, _, errors := runPostern(t, nil, "server", command, "-", "--format", "xml"); status != 1 || !strings.Contains(errors, `--format "xml" is not json or text`) {
			t.Errorf("%s: status %d, err %q", command, status, errors)
		}
		if status, _, errors := runPostern(t, nil, "server", command); status != 1 || !strings.Contains(errors, "ERR_POSTERN_402") {
			t.Errorf("%s without a file: status %d, err %q", command, status, errors)
		}
	}
	if status, out, _ := runPostern(t, nil, "server", "--help"); status != 0 || !strings.Contains(out, "backup ") || !strings.Contains(out, "restore ") {
		t.Errorf("status %d, help %s", status, out)
	}
}
