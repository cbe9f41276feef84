package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// issuing is a server that gets its certificates from a real ACME server.
type issuing struct {
	*node
	authority *pebble.Server
	names     *nameserver.Local
	owner     service.Caller
	token     postern.Secret
}

// startIssuing starts pebble, and a server that asks it.
func startIssuing(t *testing.T, authority pebble.Config, change ...func(*server.Config)) *issuing {
	t.Helper()
	ports := freePorts(t, 2)
	c := testConfig(t)
	c.Listen.HTTP, c.Listen.HTTPS = fmt.Sprintf("127.0.0.1:%d", ports.First), fmt.Sprintf("127.0.0.1:%d", ports.Last)
	c.TLS.Mode = server.ModeACME
	names := nameserver.NewLocal(t, map[string]string{"postern.": "c2VjcmV0"})
	authority.DNS, authority.HTTPPort, authority.TLSPort = names.Address, int(ports.First), int(ports.Last)
	running := pebble.Start(t, authority)
	c.ACME.Directories, c.ACME.CARoot, c.ACME.Email = []string{running.Directory}, running.CAFile, "operator@example.com"
	c.ACME.DNS.Wait = 0
	c.DNS.Resolvers = []netip.AddrPort{netip.MustParseAddrPort(names.Address)}
	for _, apply := range change {
		apply(&c)
	}
	n := &issuing{node: start(t, c, server.Options{}), authority: running, names: names}
	keys := n.Keys()
	n.owner = service.Caller{Account: postern.AccountID(keys.AccountID), Role: postern.Owner, Source: service.SourceServer}
	n.token = postern.Secret(keys.Authtoken)
	return n
}

// shows waits until visitors of a name are shown a certificate of the authority's that is
// good for it, and returns that.
func (n *issuing) shows(name string) *x509.Certificate {
	n.t.Helper()
	var leaf *x509.Certificate
	awaits(n.t, name+" has a certificate", func() error {
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{ServerName: name, RootCAs: n.authority.Roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			return err
		}
		leaf = conn.ConnectionState().PeerCertificates[0]
		return conn.Close()
	})
	return leaf
}

// awaits asks until check is content; issuing takes seconds, and much longer on a machine
// that is busy.
func awaits(t *testing.T, what string, check func() error) {
	t.Helper()
	limit := time.After(90 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-limit:
			t.Fatalf("%s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reserve reserves a domain with a policy.
func (n *issuing) reserve(domain, keyType string) resource.ReservedDomain {
	n.t.Helper()
	made, err := n.Service().ReservedDomains().Create(n.t.Context(), n.owner, resource.ReservedDomainCreate{Domain: domain,
		CertificateManagementPolicy: &resource.CertificatePolicy{Authority: "letsencrypt", PrivateKeyType: keyType}})
	if err != nil {
		n.t.Fatal(err)
	}
	return made
}

// agent connects under a certificate of the authority's.
func (n *issuing) agent() *native.Client {
	n.t.Helper()
	conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{RootCAs: n.authority.Roots, ServerName: "connect." + domain, NextProtos: []string{native.ALPN}, MinVersion: tls.VersionTLS13})
	if err != nil {
		n.t.Fatal(err)
	}
	client, _, err := native.Connect(n.t.Context(), conn, native.ClientConfig{Hello: link.Hello{Token: n.token}, Logger: testkit.Logger(n.t)})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { client.Close(postern.Errorf(postern.CodeLinkLost, "the test is over")) })
	return client
}

// The server's own names, a reserved domain and a name that an agent binds get
// certificates from a real authority, over HTTP.
func TestCertificatesByHTTP(t *testing.T) {
	n := startIssuing(t, pebble.Config{})
	n.shows("connect." + domain)
	n.shows("api." + domain)
	made := n.reserve("www.customer.org", "rsa")
	if job := made.CertificateManagementStatus.ProvisioningJob; job == nil || job.Msg != "Managed certificate provisioning in progress." || job.ErrorCode != nil {
		t.Errorf("at first the work is %+v", job)
	}
	leaf := n.shows("www.customer.org")
	if leaf.PublicKeyAlgorithm != x509.RSA {
		t.Errorf("the key is %v", leaf.PublicKeyAlgorithm)
	}
	awaits(t, "the API shows the certificate", func() error {
		domain, err := n.Service().ReservedDomains().Get(t.Context(), n.owner, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		status := domain.CertificateManagementStatus
		if domain.Certificate == nil || status.ProvisioningJob != nil || status.RenewsAt == nil {
			return fmt.Errorf("certificate %v, status %+v", domain.Certificate, status)
		}
		if window := leaf.NotAfter.Sub(leaf.NotBefore); status.RenewsAt.Before(leaf.NotBefore.Add(window/2)) || status.RenewsAt.After(leaf.NotAfter) {
			t.Errorf("it is renewed at %v, and good from %v to %v", status.RenewsAt, leaf.NotBefore, leaf.NotAfter)
		}
		shown, err := n.Service().TLSCertificates().Get(t.Context(), n.owner, domain.Certificate.ID)
		if err != nil || shown.IssuedAt == nil || shown.PrivateKeyType != "rsa" {
			t.Errorf("the certificate is %+v, %v", shown, err)
		}
		return nil
	})
	client := n.agent()
	n.online(client, "https://app."+domain, "hello")
	n.shows("app." + domain)
}
