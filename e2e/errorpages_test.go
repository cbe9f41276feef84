package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// browsed is what a browser is answered, over HTTP/1.1 or HTTP/2.
func (s *server) browsed(host string, http2 bool) (*http.Response, string, error) {
	transport := s.transport()
	transport.ForceAttemptHTTP2 = http2
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, fmt.Sprintf("https://%s:%d/", host, s.https), nil)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	response, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	if want := map[bool]int{false: 1, true: 2}[http2]; response.ProtoMajor != want {
		return nil, "", fmt.Errorf("answered over %s", response.Proto)
	}
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

// shows waits until browsers get a status and a page at a host, however they speak.
func (s *server) shows(host string, status int, page string) {
	s.t.Helper()
	for _, http2 := range []bool{false, true} {
		eventually(s.t, 10*time.Second, func() error {
			response, text, err := s.browsed(host, http2)
			if err != nil {
				return err
			}
			if response.StatusCode != status || !strings.Contains(text, page) {
				return fmt.Errorf("%s over %s: %d %.300q, want %d %q", host, response.Proto, response.StatusCode, text, status, page)
			}
			if code := response.Header.Get("Ngrok-Error-Code"); code != "" && !strings.Contains(text, code) {
				return fmt.Errorf("%s: the page lacks %s: %q", host, code, text)
			}
			return nil
		})
	}
}

// The pages of a domain are shown once the agent has gone, and followed live; they and
// maintenance are in force again after a restart and with a new version.
func TestErrorPagesOfADomain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	domains := client.For(s.api(), resource.ReservedDomains())
	host := "shop." + domain
	made, err := domains.Create(t.Context(), resource.ReservedDomainCreate{Domain: "*." + host, ErrorPages: []resource.ErrorPage{
		{Errors: []string{"offline"}, HTML: "<h1>{{host}} is asleep</h1>"},
		{Errors: []string{"502"}, HTML: "<h1>no service</h1>"},
		{Errors: []string{"maintenance"}, HTML: "<h1>back in {{retry_after}}</h1>"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "service") }))
	defer service.Close()
	a := "a." + host
	s.shows(a, 404, "<h1>"+a+" is asleep</h1>")
	agent, _ := s.agent("http", service.URL, "--url", "https://"+a)
	s.shows(a, 200, "service")

	change := func(u resource.ReservedDomainUpdate) {
		t.Helper()
		if _, err := domains.Update(t.Context(), made.ID, u); err != nil {
			t.Fatal(err)
		}
	}
	on, off, retry := true, false, int64(77)
	change(resource.ReservedDomainUpdate{Maintenance: &resource.MaintenanceUpdate{Enabled: &on, RetryAfter: &retry}})
	s.shows(a, 503, "<h1>back in 77</h1>")
	if response, _, err := s.browsed(a, true); err != nil || response.Header.Get("Retry-After") != "77" {
		t.Errorf("%v, %v", response, err)
	}
	s.restart()
	s.shows(a, 503, "<h1>back in 77</h1>")
	old := s.upgrade()
	s.shows(a, 503, "<h1>back in 77</h1>")
	change(resource.ReservedDomainUpdate{Maintenance: &resource.MaintenanceUpdate{AllowCIDRs: &[]string{"127.0.0.0/8"}}})
	s.shows(a, 200, "service")
	change(resource.ReservedDomainUpdate{Maintenance: &resource.MaintenanceUpdate{AllowCIDRs: &[]string{"192.0.2.0/24"}}})
	s.shows(a, 503, "<h1>back in 77</h1>")
	change(resource.ReservedDomainUpdate{Maintenance: &resource.MaintenanceUpdate{Enabled: &off}})
	s.shows(a, 200, "service")

	service.Close()
	s.shows(a, 502, "<h1>no service</h1>")
	agent.signal(syscall.SIGTERM)
	s.shows(a, 404, "<h1>"+a+" is asleep</h1>")
	change(resource.ReservedDomainUpdate{ErrorPages: &[]resource.ErrorPage{}})
	s.shows(a, 404, "<!DOCTYPE html>")
	old.wait(30 * time.Second)
}

// A cloud endpoint has pages of its own, which win over its domain's, and a switch of its
// own.
func TestErrorPagesOfAnEndpoint(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	host := "cloud." + domain
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: host,
		ErrorPages: []resource.ErrorPage{{Errors: []string{"*"}, HTML: "<h1>the domain's</h1>"}}}); err != nil {
		t.Fatal(err)
	}
	made := s.cloud("https://"+host, forwards("on_http_request", "https://nobody.internal"))
	s.shows(host, 502, "<h1>the domain's</h1>")
	change := func(u resource.EndpointUpdate) {
		t.Helper()
		if _, err := s.cloudEndpoints().Update(t.Context(), made.ID, u); err != nil {
			t.Fatal(err)
		}
	}
	change(resource.EndpointUpdate{ErrorPages: &[]resource.ErrorPage{{Errors: []string{"502"}, HTML: "<h1>the endpoint's</h1>"}}})
	s.shows(host, 502, "<h1>the endpoint's</h1>")
	on := true
	change(resource.EndpointUpdate{Maintenance: &resource.MaintenanceUpdate{Enabled: &on}})
	s.shows(host, 503, "<h1>the domain's</h1>")
	change(resource.EndpointUpdate{Maintenance: &resource.MaintenanceUpdate{}})
	s.shows(host, 502, "<h1>the endpoint's</h1>")
}

// An agent's endpoint brings pages with its file, which come before its domain's, and a
// switch that is thrown by a reload.
func TestErrorPagesOfAnAgent(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	host := "own." + domain
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "service") }))
	defer service.Close()
	path := filepath.Join(t.TempDir(), "agent.yml")
	write := func(rest string) {
		t.Helper()
		text := "version: 3\nendpoints:\n  - name: web\n    url: https://" + host + "\n    upstream: {url: \"" + service.URL + "\"}\n" + rest
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "broken.html"), []byte("<h1>{{host}} is broken</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	pages := "    error_pages:\n      - {errors: [502], html_file: broken.html}\n      - {errors: [maintenance], html: <h1>back soon</h1>}\n"
	write(pages)
	agent := s.agentProcess("start", "--all", "--config", path)
	s.shows(host, 200, "service")
	write(pages + "    maintenance: true\n")
	agent.signal(syscall.SIGHUP)
	s.shows(host, 503, "<h1>back soon</h1>")
	old := s.upgrade()
	s.shows(host, 503, "<h1>back soon</h1>")
	write(pages)
	agent.signal(syscall.SIGHUP)
	s.shows(host, 200, "service")
	service.Close()
	s.shows(host, 502, "<h1>"+host+" is broken</h1>")
	agent.signal(syscall.SIGTERM)
	s.shows(host, 404, "<!DOCTYPE html>") // with the agent its pages have gone
	old.wait(30 * time.Second)
}

// The command line throws the switch, and takes pages from a file.
func TestErrorPagesFromTheCommandLine(t *testing.T) {
	t.Parallel()
	cli := newAPICLI(t)
	if err := os.WriteFile(filepath.Join(cli.dir, "pages.json"), []byte(`[{"errors": ["*"], "html": "<h1>{{title}}</h1>"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	made := cli.object(cli.run("", "", "reserved-domains", "create", "--domain", "shop.example.com", "--error-pages", "@pages.json"))
	id, _ := made["id"].(string)
	changed := cli.object(cli.run("", "", "reserved-domains", "update", id, "--maintenance.enabled", "--maintenance.retry-after", "600", "--maintenance.allow-cidrs", "192.0.2.0/24"))
	if got := fmt.Sprint(changed["maintenance"], changed["error_pages"]); got != "map[allow_cidrs:[192.0.2.0/24] enabled:true retry_after:600] [map[errors:[*] html:<h1>{{title}}</h1>]]" {
		t.Errorf("changed to %s", got)
	}
	changed = cli.object(cli.run("", "", "reserved-domains", "update", id, "--maintenance.enabled=false"))
	if got := fmt.Sprint(changed["maintenance"]); got != "map[allow_cidrs:[192.0.2.0/24] enabled:false retry_after:600]" {
		t.Errorf("changed to %s", got)
	}
	cli.run("ERR_NGROK_215", "", "reserved-domains", "update", id, "--error-pages", `[{"errors": ["*"], "html": "{{nonsense}}"}]`)
}
