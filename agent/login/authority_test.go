package login_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/login"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/authority"
)

// A CA is taken by its own fingerprint only, and where it vouches for the server; the
// server learns nothing.
func TestAuthority(t *testing.T) {
	made := func() (*authority.Authority, tls.Certificate) {
		ca, err := authority.Init(filepath.Join(t.TempDir(), "ca"), authority.Root{Layout: authority.Tree}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := ca.Server([]string{"127.0.0.1"}, authority.Leaf{})
		if err != nil {
			t.Fatal(err)
		}
		identity, err := tls.LoadX509KeyPair(issued.Certificate, issued.Key)
		if err != nil {
			t.Fatal(err)
		}
		return ca, identity
	}
	ca, identity := made()
	stranger, _ := made() // which did not sign the server's certificate
	leaf := identity.Leaf
	identity.Certificate = append(identity.Certificate, stranger.Certificate.Raw, ca.Certificate.Raw)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var sent atomic.Int64
	config := &tls.Config{Certificates: []tls.Certificate{identity}, NextProtos: []string{"postern/1"}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			secured := tls.Server(conn, config)
			n, _ := io.Copy(io.Discard, secured) // ends with the handshake's error, or at once
			sent.Add(n)
			secured.Close()
		}
	}()
	trusting := x509.NewCertPool()
	trusting.AddCert(ca.Certificate)
	ask := func(pin string, roots *x509.CertPool) (*x509.Certificate, error) {
		l := login.Login{Address: listener.Addr().String(), Pin: pin, Roots: roots,
			Dialer: func(server string, roots *x509.CertPool) (*session.Dialer, error) {
				return &session.Dialer{Server: server, Roots: roots, Transport: session.TLS}, nil
			}}
		return l.Authority(t.Context())
	}
	for what, roots := range map[string]*x509.CertPool{"unknown": x509.NewCertPool(), "trusted already": trusting} {
		if found, err := ask(login.Fingerprint(ca.Certificate), roots); err != nil || !found.Equal(ca.Certificate) {
			t.Errorf("%s: %v, %v", what, found, err)
		}
	}
	for what, c := range map[string]struct {
		pin   string
		roots *x509.CertPool
		code  postern.Code
		fault string
	}{
		"no pin":             {"", x509.NewCertPool(), postern.CodeServerUntrusted, "could be anybody's"},
		"no pin, no need":    {"", trusting, postern.CodeFlagInvalid, "already"},
		"no fingerprint":     {"sha256:12", x509.NewCertPool(), postern.CodeFlagInvalid, "64 hexadecimal digits"},
		"another's":          {"sha256:" + strings.Repeat("ab", 32), x509.NewCertPool(), postern.CodeServerUntrusted, "Somebody else answers"},
		"the leaf's":         {login.Fingerprint(leaf), x509.NewCertPool(), postern.CodeFlagInvalid, "own certificate, not of the CA"},
		"a CA that only was": {login.Fingerprint(stranger.Certificate), x509.NewCertPool(), postern.CodeServerUntrusted, ""},
	} {
		if found, err := ask(c.pin, c.roots); !postern.HasCode(err, c.code) || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, %v", what, found, err)
		}
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d bytes were sent", n)
	}
}
