package testkit

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/certify"
)

// TLSName is the name that the certificate of TLSPair and Certificate is for.
const TLSName = "postern.test"

// TLSPair does a TLS 1.3 handshake between a (client) and b (server) and returns
// both ends. alpn "" negotiates none. Closing the results closes a and b.
func TLSPair(t testing.TB, a, b net.Conn, alpn string) (client, server *tls.Conn) {
	t.Helper()
	certificate, roots := Certificate(t, TLSName)
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		RootCAs:      roots,
		ServerName:   TLSName,
		MinVersion:   tls.VersionTLS13,
	}
	if alpn != "" {
		config.NextProtos = []string{alpn}
	}
	client, server = tls.Client(a, config), tls.Server(b, config)
	served := make(chan error, 1)
	go func() { served <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatalf("TLS handshake, client: %v", err)
	}
	if err := <-served; err != nil {
		t.Fatalf("TLS handshake, server: %v", err)
	}
	return client, server
}

// Certificate makes a fresh self-signed certificate for the names (host names or IP
// addresses), valid as those of package certify are, and a pool that trusts it.
func Certificate(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	made := certify.New(t, "Postern tests", nil, certify.Names(names...), certify.For(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth), func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign
	})
	return made.TLS(), made.Pool()
}
