package diagnose_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern/agent/diagnose"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

var update = flag.Bool("update", false, "write the golden files again")

const token = "good-token-of-the-diagnosis"

// scene is a port of this machine and who is behind it.
type scene struct {
	addr        string
	certificate tls.Certificate
	roots       *x509.CertPool
}

func play(t *testing.T, serve func(*scene, net.Conn)) *scene {
	t.Helper()
	s := &scene{}
	s.certificate, s.roots = testkit.Certificate(t, "localhost")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s.addr = "localhost:" + port
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(s, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return s
}

func (s *scene) secured(conn net.Conn, alpn string) *tls.Conn {
	return tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.certificate}, NextProtos: []string{alpn}})
}

// postern is a Postern server that opens no WebSockets.
func (s *scene) postern(t *testing.T) func(*scene, net.Conn) {
	registrar := linktest.NewRegistrar(token)
	return func(s *scene, conn net.Conn) {
		secured := s.secured(conn, native.ALPN)
		if secured.HandshakeContext(t.Context()) == nil {
			_ = native.Serve(t.Context(), secured, native.Config{Registrar: registrar, Logger: testkit.Logger(t)})
		}
	}
}

// login is a proxy that wants people to sign in first.
func login(s *scene, conn net.Conn) {
	secured := s.secured(conn, "http/1.1")
	if secured.Handshake() != nil {
		return
	}
	buffer := make([]byte, 4096)
	_, _ = secured.Read(buffer)
	_, _ = io.WriteString(secured, "HTTP/1.1 302 Found\r\nServer: Gatekeeper\r\nLocation: https://login.test/\r\nContent-Length: 0\r\n\r\n")
}

func TestReports(t *testing.T) {
	closed := play(t, func(*scene, net.Conn) {})
	for name, c := range map[string]struct {
		scene  func(t *testing.T) *scene
		change func(*scene, *diagnose.Config)
	}{
		"direct":    {func(t *testing.T) *scene { return play(t, (&scene{}).postern(t)) }, nil},
		"no_token":  {func(t *testing.T) *scene { return play(t, (&scene{}).postern(t)) }, func(_ *scene, c *diagnose.Config) { c.Hello.Token = "" }},
		"bad_token": {func(t *testing.T) *scene { return play(t, (&scene{}).postern(t)) }, func(_ *scene, c *diagnose.Config) { c.Hello.Token = "another-token" }},
		"untrusted": {func(t *testing.T) *scene { return play(t, (&scene{}).postern(t)) }, func(_ *scene, c *diagnose.Config) {
			c.Dialer.Roots = x509.NewCertPool()
		}},
		"captive": {func(t *testing.T) *scene { return play(t, login) }, nil},
		"cut_off": {func(*testing.T) *scene { return closed }, nil},
		"fixed": {func(t *testing.T) *scene { return play(t, login) }, func(_ *scene, c *diagnose.Config) {
			c.Dialer.Transport = session.TLS
		}},
		"proxy_wants_password": {func(t *testing.T) *scene {
			return play(t, func(_ *scene, conn net.Conn) {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
			})
		}, func(s *scene, c *diagnose.Config) {
			proxy, err := dial.ParseProxy("https_proxy", "http://"+s.addr)
			if err != nil {
				panic(err)
			}
			c.Dialer.Server, c.Dialer.Net.Proxy = "connect.postern.test:443", proxy
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.scene(t)
			config := diagnose.Config{
				Dialer:  &session.Dialer{Server: s.addr, Roots: s.roots, SystemRoots: x509.NewCertPool(), Logger: testkit.Logger(t)},
				Source:  "--connect-url",
				Hello:   link.Hello{Token: token},
				Version: "1.2.3",
			}
			if c.change != nil {
				c.change(s, &config)
			}
			report := diagnose.Run(t.Context(), config)
			var text bytes.Buffer
			if err := report.Write(&text); err != nil {
				t.Fatal(err)
			}
			compare(t, name, text.String())
			raw, err := json.Marshal(report)
			if err != nil || bytes.Contains(raw, []byte(token)) {
				t.Errorf("the report as JSON: %v %s", err, raw)
			}
			for _, check := range report.Checks {
				if check.Status == diagnose.Failed && (check.Code == "" || check.NextStep == "") {
					t.Errorf("a failure without a code or a next step: %+v", check)
				}
			}
		})
	}
}

// compare holds a report to its golden file; what differs from run to run is left out.
func compare(t *testing.T, name, got string) {
	t.Helper()
	for pattern, blank := range map[string]string{
		`\d+\.\d ms`:                      "N ms",
		`(localhost|127\.0\.0\.1):\d{4,}`: "$1:PORT",
		`until \d{4}-\d\d-\d\d`:           "until DATE",
		`127\.0\.0\.1:PORT->\S+`:          "127.0.0.1:PORT->PEER",
		`cause: (read tcp .*|EOF)`:        "cause: the end of the connection",
	} {
		got = regexp.MustCompile(pattern).ReplaceAllString(got, blank)
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s: %v, got\n%s", path, err, got)
	}
}

// What strangers put into certificates and headers does not reach the terminal raw.
func TestTextOfStrangersIsPrintable(t *testing.T) {
	report := diagnose.Report{Server: "a.test:443", Why: "No."}
	var text strings.Builder
	if err := report.Write(&text); err != nil || !strings.HasPrefix(text.String(), "Testing the way to a.test:443…\n") {
		t.Errorf("%v %q", err, text.String())
	}
	evil, roots := testkit.Certificate(t, "localhost", "\x1b[2Jlocalhost")
	s := play(t, func(_ *scene, conn net.Conn) {
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{evil}}).Handshake()
	})
	got := diagnose.Run(t.Context(), diagnose.Config{Dialer: &session.Dialer{Server: s.addr, Roots: roots, SystemRoots: x509.NewCertPool()}})
	text.Reset()
	if err := got.Write(&text); err != nil || strings.ContainsRune(text.String(), 0x1b) {
		t.Errorf("%v %q", err, text.String())
	}
}
