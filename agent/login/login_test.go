package login_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/login"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func TestCandidates(t *testing.T) {
	for text, want := range map[string][]string{
		"https://example.com":              {"connect.example.com:443", "example.com:443"},
		"example.com:8443":                 {"connect.example.com:8443", "example.com:8443"},
		"http://example.com/":              {"connect.example.com:443", "example.com:443"},
		"connect.example.com":              {"connect.example.com:443"},
		"https://dashboard.example.com":    {"connect.dashboard.example.com:443", "connect.example.com:443", "dashboard.example.com:443"},
		"203.0.113.1":                      nil,
		"127.0.0.1:8443":                   {"127.0.0.1:8443"},
		"[::1]:8443":                       {"[::1]:8443"},
		"https://example.com/some/path":    nil,
		"":                                 nil,
		"ftp://example.com":                nil,
		"https://user:secret@example.com/": nil,
	} {
		got, err := login.Candidates(text)
		if want == nil && err == nil && net.ParseIP(text) == nil {
			t.Errorf("%q: %q", text, got)
		}
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q (%v)", text, got, want, err)
		}
	}
}

// A server that nobody vouches for gets a handshake and not one byte after it, whatever
// pin was typed; one whose pin is right and that is no server of ours gets no token.
func TestNothingIsSent(t *testing.T) {
	var sent atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer web.Close()
	config := &tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"postern/1"}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			secured := tls.Server(conn, config)
			n, _ := io.Copy(io.Discard, secured) // ends with the handshake's error
			sent.Add(n)
			secured.Close()
		}
	}()
	l := login.Login{Address: listener.Addr().String(), Roots: x509.NewCertPool(), Hello: link.Hello{Token: "id_secret"},
		Dialer: func(server string, roots *x509.CertPool) (*session.Dialer, error) {
			return &session.Dialer{Server: server, Roots: roots, Transport: session.TLS}, nil
		}}
	for _, pin := range []string{"", "sha256:" + strings.Repeat("ab", 32)} {
		l.Pin = pin
		_, err := l.Run(t.Context())
		if !postern.HasCode(err, postern.CodeServerUntrusted) || !strings.Contains(err.Error(), login.Fingerprint(web.Certificate())) {
			t.Errorf("pin %q: %v", pin, err)
		}
	}
	l.Pin = "sha256:12"
	if _, err := l.Run(t.Context()); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Error(err)
	}
	refused := errors.New("no dialer")
	l.Pin, l.Dialer = "", func(string, *x509.CertPool) (*session.Dialer, error) { return nil, refused }
	if _, err := l.Run(t.Context()); !errors.Is(err, refused) {
		t.Error(err)
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d bytes were sent", n)
	}
}

func FuzzCandidates(f *testing.F) {
	for _, seed := range []string{"https://example.com", "connect.x:1", "[::1]", "dashboard.", "http://https://x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		candidates, err := login.Candidates(text)
		if err != nil {
			return
		}
		for _, candidate := range candidates {
			if host, port, err := net.SplitHostPort(candidate); err != nil || host == "" || port == "" {
				t.Fatalf("%q gives %q", text, candidate)
			}
		}
	})
}
