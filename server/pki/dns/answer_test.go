package dns_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern/server/pki/dns"
)

const (
	ok      = miekg.RcodeSuccess
	nothing = miekg.RcodeNameError
	refused = miekg.RcodeRefused
)

func TestAnswers(t *testing.T) {
	pending := &challenges{}
	pending.set("tok.acme.dns.example.com", "value1", "value2")
	pending.set("_acme-challenge.connect.acme.org", "value3")
	pending.set("_acme-challenge.example.com", "not ours to say")
	s := serving(t, dns.Config{Challenges: pending})
	everywhere := "A 192.0.2.1, A 198.51.100.1"
	for _, one := range []struct {
		name string
		kind uint16
		code int
		want string // the answer; "" for none with the zone's SOA record
	}{
		// The zone of targets.
		{"dns.example.com.", miekg.TypeSOA, ok, "SOA ns1.example.com. hostmaster.example.com. 7 3600 600 1209600 30"},
		{"dns.example.com.", miekg.TypeNS, ok, "NS ns1.example.com., NS ns2.example.com., NS ns3.example.com., NS ns4.example.com."},
		{"dns.example.com.", miekg.TypeCAA, ok, `CAA 0 issue "letsencrypt.org"`},
		{"dns.example.com.", miekg.TypeA, ok, ""},
		{"dns.example.com.", miekg.TypeANY, ok, `HINFO "RFC8482" ""`},
		{"dns.example.com.", miekg.TypeMX, ok, ""},
		{"dns.example.com.", miekg.TypeDS, ok, ""},
		{"acct.dns.example.com.", miekg.TypeA, ok, ""}, // there are names below it
		{"acct.dns.example.com.", miekg.TypeNS, ok, ""},
		{"other.dns.example.com.", miekg.TypeA, nothing, ""},
		{"t1.acct.dns.example.com.", miekg.TypeA, ok, everywhere},
		{"t1.acct.dns.example.com.", miekg.TypeAAAA, ok, "AAAA 2001:db8::1"},
		{"t1.acct.dns.example.com.", miekg.TypeTXT, ok, ""},
		{"t1.acct.dns.example.com.", miekg.TypeCAA, ok, ""}, // those of the domain itself count
		{"t1.acct.dns.example.com.", miekg.TypeSOA, ok, ""},
		{"t1.acct.dns.example.com.", miekg.TypeANY, ok, `HINFO "RFC8482" ""`},
		{"a.b.t1.acct.dns.example.com.", miekg.TypeA, ok, everywhere},
		{"a.b.t1.acct.dns.example.com.", miekg.TypeMX, ok, ""},
		{"t2.acct.dns.example.com.", miekg.TypeA, ok, "A 198.51.100.1"},
		{"t2.acct.dns.example.com.", miekg.TypeAAAA, ok, ""},
		{"x.t2.acct.dns.example.com.", miekg.TypeA, ok, "A 198.51.100.1"},
		{"t3.acct.dns.example.com.", miekg.TypeA, ok, everywhere},
		{"t4.acct.dns.example.com.", miekg.TypeA, ok, everywhere}, // its region is gone
		{"t5.acct.dns.example.com.", miekg.TypeA, nothing, ""},
		{"t5.acct.dns.example.com.", miekg.TypeANY, nothing, ""},
		// Challenges.
		{"acme.dns.example.com.", miekg.TypeTXT, ok, ""},
		{"tok.acme.dns.example.com.", miekg.TypeTXT, ok, `TXT "value1", TXT "value2"`},
		{"tok.acme.dns.example.com.", miekg.TypeA, ok, ""},
		{"no.acme.dns.example.com.", miekg.TypeTXT, nothing, ""},
		{"_acme-challenge.connect.acme.org.", miekg.TypeTXT, ok, `TXT "value3"`},
		{"_acme-challenge.connect.acme.org.", miekg.TypeA, ok, ""},
		{"_acme-challenge.tunnel.eu.connect.acme.org.", miekg.TypeTXT, nothing, ""},
		{"_acme-challenge.example.com.", miekg.TypeTXT, refused, ""},
		// An ingress.
		{"connect.acme.org.", miekg.TypeSOA, ok, "SOA ns1.example.com. hostmaster.example.com. 7 3600 600 1209600 30"},
		{"connect.acme.org.", miekg.TypeNS, ok, "NS ns1.example.com., NS ns2.example.com., NS ns3.example.com., NS ns4.example.com."},
		{"connect.acme.org.", miekg.TypeA, ok, everywhere},
		{"connect.acme.org.", miekg.TypeAAAA, ok, "AAAA 2001:db8::1"},
		{"connect.acme.org.", miekg.TypeCAA, ok, `CAA 0 issue "letsencrypt.org"`},
		{"connect.acme.org.", miekg.TypeTXT, ok, ""},
		{"tunnel.connect.acme.org.", miekg.TypeA, nothing, ""},
		{"eu.connect.acme.org.", miekg.TypeA, ok, ""},
		{"tunnel.eu.connect.acme.org.", miekg.TypeA, ok, "A 192.0.2.1"},
		{"tunnel.us.connect.acme.org.", miekg.TypeA, ok, "A 198.51.100.1"},
		{"tunnel.us.connect.acme.org.", miekg.TypeAAAA, ok, ""},
		{"tunnel.us.connect.acme.org.", miekg.TypeCAA, ok, ""},
		{"tunnel.us.connect.acme.org.", miekg.TypeNS, ok, ""},
		{"x.tunnel.us.connect.acme.org.", miekg.TypeA, nothing, ""},
		{"tunnel.ap.connect.acme.org.", miekg.TypeA, nothing, ""},
		{"www.connect.acme.org.", miekg.TypeA, nothing, ""},
		// One that lies within another's zone.
		{"below.connect.acme.org.", miekg.TypeA, ok, ""},
		{"far.below.connect.acme.org.", miekg.TypeA, ok, everywhere},
		{"tunnel.us.far.below.connect.acme.org.", miekg.TypeA, ok, "A 198.51.100.1"},
		// What is not ours.
		{"example.com.", miekg.TypeA, refused, ""},
		{"ns1.example.com.", miekg.TypeA, refused, ""},
		{"acme.org.", miekg.TypeNS, refused, ""},
		{"xdns.example.com.", miekg.TypeA, refused, ""},
		{"elsewhere.example.net.", miekg.TypeA, refused, ""},
		{".", miekg.TypeNS, refused, ""},
		{"org.", miekg.TypeNS, refused, ""},
		{`x\.dns.example.com.`, miekg.TypeA, refused, ""}, // one label, with a dot in it
		{`t1\.acct.dns.example.com.`, miekg.TypeA, nothing, ""},
		{`tok\.acme.dns.example.com.`, miekg.TypeTXT, nothing, ""},
		{`\000.dns.example.com.`, miekg.TypeTXT, nothing, ""},
		{"dns.example.com.", miekg.TypeAXFR, refused, ""},
		{"connect.acme.org.", miekg.TypeIXFR, refused, ""},
	} {
		t.Run(one.name+" "+miekg.TypeToString[one.kind], func(t *testing.T) {
			got := ask(s, one.name, one.kind)
			if got.Rcode != one.code || said(got.Answer) != one.want || !got.Response || got.RecursionAvailable || got.Truncated {
				t.Fatalf("answered %v", got)
			}
			if got.Authoritative != (one.code != refused) {
				t.Errorf("authoritative: %v", got.Authoritative)
			}
			for _, record := range got.Answer {
				if record.Header().Name != one.name || record.Header().Class != miekg.ClassINET {
					t.Errorf("a record of another name: %v", record)
				}
			}
			switch negative := one.want == "" && one.code != refused; {
			case negative && (len(got.Ns) != 1 || got.Ns[0].Header().Rrtype != miekg.TypeSOA || !strings.HasSuffix(one.name, got.Ns[0].Header().Name)):
				t.Errorf("no SOA record tells for how long: %v", got.Ns)
			case !negative && len(got.Ns) > 0:
				t.Errorf("with %v", got.Ns)
			}
		})
	}
}

// Answers that change by the minute are kept for no longer.
func TestTimesToLive(t *testing.T) {
	pending := &challenges{}
	pending.set("tok.acme.dns.example.com", "value")
	s := serving(t, dns.Config{Challenges: pending})
	for _, one := range []struct {
		name string
		kind uint16
		most uint32
	}{
		{"t1.acct.dns.example.com.", miekg.TypeA, 60},
		{"t5.acct.dns.example.com.", miekg.TypeA, 30},
		{"tok.acme.dns.example.com.", miekg.TypeTXT, 1},
		{"tok.acme.dns.example.com.", miekg.TypeA, 1},
		{"late.acme.dns.example.com.", miekg.TypeTXT, 1},
		{"_acme-challenge.connect.acme.org.", miekg.TypeTXT, 1},
		{"_acme-challenge.tunnel.us.connect.acme.org.", miekg.TypeTXT, 1},
	} {
		got := ask(s, one.name, one.kind)
		for _, record := range append(got.Answer, got.Ns...) {
			if record.Header().Ttl > one.most {
				t.Errorf("%s: %v, more than %d s", one.name, record, one.most)
			}
			if soa, is := record.(*miekg.SOA); is && soa.Minttl > one.most {
				t.Errorf("%s: %v, more than %d s", one.name, record, one.most)
			}
		}
	}
}

// Who writes a name in letters of both kinds finds them again, in every record.
func TestLettersStayAsTheyWereAsked(t *testing.T) {
	s := serving(t, dns.Config{})
	got := ask(s, "T1.aCCt.dNs.EXAMPLE.com.", miekg.TypeA)
	if len(got.Answer) != 2 || got.Question[0].Name != "T1.aCCt.dNs.EXAMPLE.com." || got.Answer[0].Header().Name != got.Question[0].Name {
		t.Errorf("answered %v", got)
	}
	got = ask(s, "nO.dNs.EXAMPLE.com.", miekg.TypeA)
	if len(got.Ns) != 1 || got.Ns[0].Header().Name != "dNs.EXAMPLE.com." {
		t.Errorf("answered %v", got)
	}
}

func TestOtherClassesAreRefused(t *testing.T) {
	s := serving(t, dns.Config{})
	for _, class := range []uint16{miekg.ClassCHAOS, miekg.ClassHESIOD, miekg.ClassANY} {
		query := new(miekg.Msg).SetQuestion("t1.acct.dns.example.com.", miekg.TypeA)
		query.Question[0].Qclass = class
		w := &writer{from: fromUDP("203.0.113.9")}
		s.ServeDNS(w, query)
		if w.got.Rcode != refused || len(w.got.Answer) > 0 {
			t.Errorf("class %d: %v", class, w.got)
		}
	}
}

func TestEDNS(t *testing.T) {
	c := content()
	for n := range 120 { // more than fit
		c.Regions[1].Addresses = append(c.Regions[1].Addresses, netip.AddrFrom4([4]byte{198, 51, 100, byte(n + 2)}))
	}
	s := dns.New(dns.Config{})
	s.SetZones(dns.NewZones(c))
	for _, one := range []struct {
		what    string
		size    uint16 // 0: no EDNS
		version uint8
		tcp     bool
		code    int
		most    int
		cut     bool
	}{
		{"without", 0, 0, false, ok, 512, true},
		{"too small to be one", 100, 0, false, ok, 512, true},
		{"ours", 1232, 0, false, ok, 1232, true},
		{"larger than ours", 4096, 0, false, ok, 1232, true},
		{"between", 600, 0, false, ok, 600, true},
		{"TCP", 1232, 0, true, ok, 65535, false},
		{"TCP without", 0, 0, true, ok, 65535, false},
		{"a version to come", 1232, 1, false, miekg.RcodeBadVers, 1232, false},
	} {
		t.Run(one.what, func(t *testing.T) {
			query := new(miekg.Msg).SetQuestion("t2.acct.dns.example.com.", miekg.TypeA)
			if one.size > 0 {
				query.SetEdns0(one.size, true)
				query.IsEdns0().SetVersion(one.version)
			}
			w := &writer{from: fromUDP("203.0.113.9")}
			if one.tcp {
				w.from = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("203.0.113.9:4711"))
			}
			s.ServeDNS(w, query)
			packed, err := w.got.Pack()
			if err != nil || len(packed) > one.most || w.got.Truncated != one.cut || w.got.Rcode != one.code {
				t.Errorf("%d bytes, truncated %v, code %d, %v", len(packed), w.got.Truncated, w.got.Rcode, err)
			}
			opt := w.got.IsEdns0()
			if (opt != nil) != (one.size > 0) || opt != nil && (opt.UDPSize() != 1232 || opt.Version() != 0 || !opt.Do()) {
				t.Errorf("OPT: %v", opt)
			}
		})
	}
}

// A server without zones, as it is before the store could be read, is nobody's.
func TestWithoutZones(t *testing.T) {
	if got := ask(dns.New(dns.Config{}), "dns.example.com.", miekg.TypeSOA); got.Rcode != refused {
		t.Errorf("answered %v", got)
	}
	s := dns.New(dns.Config{})
	s.SetZones(dns.NewZones(dns.Content{}))
	if got := ask(s, "dns.", miekg.TypeSOA); got.Rcode != refused {
		t.Errorf("answered %v", got)
	}
}

// One question's panic is that question's alone.
func TestPanicsAreServerFailures(t *testing.T) {
	s := serving(t, dns.Config{Challenges: broken{}})
	if got := ask(s, "tok.acme.dns.example.com.", miekg.TypeTXT); got.Rcode != miekg.RcodeServerFailure {
		t.Errorf("answered %v", got)
	}
	if got := ask(s, "t1.acct.dns.example.com.", miekg.TypeA); got.Rcode != ok {
		t.Errorf("answered %v", got)
	}
}

// Somebody who floods a third party with forged questions gets little for it; a resolver
// that is really there is told to come by TCP, and is answered there.
func TestRateIsLimited(t *testing.T) {
	s := serving(t, dns.Config{PerSecond: 1})
	counts := map[string]int{}
	for range 100 {
		switch got := ask(s, "t1.acct.dns.example.com.", miekg.TypeA); {
		case got == nil:
			counts["nothing"]++
		case got.Truncated && len(got.Answer)+len(got.Ns) == 0:
			counts["a hint"]++
		default:
			counts["an answer"]++
		}
	}
	if counts["an answer"] > 50 || counts["a hint"] == 0 || counts["nothing"] == 0 {
		t.Errorf("%v", counts)
	}
	query := new(miekg.Msg).SetQuestion("t1.acct.dns.example.com.", miekg.TypeA)
	for range 100 {
		w := &writer{from: &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9)}}
		s.ServeDNS(w, query)
		if w.got == nil || len(w.got.Answer) != 2 {
			t.Fatalf("over TCP: %v", w.got)
		}
	}
}
