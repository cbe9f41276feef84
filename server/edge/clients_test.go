package edge_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/route"
)

// clients is an authority of client certificates.
type clients struct{ authority }

func newClients(t testing.TB) clients {
	t.Helper()
	return clients{newAuthority(t)}
}

// client makes a certificate; change changes it before.
func (c clients) client(t testing.TB, serial int64, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	edits := append([]certify.Edit{certify.Serial(serial), certify.For(x509.ExtKeyUsageClientAuth), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "Ann, Müller", Organization: []string{"Acme"}}
		c.DNSNames, c.EmailAddresses, c.IPAddresses = []string{"ann.example", "a,b\\.example"}, []string{"ann@example.com"}, []net.IP{net.IPv4(192, 0, 2, 1)}
	}}, change...)
	return certify.New(t, "", c.root, edits...).TLS()
}

func (c clients) pem() string { return certify.Chain(c.root) }

// crl is a revocation list.
func (c clients) crl(t testing.TB, until time.Time, serials ...int64) string {
	t.Helper()
	all := make([]*big.Int, len(serials))
	for i, serial := range serials {
		all[i] = big.NewInt(serial)
	}
	return certify.Block("X509 CRL", c.root.Revoke(t, time.Now(), until, 0, all...))
}

func withCAs(c clients) postern.MutualTLS { return postern.MutualTLS{AuthoritiesPEM: c.pem()} }

// guarded puts an https endpoint online that asks for certificates, or replaces it.
func (s *site) guarded(host, addr string, asked postern.MutualTLS) *route.Route {
	s.t.Helper()
	m := newMember(addr)
	s.t.Cleanup(m.stop)
	r := routeTo("https://"+host+"."+domain, &owner{members: []*member{m}})
	r.MutualTLS = asked
	s.mu.Lock()
	for i, old := range s.routed {
		if old.URL == r.URL {
			s.routed = append(s.routed[:i], s.routed[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	s.add(r)
	return r
}

// showing is a client that shows certificates, whoever the server says is welcome.
func (s *site) showing(protocol string, shown ...tls.Certificate) *http.Client {
	c := s.client(protocol)
	c.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(shown) == 0 {
			return new(tls.Certificate), nil
		}
		return &shown[0], nil
	}
	return c
}

// outcome is what comes back from an endpoint: the service's words, or the alert that the
// client sees.
func (s *site) outcome(name, protocol string, shown ...tls.Certificate) string {
	s.t.Helper()
	c := s.showing(protocol, shown...)
	if response, err := c.Get("https://" + name + "/"); err == nil {
		return body(s.t, response)
	}
	return s.alert(name, protocol, c)
}

// alert is what a client sees that speaks before it has read anything, as those of TLS 1.3
// do. net/http would not always tell.
func (s *site) alert(name, protocol string, c *http.Client) string {
	s.t.Helper()
	config := c.Transport.(*http.Transport).TLSClientConfig.Clone()
	if config.ServerName = name; protocol != "" {
		config.NextProtos = []string{protocol}
	}
	conn, err := tls.Dial("tcp", s.https, config)
	if err == nil {
		defer conn.Close()
		must(s.t, conn.SetDeadline(time.Now().Add(patience)))
		_, _ = io.WriteString(conn, strings.Repeat("hello", 1000))
		_, err = io.ReadAll(conn)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return "no alert"
}

var protocols = []string{"http/1.1", "h2"}
