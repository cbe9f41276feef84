package agent_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/termination"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	node "github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/servertest"
)

// shown is the certificate that visitors of a name see.
func shown(addr, name string) (*x509.Certificate, []*x509.Certificate, error) {
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	all := conn.ConnectionState().PeerCertificates
	return all[0], all[1:], nil
}

// An agent obtains certificates from an ACME server itself, which looks for its proof on
// the endpoint, through the tunnel. At the next start it has them still; while the ACME
// server gives none, the CA of the Postern server stands in.
func TestCertificateThroughTheTunnel(t *testing.T) {
	c := servertest.Development(t)
	c.Domain = "postern.test"
	n := servertest.Start(t, c, node.Options{})
	names := nameserver.NewLocal(t, nil)
	// The names that it blocks it refuses with words of its own.
	authority := pebble.Start(t, pebble.Config{DNS: names.Address, TLSPort: int(n.HTTPSAddr().Port()), Blocked: []string{"blocked.postern.test"}})
	ends := func(name string) agent.Endpoint {
		return agent.Endpoint{Endpoint: config.Endpoint{Name: name, Upstream: "127.0.0.1:9", // nobody gets further than the handshake
			Termination: config.AtAgent,
			URL:         postern.URLRequest{Scheme: postern.TLS, Host: postern.Hostname(name + ".postern.test")}}}
	}
	settings := agent.Config{
		Server: n.HTTPSAddr().String(), Roots: n.Roots(), Authtoken: postern.Secret(n.Keys().Authtoken),
		DrainTimeout: time.Second, Logger: testkit.Logger(t),
		ACME: termination.ACME{Directory: authority.Directory, RootsFile: authority.CAFile, Email: "site@customer.test", Keep: t.TempDir()},
	}
	settings.Endpoints = []agent.Endpoint{ends("private"), ends("blocked")}
	first := &started{done: make(chan error, 1)}
	first.run(t, settings)
	addr := n.HTTPSAddr().String()
	var leaf *x509.Certificate
	awaitCertificate(t, func() error {
		var between []*x509.Certificate
		var err error
		if leaf, between, err = shown(addr, "private.postern.test"); err != nil {
			return err
		}
		chain := x509.NewCertPool()
		for _, one := range between {
			chain.AddCert(one)
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: authority.Roots, Intermediates: chain, DNSName: "private.postern.test"})
		return err
	})
	awaitCertificate(t, func() error {
		stand, _, err := shown(addr, "blocked.postern.test")
		if err == nil && !strings.Contains(stand.Issuer.CommonName, "Postern local CA") {
			err = fmt.Errorf("by %s", stand.Issuer)
		}
		return err
	})
	first.stop(t)
	authority.Stop()
	again := &started{done: make(chan error, 1)}
	again.run(t, settings)
	awaitCertificate(t, func() error {
		kept, _, err := shown(addr, "private.postern.test")
		if err == nil && !kept.Equal(leaf) {
			err = fmt.Errorf("at the next start it is %s by %s", kept.SerialNumber, kept.Issuer)
		}
		return err
	})
	again.stop(t)
}

// awaitCertificate asks until check is content: to issue takes seconds, and much longer on
// a machine that is busy.
func awaitCertificate(t *testing.T, check func() error) {
	t.Helper()
	limit := time.After(90 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-limit:
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
