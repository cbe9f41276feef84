package e2e_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/postern-dev/postern/internal/testkit/certify"
)

// selfSigned makes a certificate for a name and a pool that trusts only it. edit changes
// it before.
func selfSigned(t *testing.T, name string, edit ...func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	made := certify.New(t, name, nil, edit...)
	return made.TLS(), made.Pool()
}

// writePair stores a certificate and its key as PEM files.
func writePair(t *testing.T, certificate tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	chain, key := pairText(t, certificate)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string]string{certFile: chain, keyFile: key} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// pairText is a certificate and its key as PEM text.
func pairText(t *testing.T, certificate tls.Certificate) (chain, key string) {
	t.Helper()
	return certify.Block("CERTIFICATE", certificate.Certificate[0]), certify.Key(t, certificate.PrivateKey)
}

// proxyHeaders is an upstream that requires a PROXY header and reports the source
// address in it.
func proxyHeaders(t *testing.T) (address string, sources <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	found := make(chan string, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if conn.SetReadDeadline(time.Now().Add(5*time.Second)) != nil {
					return
				}
				if header, err := proxyproto.Read(bufio.NewReader(conn)); err == nil {
					found <- header.SourceAddr.String()
				}
			}()
		}
	}()
	return listener.Addr().String(), found
}

// tcpService is a TCP service on this machine: handle serves each of its connections, which
// are closed for it.
func tcpService(t *testing.T, handle func(conn net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return listener.Addr().String()
}
