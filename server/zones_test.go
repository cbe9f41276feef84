package server_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// lookUp asks a node's own name server; what it says is in the text forms of records'
// data, or a response code.
func (n *node) lookUp(network, name string, kind uint16) (string, error) {
	query := new(miekg.Msg)
	query.SetQuestion(name, kind)
	client := miekg.Client{Net: network, Timeout: 10 * time.Second}
	got, _, err := client.Exchange(query, n.DNSAddr().String())
	if err != nil {
		return "", err
	}
	if got.Rcode != miekg.RcodeSuccess {
		return miekg.RcodeToString[got.Rcode], nil
	}
	var all []string
	for _, record := range got.Answer {
		all = append(all, strings.TrimPrefix(record.String(), record.Header().String()))
	}
	return strings.Join(all, " "), nil
}

// answers waits until a look-up says what is wanted.
func (n *node) answers(name string, kind uint16, want string) {
	n.t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		n.eventually(name+" over "+network, func() error {
			got, err := n.lookUp(network, name, kind)
			if err == nil && got != want {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		})
	}
}

func withDNS(t *testing.T) server.Config {
	t.Helper()
	c := testConfig(t)
	c.Listen.DNS = "127.0.0.1:0"
	c.Regions = []server.Region{
		{Name: "local", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}},
		{Name: "us", Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.7")}},
	}
	return c
}

// What the API shows of domains and ingresses is what resolvers are told, from the moment
// that it is there until it is deleted, also while the database is gone.
func TestZonesFollowTheStore(t *testing.T) {
	n := start(t, withDNS(t), server.Options{})
	owner := service.Caller{Account: postern.AccountID(n.Keys().AccountID), Role: postern.Owner, Source: service.SourceServer}
	n.answers("dns."+domain+".", miekg.TypeNS, "ns1.postern.test. ns2.postern.test. ns3.postern.test. ns4.postern.test.")
	n.answers("connect.acme-bank.com.", miekg.TypeA, "REFUSED")
	ingress, err := n.Service().AgentIngresses().Create(t.Context(), owner, resource.AgentIngressCreate{Domain: "connect.acme-bank.com"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"tunnel.local.connect.acme-bank.com", "tunnel.us.connect.acme-bank.com"}; fmt.Sprint(ingress.RegionDomains) != fmt.Sprint(want) {
		t.Errorf("the ingress's regions are at %v", ingress.RegionDomains)
	}
	reserved, err := n.Service().ReservedDomains().Create(t.Context(), owner,
		resource.ReservedDomainCreate{Domain: "*.customer1.acme-bank.com", ResolvesTo: []resource.ResolvesTo{{Value: "us"}}})
	if err != nil {
		t.Fatal(err)
	}
	n.answers("connect.acme-bank.com.", miekg.TypeA, "203.0.113.7 198.51.100.7")
	n.answers("tunnel.local.connect.acme-bank.com.", miekg.TypeAAAA, "2001:db8::7")
	n.answers(ingress.RegionDomains[1]+".", miekg.TypeA, "198.51.100.7")
	n.answers(*reserved.CNAMETarget+".", miekg.TypeA, "198.51.100.7")
	n.answers(*reserved.ACMEChallengeCNAMETarget+".", miekg.TypeTXT, "")
	n.answers(string(n.Service().ChallengeTarget())+".", miekg.TypeTXT, "")
	n.answers("x"+*reserved.CNAMETarget+".", miekg.TypeA, "NXDOMAIN")
	everywhere := []resource.ResolvesTo{}
	if _, err := n.Service().ReservedDomains().Update(t.Context(), owner, reserved.ID, resource.ReservedDomainUpdate{ResolvesTo: &everywhere}); err != nil {
		t.Fatal(err)
	}
	n.answers(*reserved.CNAMETarget+".", miekg.TypeA, "203.0.113.7 198.51.100.7")
	if err := n.Service().ReservedDomains().Delete(t.Context(), owner, reserved.ID); err != nil {
		t.Fatal(err)
	}
	if err := n.Service().AgentIngresses().Delete(t.Context(), owner, ingress.ID); err != nil {
		t.Fatal(err)
	}
	n.answers(*reserved.CNAMETarget+".", miekg.TypeA, "NXDOMAIN")
	n.answers("connect.acme-bank.com.", miekg.TypeA, "REFUSED")
	if _, metrics := n.admin("/metrics"); !strings.Contains(metrics, `postern_dns_answers_total{code="NXDOMAIN",transport="udp"}`) {
		t.Error("no metrics of DNS")
	}
}

func TestDNSReloads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.yml")
	c := withDNS(t)
	write := func(rest string) {
		t.Helper()
		text := fmt.Sprintf("domain: %s\ndata_dir: %s\nlisten: {https: '127.0.0.1:0', http: '', admin: '', dns: '127.0.0.1:0'}\nregions: [{name: local, addresses: [203.0.113.7]}]\n%s", domain, c.DataDir, rest)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (server.Config, error) { return server.Load(path, func(string) string { return "" }, nil) }
	write("")
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, c, server.Options{Load: load})
	n.answers("dns."+domain+".", miekg.TypeCAA, "")
	write("dns: {caa: [letsencrypt.org]}\n")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.answers("dns."+domain+".", miekg.TypeCAA, `0 issue "letsencrypt.org"`)
}

// Without listen.dns there is no name server, and nothing else changes.
func TestWithoutDNS(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	if at := n.DNSAddr(); at.IsValid() {
		t.Errorf("listens on %v", at)
	}
}
