package dnscheck_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/server/pki/dns"
	"github.com/postern-dev/postern/server/pki/dnscheck"
)

// The operator's zone, and those that every test's customer zone stands beside.
const operator = `
example.com. SOA ns.example.com. x.example.com. 1 2 3 4 5
example.com. A 192.0.2.1
*.example.com. A 192.0.2.1
ns1.example.com. A 192.0.2.53
ns2.example.com. A 192.0.2.53
dns.example.com. NS ns1.example.com.
dns.example.com. NS ns2.example.com.
example.com. NS ns.provider.net.
_acme-challenge.example.com. CNAME own.acme.dns.example.com.
provider.net. SOA ns.provider.net. x.provider.net. 1 2 3 4 5
provider.net. NS ns.provider.net.
ns.provider.net. A 198.51.100.53
`

func servers() []postern.Hostname { return []postern.Hostname{"ns1.example.com", "ns2.example.com"} }

func serverAddresses() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.1")} }

// postern is the product's own name server, for one reserved wildcard and one ingress.
func ours() nameserver.Handler {
	s := dns.New(dns.Config{})
	s.SetZones(dns.NewZones(dns.Content{
		Domain: "example.com", NameServers: servers(), Regions: []dns.Region{{Name: "eu", Addresses: serverAddresses()}},
		Ingresses: []postern.Hostname{"connect.acme.org"},
		Targets:   []dns.Target{{Name: "rand.acct.dns.example.com"}}, Challenges: []postern.Hostname{"tok.acme.dns.example.com"},
	}))
	return func(query *miekg.Msg) *miekg.Msg {
		w := &writer{}
		s.ServeDNS(w, query)
		return w.got
	}
}

type writer struct {
	miekg.ResponseWriter
	got *miekg.Msg
}

func (w *writer) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9)} }

func (w *writer) WriteMsg(m *miekg.Msg) error { w.got = m; return nil }

// world is an internet with the operator's zones, the product's name server, a customer's
// zone acme.org with the given records, and a resolver at 9.9.9.9.
func world(t *testing.T, customer string) *nameserver.Internet {
	t.Helper()
	i := nameserver.NewInternet()
	i.Host("198.51.100.53", nameserver.Parse(t, operator).Answer, "example.com.", "provider.net.")
	i.Host("198.51.100.54", nameserver.Parse(t, "acme.org. SOA ns.acme.org. x.acme.org. 1 2 3 4 5\nacme.org. NS ns.acme.org.\nns.acme.org. A 198.51.100.54\n"+customer).Answer, "acme.org.")
	i.Host("192.0.2.53", ours())
	i.Host("9.9.9.9", i.Resolve)
	return i
}

func walk(t *testing.T, i *nameserver.Internet) (dnscheck.Lookup, context.Context) {
	t.Helper()
	w, ctx, done := dnscheck.Resolver{Recursive: []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:53")}, Exchange: i.Exchange}.Walk(t.Context())
	t.Cleanup(done)
	return w, ctx
}

// summary is what tests compare: the status, type and name of each finding, and its code.
func summary(report dnscheck.Report) string {
	var all []string
	for _, f := range report {
		text := string(f.Status) + " " + f.Type + " " + f.Name
		if f.Code != "" {
			text += " " + string(f.Code)
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}
