package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The requests that a running agent has captured are held to a policy; what they hold
// drives no terminal.
func TestDryRunOfAgent(t *testing.T) {
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/requests/http" || r.URL.Query().Get("limit") == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"truncated": true, "requests": [{"remote_addr": "198.51.100.9", "request": {"method": "GET\u001b[2J", "uri": "/a", "headers": {"Host": ["app.example.com"]}}}]}`)
	}))
	defer agent.Close()
	file := filepath.Join(t.TempDir(), "policy.yml")
	if err := os.WriteFile(file, []byte("on_http_request:\n- expressions: [\"conn.client_ip == '198.51.100.9'\"]\n  actions:\n  - type: deny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := runPostern(t, nil, "policy", "dry-run", file, "--captures", agent.URL)
	if status != 0 || !strings.Contains(stdout, "1 requests: 1 would be answered otherwise") || !strings.Contains(stderr, "more captured requests") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if drives(stdout) {
		t.Errorf("%q", stdout)
	}
}
