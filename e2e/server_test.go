package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// domain is what every server of this suite serves; its names resolve nowhere, so
// visitors dial the server's address themselves.
const domain = "postern.test"

// server is a running "postern server" with a data directory of its own. Its
// ports stay the same over restarts.
type server struct {
	t                  *testing.T
	dir, config        string
	https, http, admin int
	tcpFirst, tcpLast  int
	authtoken, caFile  string
	process            *process
	agents             []*process
	wrapper            []string // argv put before the server's, e.g. prlimit
	connect            string   // where agents dial; "" is the shared port
}

// startServer boots a server, bootstraps it and waits until it is ready. extra is
// appended to its configuration.
func startServer(t *testing.T, extra ...string) *server {
	t.Helper()
	s := newServer(t, extra...)
	s.start()
	s.bootstrap()
	return s
}

func newServer(t *testing.T, extra ...string) *server {
	t.Helper()
	dir := t.TempDir()
	ports := freePorts(t, 3)
	s := &server{t: t, dir: dir, config: filepath.Join(dir, "server.yml"),
		https: ports[0], http: ports[1], admin: ports[2]}
	s.tcpFirst = freeRange(t, 10)
	s.tcpLast = s.tcpFirst + 9
	config := fmt.Sprintf(`domain: %s
data_dir: %s
listen:
  https: 127.0.0.1:%d
  http: 127.0.0.1:%d
  admin: 127.0.0.1:%d
  tcp_ports: %d-%d
%s
`, domain, filepath.Join(dir, "data"), s.https, s.http, s.admin, s.tcpFirst, s.tcpLast, strings.Join(extra, "\n"))
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the process and returns once /readyz says so.
func (s *server) start() {
	s.t.Helper()
	argv := append(slices.Clone(s.wrapper), posternBinary, "server", "--config", s.config)
	s.process = startProcess(s.t, "server", nil, argv...)
	eventually(s.t, 10*time.Second, func() error {
		if s.process.exited() {
			return fmt.Errorf("the server ended: %s", s.process.output())
		}
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", s.admin))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", response.Status)
		}
		return nil
	})
}

func (s *server) bootstrap() {
	s.t.Helper()
	output, err := exec.Command(posternBinary, "server", "bootstrap", "--config", s.config, "--format", "json").Output()
	if err != nil {
		s.t.Fatalf("bootstrap: %v", describe(err))
	}
	var keys struct {
		AccountID string `json:"account_id"`
		UserID    string `json:"user_id"`
		APIKey    string `json:"api_key"`
		Authtoken string `json:"authtoken"`
		CAFile    string `json:"ca_file"`
	}
	if err := json.Unmarshal(output, &keys); err != nil {
		s.t.Fatalf("bootstrap printed %q: %v", output, err)
	}
	if keys.AccountID == "" || keys.UserID == "" || keys.APIKey == "" || keys.Authtoken == "" || keys.CAFile == "" {
		s.t.Fatalf("bootstrap left something out: %s", output)
	}
	s.authtoken, s.caFile = keys.Authtoken, keys.CAFile
}

// restart kills the server without warning and starts it again.
func (s *server) restart() {
	s.t.Helper()
	s.process.signal(syscall.SIGKILL)
	s.process.wait(5 * time.Second)
	s.start()
}

// connectURL is where agents dial; connections there are the shared port's unless
// the test gave agents a port of their own.
func (s *server) connectURL() string {
	if s.connect != "" {
		return s.connect
	}
	return fmt.Sprintf("127.0.0.1:%d", s.https)
}

func (s *server) pool() *x509.CertPool {
	s.t.Helper()
	pem, err := os.ReadFile(s.caFile)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		s.t.Fatalf("%s holds no certificate", s.caFile)
	}
	return pool
}

// visitor is an HTTP client that reaches every name at this server and trusts its
// CA. Its connections end with the test.
func (s *server) visitor() *http.Client {
	transport := s.transport()
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s *server) transport() *http.Transport {
	return &http.Transport{
		DialContext:        s.dialContext,
		TLSClientConfig:    &tls.Config{RootCAs: s.pool()},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
}

// dialContext reaches any name of the domain at the server's loopback address.
func (s *server) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch port {
	case "443":
		port = fmt.Sprint(s.https)
	case "80":
		port = fmt.Sprint(s.http)
	}
	return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
}

// metric reads one sample without labels from the server's /metrics.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", s.admin))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(body.String()) {
		var value float64
		if rest, found := strings.CutPrefix(line, name+" "); found {
			if _, err := fmt.Sscan(rest, &value); err == nil {
				return value
			}
		}
	}
	s.t.Fatalf("no metric %q", name)
	return 0
}
