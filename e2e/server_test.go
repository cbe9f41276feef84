package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// domain is what every server of this suite serves; its names resolve nowhere, so
// visitors dial the server's address themselves.
const domain = "postern.test"

// server is a running "postern server" with a data directory of its own. Its
// ports stay the same over restarts.
type server struct {
	*program.Server
	t                  *testing.T
	https, http, admin int
	authtoken, caFile  string
	process            *process
	agents             []*process
	connect            string // where agents dial; "" is the shared port
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
	return newServerOf(t, domain, extra...)
}

// newServerOf is for another domain, such as one below localhost, which clients find by
// themselves.
func newServerOf(t *testing.T, domain string, extra ...string) *server {
	t.Helper()
	started, err := program.NewServer(posternBinary, domain, t.TempDir(), extra...)
	if err != nil {
		t.Fatal(err)
	}
	return &server{Server: started, t: t, https: started.HTTPS, http: started.HTTP, admin: started.Admin}
}

// start runs the process and returns once /readyz says so.
func (s *server) start() {
	s.t.Helper()
	err := s.Start()
	if s.Process != nil {
		s.process = adopt(s.t, s.Process)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) bootstrap() {
	s.t.Helper()
	if err := s.Bootstrap(); err != nil {
		s.t.Fatal(err)
	}
	s.authtoken, s.caFile = s.Authtoken, s.CAFile
}

// restart kills the server without warning and starts it again.
func (s *server) restart() {
	s.t.Helper()
	s.process.signal(syscall.SIGKILL)
	s.process.wait(5 * time.Second)
	s.start()
}

// connectURL is where agents dial: the shared port, unless the test gave agents a
// port of their own.
func (s *server) connectURL() string {
	if s.connect != "" {
		return s.connect
	}
	return s.ConnectURL()
}

func (s *server) pool() *x509.CertPool {
	s.t.Helper()
	pool, err := s.Pool()
	if err != nil {
		s.t.Fatal(err)
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
		DialContext:        s.DialContext,
		TLSClientConfig:    &tls.Config{RootCAs: s.pool()},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
}

// metric reads one sample without labels from the server's /metrics.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	value, err := s.Metric(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return value
}

// showGoroutines tells what the server is at, if the test has failed.
func (s *server) showGoroutines() {
	if !s.t.Failed() {
		return
	}
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", s.admin))
	if err != nil {
		return
	}
	defer response.Body.Close()
	profile, _ := io.ReadAll(response.Body)
	s.t.Logf("the server's goroutines:\n%s", profile)
}
