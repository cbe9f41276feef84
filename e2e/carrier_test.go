//go:build linux

package e2e_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	netpath "github.com/postern-dev/postern/internal/testkit/path"
)

// front is an nginx that ends TLS with a certificate of its own before the server, and
// passes HTTP/1.1 and WebSockets on to backend: a reverse proxy, or, to an agent whose
// machine trusts it, a company's proxy that looks into everything. more are directives.
func front(t *testing.T, backend string, more ...string) (address, certificate string) {
	t.Helper()
	pair, _ := selfSigned(t, "localhost")
	certFile, keyFile := writePair(t, pair)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 1)[0]
	config := fmt.Sprintf(`daemon off; pid %[1]s/nginx.pid; error_log %[1]s/error.log; user root;
events {}
http { access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
 server { listen 127.0.0.1:%[2]d ssl; ssl_certificate %[3]s; ssl_certificate_key %[4]s;
  location / { proxy_pass %[5]s; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; %[6]s } } }`,
		dir, port, certFile, keyFile, backend, strings.Join(more, " "))
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	startProcess(t, "nginx", nil, "nginx", "-p", dir, "-c", path)
	awaitListen(t, fmt.Sprintf("127.0.0.1:%d", port))
	return fmt.Sprintf("localhost:%d", port), certFile
}

// way is how an agent of a test is told to reach the server.
type way struct {
	server, cas string
	environment []string
	flags       []string
}

func (s *server) agentOn(w way, args ...string) (*process, string) {
	s.t.Helper()
	argv := append([]string{posternBinary}, args...)
	argv = append(append(argv, "--connect-url", w.server, "--connect-cas", w.cas, "--authtoken", s.authtoken,
		"--log", "stdout", "--log-format", "logfmt"), w.flags...)
	p := startProcess(s.t, "agent "+strings.Join(args, " "), w.environment, argv...)
	s.agents = append(s.agents, p)
	return p, p.onlineURL()
}

// diagnosis is what the tests look at of "postern diagnose --format json".
type diagnosis struct {
	OK     bool   `json:"ok"`
	Takes  string `json:"takes"`
	Why    string `json:"why"`
	Proxy  string `json:"proxy"`
	Checks []struct {
		Transport string `json:"transport"`
		Name      string `json:"name"`
		Status    string `json:"status"`
		Text      string `json:"text"`
		Code      string `json:"error_code"`
	} `json:"checks"`
}

func (s *server) diagnose(w way) (d diagnosis, status int) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), posternBinary, append([]string{"diagnose", "--connect-url", w.server,
		"--connect-cas", w.cas, "--authtoken", s.authtoken, "--format", "json"}, w.flags...)...)
	command.Env = append(os.Environ(), w.environment...)
	output, err := command.Output()
	if json.Unmarshal(output, &d) != nil {
		s.t.Fatalf("diagnose printed %q: %v", output, err)
	}
	return d, command.ProcessState.ExitCode()
}

// bulk is a service with a quick answer and a large one.
func bulk(t *testing.T) (address string, body []byte) {
	t.Helper()
	body = random(t, 20<<20)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			_, _ = w.Write(body)
			return
		}
		_, _ = w.Write([]byte("quick"))
	}))
	t.Cleanup(service.Close)
	return service.URL, body
}

// checkTraffic downloads 20 MiB four times at once, wants every byte, and sees that
// more than one connection carried them.
func (s *server) checkTraffic(url string, body []byte) {
	s.t.Helper()
	visitor := s.visitor()
	awaitBody(s.t, visitor, url, "quick", 5*time.Second)
	failures := make(chan error, 4)
	for range cap(failures) {
		go func() {
			_, got, err := tryFetch(visitor, url+"/big")
			if err == nil && sha256.Sum256([]byte(got)) != sha256.Sum256(body) {
				err = fmt.Errorf("the download of %d bytes has %d, or others", len(body), len(got))
			}
			failures <- err
		}()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			s.t.Error(err)
		}
	}
	if n := s.metric("postern_agent_connections"); n < 2 {
		s.t.Errorf("the agent has %v connections after large downloads, want further ones", n)
	}
	visitor.CloseIdleConnections()
}

// Whoever ends TLS before the server, an agent gets through in a WebSocket, does its
// work as directly, and is back after the server was killed. B2: nothing is inflated.
func TestAgentsBehindProxiesThatEndTLS(t *testing.T) {
	for name, c := range map[string]struct {
		backend     func(s *server) string
		intercepted bool // the agent's machine trusts the proxy, the agent's settings do not
	}{
		"ReverseProxyToHTTPS": {func(s *server) string { return fmt.Sprintf("https://127.0.0.1:%d", s.https) }, false},
		"ReverseProxyToHTTP":  {func(s *server) string { return fmt.Sprintf("http://127.0.0.1:%d", s.http) }, false},
		"InterceptingProxy":   {func(s *server) string { return fmt.Sprintf("https://127.0.0.1:%d", s.https) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			service, body := bulk(t)
			address, certificate := front(t, c.backend(s))
			w := way{server: address, cas: bundle(t, s.caFile, certificate)}
			if c.intercepted {
				w.cas, w.environment = s.caFile, []string{"SSL_CERT_FILE=" + certificate}
			}
			found, status := s.diagnose(w)
			if status != 0 || !found.OK || found.Takes != "websocket" || !strings.Contains(found.Why, "tls did not work") {
				t.Errorf("diagnose leaves with %d: %+v", status, found)
			}
			agent, url := s.agentOn(w, "http", service)
			agent.waitFor("transport=websocket", 10*time.Second)
			s.checkTraffic(url, body)

			s.restart()
			restarted := time.Now()
			awaitBody(t, s.visitor(), url, "quick", 3*time.Second)
			t.Logf("back %v after the server was ready", time.Since(restarted))

			fixed := w
			fixed.flags = []string{"--transport", "tls"}
			if found, status := s.diagnose(fixed); status != 1 || found.OK || found.Takes != "" {
				t.Errorf("with the transport fixed to tls diagnose leaves with %d: %+v", status, found)
			}
		})
	}
}

// bundle joins PEM files.
func bundle(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	path := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Where only a proxy may reach the server, and only it knows the server's name, agents
// go through it, in the open, or in a WebSocket.
func TestAgentsBehindACONNECTProxy(t *testing.T) {
	t.Parallel()
	if !netpath.Isolate(t) {
		return
	}
	ports := freePorts(t, 2)
	link, port := ports[0], ports[1]
	s := startServer(t, fmt.Sprintf("  agent: 127.0.0.1:%d", link))
	service, body := bulk(t)
	tinyproxy(t, port)
	run(t, nil, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", fmt.Sprint(link), "!", "-s", "127.0.0.2", "-j", "REJECT", "--reject-with", "tcp-reset")

	target := fmt.Sprintf("connect.%s:%d", domain, link)
	proxy := fmt.Sprintf("http://127.0.0.1:%d", port)
	environment := []string{"https_proxy=" + proxy, "http_proxy=", "no_proxy="}
	for _, transport := range []string{"tls", "websocket"} {
		w := way{server: target, cas: s.caFile, environment: environment, flags: []string{"--transport", transport}}
		found, status := s.diagnose(w)
		if status != 0 || found.Takes != transport || found.Proxy != proxy {
			t.Errorf("%s: diagnose leaves with %d: %+v", transport, status, found)
		}
		agent, url := s.agentOn(w, "http", service)
		s.checkTraffic(url, body)
		s.restart()
		awaitBody(t, s.visitor(), url, "quick", 3*time.Second)
		agent.signal(syscall.SIGTERM)
		agent.wait(35 * time.Second)
	}
	// Without the proxy nothing is to be had, and diagnose says where it stops.
	found, status := s.diagnose(way{server: fmt.Sprintf("127.0.0.1:%d", link), cas: s.caFile})
	if status != 1 || found.OK || !strings.Contains(found.Why, "cannot be reached") {
		t.Errorf("without a proxy diagnose leaves with %d: %+v", status, found)
	}
}

// tinyproxy runs Debian's tinyproxy, which connects from 127.0.0.2 and, alone, knows
// the server's name.
func tinyproxy(t *testing.T, port int) {
	t.Helper()
	dir := t.TempDir()
	hosts, config := filepath.Join(dir, "hosts"), filepath.Join(dir, "tinyproxy.conf")
	files := map[string]string{
		hosts:  "127.0.0.1 connect." + domain + "\n",
		config: fmt.Sprintf("Port %d\nListen 127.0.0.1\nBind 127.0.0.2\nTimeout 600\nLogLevel Connect\n", port),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	startProcess(t, "tinyproxy", nil, "unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec tinyproxy -d -c "$1"`, hosts, config)
	awaitListen(t, fmt.Sprintf("127.0.0.1:%d", port))
}
