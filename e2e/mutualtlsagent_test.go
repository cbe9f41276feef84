package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/certify"
)

// revokes writes a revocation list that should have been replaced an hour ago.
func (a *clientAuthority) revokes(name string, who *big.Int) string {
	a.t.Helper()
	then := time.Now().Add(-time.Hour)
	return a.write(name, certify.Block("X509 CRL", a.root.Revoke(a.t, then, then, 0, who)))
}

// brings puts another authority's client beside ours.
func (a *clientAuthority) brings(other *clientAuthority, client string) {
	a.t.Helper()
	for _, name := range []string{client + ".pem", client + ".key"} {
		text, err := os.ReadFile(other.path(name))
		if err == nil {
			err = os.WriteFile(a.path(name), text, 0o600)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

// greeted tells whether the service behind a tls endpoint greets a client; "" shows none.
func (a *clientAuthority) greeted(s *server, host, client string) (bool, error) {
	a.t.Helper()
	config := &tls.Config{RootCAs: s.pool(), ServerName: host}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(a.path(client+".pem"), a.path(client+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", fmt.Sprintf("127.0.0.1:%d", s.https), config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	return string(got) == "hello", err
}

// atAgent is how endpoints that end at the agent are told to let in whom: in flags, files
// and bodies alike. The strict one has a stale list and says nothing about it.
type atAgent struct {
	*clientAuthority
	service, crl string
}

func (m *atAgent) flags(host string, more ...string) []string {
	return append([]string{"tls", m.service, "--terminate-at", "agent", "--url", "tls://" + host + "." + domain, "--mutual-tls-cas", m.path("ca.pem"),
		"--mutual-tls-crl", m.crl, "--mutual-tls-mode", "verify-if-given"}, more...)
}

// files are of the versions 2 and 3, with a strict and a lax endpoint each.
func (m *atAgent) files(web string) map[string]string {
	second, third := "version: 2\nweb_addr: 127.0.0.1:"+web+"\ntunnels:\n", "version: 3\nagent: {web_addr: false}\nendpoints:\n"
	for name, more := range map[string]string{"strict": "", "lax": "    mutual_tls_stale_crl: true\n"} {
		more = "    mutual_tls_crl: " + m.crl + "\n    mutual_tls_mode: verify-if-given\n" + more
		second += fmt.Sprintf("  %s:\n    proto: tls\n    addr: %s\n    domain: %s-two.%s\n    terminate_at: agent\n    mutual_tls_cas: %s\n%s", name, m.service, name, domain, m.path("ca.pem"), more)
		third += fmt.Sprintf("- name: %s\n  url: tls://%s-three.%s\n  upstream: {url: %s}\n  agent_tls_termination:\n    mutual_tls_certificate_authorities: [%s]\n%s", name, name, domain, m.service, m.path("ca.pem"), more)
	}
	return map[string]string{"two.yml": second, "three.yml": third}
}

func (m *atAgent) body(name, more string) string {
	return fmt.Sprintf(`{"name":"%s","proto":"tls","addr":"%s","domain":"%s.%s","terminate_at":"agent",%s}`, name, m.service, name, domain, more)
}

// The modes and the word about stale lists count where the agent ends TLS, however they
// are given: flags, files of both versions, the agent's API.
func TestMutualTLSModesAtTheAgent(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	m, strangers := &atAgent{clientAuthority: newClientAuthority(t)}, newClientAuthority(t)
	m.client("ann")
	m.crl = m.revokes("crl.pem", m.client("bob"))
	strangers.client("mallory")
	m.brings(strangers, "mallory")
	m.service = tcpService(t, func(conn net.Conn) { io.WriteString(conn, "hello"); conn.Close() })
	s.agentProcess(m.flags("strict-flags")...).onlineURL()
	s.agentProcess(m.flags("lax-flags", "--mutual-tls-stale-crl")...).onlineURL()
	p, web := s.person().loggedIn(s), freePorts(t, 1)[0]
	var second typed
	for name, text := range m.files(fmt.Sprint(web)) {
		p.write(name, text)
		agent := p.types("postern start --all --log stdout --config " + filepath.Join(p.home, name))
		if _, err := agent.Online(2); err != nil {
			t.Fatal(err)
		}
		if name == "two.yml" {
			second = agent
		}
	}
	tunnels, visitor := fmt.Sprintf("http://127.0.0.1:%d/api/tunnels", web), s.visitor()
	files := fmt.Sprintf(`"mutual_tls_cas":"%s","mutual_tls_crl":"%s",`, m.path("ca.pem"), m.crl)
	for name, more := range map[string]string{
		"strict-api": `"mutual_tls_mode":"verify-if-given"`, "lax-api": `"mutual_tls_mode":"verify-if-given","mutual_tls_stale_crl":true`, "any-api": `"mutual_tls_mode":"require"`,
	} {
		if status := api(t, visitor, "POST", tunnels, m.body(name, files+more), nil, nil); status != 201 {
			t.Fatalf("POST %s: %d", name, status)
		}
	}
	var failure apiFailure
	if status := api(t, visitor, "POST", tunnels, m.body("x", `"mutual_tls_mode":"require-and-verify"`), nil, &failure); status != 400 || !strings.Contains(failure.Details.Err, "mutual_tls_cas is missing") {
		t.Errorf("a mode that verifies, and no authorities: %d %+v", status, failure)
	}

	visits := func(host string, want map[string]bool) {
		t.Helper()
		for client, in := range want {
			if got, err := m.greeted(s, host+"."+domain, client); got != in {
				t.Errorf("%s with the certificate %q: greeted %v, %v", host, client, got, err)
			}
		}
	}
	for _, way := range []string{"flags", "two", "three", "api"} {
		visits("strict-"+way, map[string]bool{"": true, "ann": false, "bob": false, "mallory": false})
		visits("lax-"+way, map[string]bool{"": true, "ann": true, "bob": false, "mallory": false})
	}
	visits("any-api", map[string]bool{"": false, "ann": true, "mallory": true})
	second.waitFor(`client="CN=mallory" client_serial=0B client_verified=false`, 10*time.Second)
	second.waitFor(`client="CN=ann" client_serial=0B client_verified=true`, 10*time.Second)
	if log := s.process.output(); strings.Contains(log, "mallory") || strings.Contains(log, "CN=ann") {
		t.Error("the server is told who shows certificates to the agent")
	}
}
