package server_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

var errNotYet = errors.New("not yet")

// With the mode local_ca a directory is for what accounts reserve: the server's own names
// stay with its CA, a domain and an agent ingress get certificates from the authority.
func TestCertificatesBesideTheLocalCA(t *testing.T) {
	n := startIssuing(t, pebble.Config{}, func(c *server.Config) { c.TLS.Mode = server.ModeLocalCA })
	n.reserve("www.customer.org", "")
	made, err := n.Service().AgentIngresses().Create(t.Context(), n.owner, resource.AgentIngressCreate{Domain: "connect.customer.org",
		CertificateManagementPolicy: &resource.CertificatePolicy{Authority: "letsencrypt"}})
	if err != nil {
		t.Fatal(err)
	}
	n.shows("www.customer.org")
	n.shows("connect.customer.org")
	n.shows("tunnel.local.connect.customer.org")
	awaits(t, "the API shows when it is renewed", func() error {
		ingress, err := n.Service().AgentIngresses().Get(t.Context(), n.owner, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		if status := ingress.CertificateManagementStatus; status.RenewsAt == nil || status.ProvisioningJob != nil {
			return errNotYet
		}
		return nil
	})
	if _, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{ServerName: "connect." + domain, RootCAs: n.Roots(), MinVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("the server's own names: %v", err)
	}
	if err := n.Service().ReservedDomains().Delete(t.Context(), n.owner, n.only(t)); err != nil {
		t.Fatal(err)
	}
	awaits(t, "what was reserved and is no more has no certificate", func() error {
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{ServerName: "www.customer.org", RootCAs: n.authority.Roots, MinVersion: tls.VersionTLS12})
		if err == nil {
			_ = conn.Close()
			return errNotYet
		}
		return nil
	})
}

// only is the id of the account's only reserved domain.
func (n *issuing) only(t *testing.T) string {
	t.Helper()
	list, err := n.Service().ReservedDomains().List(t.Context(), n.owner, service.Page{Limit: 2})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%d domains, %v", len(list.Items), err)
	}
	return list.Items[0].ID
}

// Strangers who look for proofs that there are none of get what everybody gets, and a name
// that nobody has reserved gets no certificate, whoever asks for it.
func TestStrangersAskForProofs(t *testing.T) {
	n := startIssuing(t, pebble.Config{})
	n.shows("connect." + domain)
	for _, path := range []string{"/.well-known/acme-challenge/", "/.well-known/acme-challenge/nothing", "/.well-known/acme-challenge/" + strings.Repeat("x", 4000), "/.well-known/acme-challenge/../x"} {
		conn, err := net.Dial("tcp", n.HTTPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: stranger.org\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(conn)
		_ = conn.Close()
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") || !strings.Contains(string(answer), "ERR_NGROK_3200") {
			t.Errorf("%.60s: %.200s, %v", path, answer, err)
		}
	}
	for _, name := range []string{"stranger.org", "connect." + domain} {
		if conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}}); err == nil { //nolint:gosec // nothing may be shown
			_ = conn.Close()
			t.Errorf("%s: a proof is shown that nobody has prepared: %v", name, conn.ConnectionState().PeerCertificates[0].DNSNames)
		}
	}
	if conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{ServerName: "stranger.org", InsecureSkipVerify: true}); err == nil { //nolint:gosec // nothing may be shown
		_ = conn.Close()
		t.Errorf("a stranger's name is shown %v", conn.ConnectionState().PeerCertificates[0].DNSNames)
	}
}

// An endpoint's own answers at the path of proofs are its own.
func TestEndpointsProveThemselves(t *testing.T) {
	n := startIssuing(t, pebble.Config{})
	n.shows("connect." + domain)
	n.online(n.agent(), "http://plain."+domain, "the agent's own proof")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.HTTPAddr().String()+"/.well-known/acme-challenge/theirs", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "plain." + domain
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "the agent's own proof" {
		t.Errorf("%s, %v", body, err)
	}
}
