package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// An endpoint's own pages travel as one option, with what its files say now.
func TestErrorPages(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "asleep.html"), []byte("<h1>{{host}}</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	const wanted = `{"pages":[{"errors":["offline"],"html":"\u003ch1\u003e{{host}}\u003c/h1\u003e"},{"errors":["502","5xx"],"text":"gone\n"}],` +
		`"maintenance":{"enabled":true,"retry_after":60,"allow_cidrs":["192.0.2.0/24"]}}`
	for what, text := range map[string]string{
		"a tunnel": `
tunnels:
  web:
    proto: http
    addr: 1
    error_pages:
      - {errors: offline, html_file: asleep.html}
      - errors: [502, 5xx]
        text: |
          gone
    maintenance: {enabled: true, retry_after: 60, allow_cidrs: 192.0.2.0/24}
`,
		"an endpoint": `
version: 3
endpoints:
  - name: web
    upstream: {url: 1}
    error_pages:
      - {errors: [offline], html_file: asleep.html}
      - {errors: ["502", "5xx"], text: "gone\n"}
    maintenance: {enabled: on, retry_after: 60, allow_cidrs: [192.0.2.0/24]}
`,
	} {
		path := filepath.Join(dir, "agent.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil || c.Endpoints[0].Problem != nil {
			t.Fatal(err, c.Endpoints)
		}
		options, err := c.Endpoints[0].Options()
		if err != nil || string(options["ErrorPages"]) != wanted || !c.Endpoints[0].Guards() {
			t.Errorf("%s: %s, %v", what, options["ErrorPages"], err)
		}
	}
	e := parse(t, "tunnels: {web: {proto: http, addr: 1, maintenance: true, error_pages: [{errors: '*', html_file: nowhere.html}]}}").Endpoints[0]
	if _, err := e.Options(); !e.Maintenance.Enabled || !postern.HasCode(err, postern.CodeFileUnreadable) || !strings.Contains(err.Error(), "html_file") {
		t.Errorf("%+v: %v", e.Maintenance, err)
	}
	e = parse(t, "tunnels: {web: {proto: http, addr: 1, maintenance: false, error_pages: []}}").Endpoints[0]
	if options, err := e.Options(); err != nil || len(options) != 0 || e.Guards() {
		t.Errorf("%v, %v", options, err)
	}
}

func TestErrorPagesAreRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`error_pages: {errors: "*"}`:                          `error_pages must be a list of pages`,
		`error_pages: [{errors: "*", html: a, html_file: b}]`: `error_pages[0] has html and html_file`,
		`error_pages: [{errors: "*", text: a, text_file: b}]`: `error_pages[0] has text and text_file`,
		`error_pages: ["502"]`:                                `error_pages[0] must be a mapping`,
		`maintenance: perhaps`:                                `maintenance must be true or false`,
		`maintenance: {retry_after: soon}`:                    `"soon" is not a number of seconds`,
		`maintenance: {enable: true}`:                         `maintenance.enable`,
		`maintanance: true`:                                   `maintenance`,
	} {
		c := parse(t, "tunnels: {web: {proto: http, addr: 1, "+keys+"}}")
		if problem := c.Endpoints[0].Problem; problem == nil || !strings.Contains(problem.Text(), want) || !strings.Contains(problem.Text(), "f.yml:1:") {
			t.Errorf("%s: %v, want %q", keys, problem, want)
		}
	}
	c := parse(t, "tunnels: {web: {proto: tcp, addr: 1, maintenance: true}}")
	if problem := c.Endpoints[0].Problem; problem == nil || !strings.Contains(problem.Text(), "are for http endpoints") {
		t.Errorf("a tcp tunnel under maintenance: %v", problem)
	}
}
