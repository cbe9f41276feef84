package server_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// IP restrictions hold for visitors, agents and the API soon after they are made, and
// from a server's first moment after it was restarted.
func TestIPRestrictions(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	keys := n.Keys()
	token := postern.Secret(keys.Authtoken)
	client, _ := n.agent(link.Hello{Token: token})
	n.online(client, "https://app."+domain, "hello")
	owner := service.Caller{Account: postern.AccountID(keys.AccountID), Role: postern.Owner, Source: service.SourceServer}
	policy, err := n.Service().IPPolicies().Create(t.Context(), owner, resource.IPPolicyCreate{})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"agent", "endpoints"} {
		if _, err := n.Service().IPRestrictions().Create(t.Context(), owner,
			resource.IPRestrictionCreate{Type: part, Enforced: true, IPPolicyIDs: []string{policy.ID}}); err != nil {
			t.Fatal(err)
		}
	}
	outside := func(n *node, client bool) error {
		if status, body := n.get(n.Visitor(), "https://app."+domain+"/"); client && (status != http.StatusForbidden || !strings.Contains(body, string(postern.CodeVisitorAddressRefused))) {
			return fmt.Errorf("the visitor gets %d %s", status, body)
		}
		if _, _, err := n.tryAgent(link.Hello{Token: token}); !postern.HasCode(err, postern.CodeAgentAddressRefused) {
			return fmt.Errorf("an agent: %w", err)
		}
		return nil
	}
	n.eventually("nobody is let in", func() error { return outside(n, true) })
	rule, err := n.Service().IPPolicyRules().Create(t.Context(), owner, resource.IPPolicyRuleCreate{CIDR: "127.0.0.0/8", IPPolicyID: policy.ID, Action: "allow"})
	if err != nil {
		t.Fatal(err)
	}
	n.eventually("this address is let in", func() error {
		if status, body := n.get(n.Visitor(), "https://app."+domain+"/"); status != http.StatusOK || body != "hello" {
			return fmt.Errorf("the visitor gets %d %s", status, body)
		}
		_, _, err := n.tryAgent(link.Hello{Token: token})
		return err
	})
	if err := n.Service().IPPolicyRules().Delete(t.Context(), owner, rule.ID); err != nil {
		t.Fatal(err)
	}
	n.eventually("nobody is let in any more", func() error { return outside(n, true) })
	n.Shutdown()
	if err := outside(start(t, c, server.Options{}), false); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// An agent comes by its account's ingress, under a certificate for that name.
func TestAgentIngress(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	keys := n.Keys()
	owner := service.Caller{Account: postern.AccountID(keys.AccountID), Role: postern.Owner, Source: service.SourceServer}
	ingress, err := n.Service().AgentIngresses().Create(t.Context(), owner, resource.AgentIngressCreate{Domain: "connect.acme-bank.com"})
	if err != nil {
		t.Fatal(err)
	}
	n.eventually("the ingress is open", func() error {
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{ //nolint:gosec // the name is checked below
			InsecureSkipVerify: true, ServerName: ingress.RegionDomains[0], NextProtos: []string{native.ALPN}, MinVersion: tls.VersionTLS13})
		if err != nil {
			return err
		}
		if err := conn.ConnectionState().PeerCertificates[0].VerifyHostname(ingress.RegionDomains[0]); err != nil {
			return err
		}
		client, _, err := native.Connect(t.Context(), conn, native.ClientConfig{Hello: link.Hello{Token: postern.Secret(keys.Authtoken)}, Logger: testkit.Logger(t)})
		if err == nil {
			client.Close(postern.Errorf(postern.CodeLinkLost, "the test is over"))
		}
		return err
	})
}

// Visitors of a reserved domain are shown the certificate that its account uploaded, also
// below a wildcard where it is good for the name, and no longer once it is taken away.
func TestUploadedCertificates(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	owner := service.Caller{Account: postern.AccountID(n.Keys().AccountID), Role: postern.Owner, Source: service.SourceServer}
	chain, key := certify.New(t, "*.customer1.acme-bank.com", nil).PEM(t)
	certificate, err := n.Service().TLSCertificates().Create(t.Context(), owner, resource.TLSCertificateCreate{CertificatePEM: chain, PrivateKeyPEM: key})
	if err != nil {
		t.Fatal(err)
	}
	domain, err := n.Service().ReservedDomains().Create(t.Context(), owner, resource.ReservedDomainCreate{Domain: "*.customer1.acme-bank.com", CertificateID: certificate.ID})
	if err != nil {
		t.Fatal(err)
	}
	shown := func(name string) string {
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{"http/1.1"}}) //nolint:gosec // looked at by the test
		if err != nil {
			return ""
		}
		defer conn.Close()
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw}))
	}
	n.eventually("the certificate is shown", func() error {
		if shown("api.customer1.acme-bank.com") != chain {
			return errors.New("another one is shown")
		}
		return nil
	})
	if shown("a.b.customer1.acme-bank.com") == chain || shown("customer1.acme-bank.com") == chain || shown("x.acme-bank.com") == chain {
		t.Error("it is shown for names that it is not good for")
	}
	if err := n.Service().ReservedDomains().DetachCertificate(t.Context(), owner, domain.ID); err != nil {
		t.Fatal(err)
	}
	n.eventually("it is gone", func() error {
		if shown("api.customer1.acme-bank.com") == chain {
			return errors.New("it is still shown")
		}
		return nil
	})
}
