package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server"
)

func TestServerKeys(t *testing.T) {
	config := writeConfig(t, "domain: example.com\ndata_dir: "+filepath.Join(t.TempDir(), "data")+"\n")
	run := func(args ...string) (int, string, string) {
		t.Helper()
		return runPostern(t, nil, append([]string{"server", "keys"}, append(args, "--config", config)...)...)
	}
	if status, _, errors := run("create", "authtoken"); status != 1 || !strings.Contains(errors, "postern server bootstrap") {
		t.Errorf("before bootstrap: status %d, err %q", status, errors)
	}
	if status, _, errors := runPostern(t, nil, "server", "bootstrap", "--config", config); status != 0 {
		t.Fatal(errors)
	}
	status, out, errors := run("create", "authtoken", "--description", "my\x1b[31m laptop", "--acl", "bind:*.example.com", "--acl", "bind:app.example.org")
	for _, line := range []string{"Kind:       authtoken\n", "For:        my�[31m laptop\n", "ACL:        bind:app.example.org\n", "The token is not shown again."} {
		if status != 0 || errors != "" || !strings.Contains(out, line) {
			t.Errorf("status %d, %q is not in %q; err %q", status, line, out, errors)
		}
	}
	status, out, errors = run("create", "api-key", "--format", "json")
	var made server.Key
	if err := json.Unmarshal([]byte(out), &made); err != nil || status != 0 || made.Kind != server.APIKey || made.Token == "" {
		t.Fatalf("status %d, out %q, err %q: %v", status, out, errors, err)
	}
	status, out, _ = run("rotate", made.ID)
	if status != 0 || !strings.Contains(out, "Previous:   good until ") || strings.Contains(out, made.Token) {
		t.Errorf("status %d, out %q", status, out)
	}
	status, out, _ = run("list")
	if status != 0 || strings.Count(out, "\n") != 5 || !strings.Contains(out, made.ID+"  api_key") || strings.Contains(out, made.Token) {
		t.Errorf("status %d, out %q", status, out)
	}
	status, out, _ = run("list", "--format", "json")
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); err != nil || status != 0 || len(list) != 4 || list[0]["token"] != nil {
		t.Errorf("status %d, out %q: %v", status, out, err)
	}
	if status, out, _ = run("retire", made.ID); status != 0 || strings.Contains(out, "Previous") {
		t.Errorf("status %d, out %q", status, out)
	}
	if status, out, _ = run("revoke", made.ID); status != 0 || !strings.Contains(out, "It is revoked.") {
		t.Errorf("status %d, out %q", status, out)
	}
	for says, args := range map[string][]string{
		"there is no API key":           {"revoke", made.ID},
		"is not authtoken or api-key":   {"create", "password"},
		"is no id of a key":             {"rotate", "laptop"},
		"overlap -1s is outside 0":      {"rotate", "--overlap", "-1s", list[0]["id"].(string)},
		`--format "xml" is not json`:    {"list", "--format", "xml"},
		"ERR_POSTERN_402":               {"revoke"},
		"an API key has no ACL; it may": {"create", "api-key", "--acl", "*"},
	} {
		if status, out, errors := run(args...); status != 1 || out != "" || !strings.Contains(errors, says) {
			t.Errorf("%v: status %d, out %q, err %q", args, status, out, errors)
		}
	}
	if status, out, _ := runPostern(t, nil, "server", "keys"); status != 0 || !strings.Contains(out, "rotate ") {
		t.Errorf("status %d, help %q", status, out)
	}
}
