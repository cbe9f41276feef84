package dns_test

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/dns"
)

// challenges are those that a test sets.
type challenges struct {
	mu    sync.Mutex
	texts map[postern.Hostname][]string
}

func (c *challenges) TXT(name postern.Hostname) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.texts[name]
}

func (c *challenges) set(name postern.Hostname, texts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts == nil {
		c.texts = make(map[postern.Hostname][]string)
	}
	c.texts[name] = texts
}

func addresses(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// content is a server with two regions, two ingresses, one of them below the other by two
// labels, and targets.
func content() dns.Content {
	return dns.Content{
		Domain:      "example.com",
		NameServers: []postern.Hostname{"ns1.example.com", "ns2.example.com", "ns3.example.com", "ns4.example.com"},
		Regions: []dns.Region{
			{Name: "eu", Addresses: addresses("192.0.2.1", "2001:db8::1")},
			{Name: "us", Addresses: addresses("198.51.100.1")},
		},
		Issuers:   []string{"letsencrypt.org"},
		Ingresses: []postern.Hostname{"connect.acme.org", "far.below.connect.acme.org"},
		Targets: []dns.Target{
			{Name: "t1.acct.dns.example.com"},
			{Name: "t2.acct.dns.example.com", Regions: []string{"us"}},
			{Name: "t3.acct.dns.example.com", Regions: []string{"global"}},
			{Name: "t4.acct.dns.example.com", Regions: []string{"gone"}},
			{Name: "elsewhere.example.net"},
		},
		Challenges: []postern.Hostname{"tok.acme.dns.example.com"},
		Serial:     7,
	}
}

// serving makes a server with content's zones.
func serving(t testing.TB, c dns.Config) *dns.Server {
	t.Helper()
	s := dns.New(c)
	s.SetZones(dns.NewZones(content()))
	return s
}

// writer takes the answer to one question.
type writer struct {
	miekg.ResponseWriter
	from net.Addr
	got  *miekg.Msg
}

func (w *writer) RemoteAddr() net.Addr { return w.from }

func (w *writer) WriteMsg(m *miekg.Msg) error { w.got = m; return nil }

func fromUDP(addr string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 4711))
}

// ask answers a question as if it had come over UDP; nil for no answer.
func ask(s *dns.Server, name string, kind uint16) *miekg.Msg {
	query := new(miekg.Msg).SetQuestion(name, kind)
	w := &writer{from: fromUDP("203.0.113.9")}
	s.ServeDNS(w, query)
	return w.got
}

// said gives the data of records, in their text forms, sorted as they are.
func said(records []miekg.RR) string {
	var all []string
	for _, record := range records {
		text := strings.TrimPrefix(record.String(), record.Header().String())
		all = append(all, miekg.TypeToString[record.Header().Rrtype]+" "+text)
	}
	return strings.Join(all, ", ")
}

// broken are challenges that cannot be asked.
type broken struct{}

func (broken) TXT(postern.Hostname) []string { panic("broken") }
