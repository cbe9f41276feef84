package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/geofile"
	"github.com/postern-dev/postern/server/policy/trial"
)

// Every golden case comes out in the client as it does in the engine and at a server.
func TestGoldenPoliciesInTheClient(t *testing.T) {
	files, err := filepath.Glob("../../server/policy/testdata/golden/*/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	cases := 0
	for _, file := range files {
		f, err := trial.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases += len(f.Cases)
	}
	status, stdout, stderr := runPostern(t, nil, append([]string{"policy", "test"}, files...)...)
	if want := fmt.Sprintf("%d cases, all as they should be.\n", cases); status != 0 || !strings.HasSuffix(stdout, want) {
		for _, miss := range regexp.MustCompile(`(?m)^FAIL.*(?:\n {6}.*)*`).FindAllString(stdout, -1) {
			t.Error(miss)
		}
		t.Errorf("status %d, %s; want %s", status, stderr, want)
	}
}

// What the documentation has as what a policy finds can be read, and is found; a file that
// is named counts for all cases, and what these say themselves counts before it.
func TestSurroundingsOfPolicies(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(page), "```yaml\nsecrets:")
	documented, _, found := strings.Cut(behind, "\ncases:")
	if !found {
		t.Fatal("docs/policy.md has no example")
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("cities.mmdb", string(geofile.Make(t, "GeoLite2-City", map[string]geofile.Record{"198.51.100.0/24": geofile.City("Paris", "France", "FR", 48, 2)})))
	with, places := write("with.yml", "secrets:"+documented), write("places.yml", "geo: cities.mmdb\n")
	cases := write("cases.yml", `secrets: {own: {token: mine}}
policy: |
  on_http_request:
  - actions:
    - type: restrict-ips
      config: {enforce: false, ip_policies: [ipp_2f9Xh]}
    - type: http-request
      config: {url: "https://auth.internal/check?a=b"}
    - type: http-request
      config: {url: "https://api.example.com/slow", retry_condition: has(last_attempt.error)}
    - type: custom-response
      config: {body: "${secrets.get('ops', 'token')} ${secrets.get('own', 'token')} ${conn.geo.country_code} ${actions.ngrok.restrict_ips.action} ${actions.ngrok.http_request.res.body}"}
cases:
- name: near
  connection: {client: "203.0.113.7:1"}
  request: {url: "https://app.example.com/"}
  want: {response: {body: "only-for-this-test mine DE allow {}"}, calls: [{url: "https://auth.internal/check?a=b"}, {}, {}]}
- name: far
  connection: {client: "198.51.100.7:1"}
  request: {url: "https://app.example.com/"}
  want: {response: {body: "only-for-this-test mine FR deny {}"}}
`)
	if status, stdout, stderr := runPostern(t, nil, "policy", "test", cases, "--with", with, "--with", places); status != 0 {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	for text, says := range map[string]string{
		"secret: {}": "secret", "ip_policies: {a: {allow: [everybody]}}": "everybody", "geo: {here: {location: {}}}": "here",
		"geo: {192.0.2.0/24: {city: Rome}}": "city", "geo: missing.mmdb": "missing.mmdb", "responses: {\"https://a/\": {error: ERR_NONE}}": "ERR_NONE",
		"responses: {\"https://a/\": {resolved_ip: here}}": "here",
	} {
		status, stdout, stderr := runPostern(t, nil, "policy", "test", cases, "--with", write("wrong.yml", text))
		if status == 0 || !strings.Contains(stdout+stderr, says) {
			t.Errorf("%s: status %d: %s%s", text, status, stdout, stderr)
		}
	}
}
