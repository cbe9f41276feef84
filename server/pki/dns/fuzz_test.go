package dns_test

import (
	"net"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern/server/pki/dns"
)

// FuzzMessages: whatever comes over UDP, the server lives; what it answers can be packed,
// fits, is an answer to that very question, says nothing of zones that are not its own,
// and is no longer than 12 times the question.
func FuzzMessages(f *testing.F) {
	for _, one := range []struct {
		name string
		kind uint16
	}{
		{"dns.example.com.", miekg.TypeSOA}, {"T1.acct.dns.example.com.", miekg.TypeA}, {"connect.acme.org.", miekg.TypeNS},
		{"tok.acme.dns.example.com.", miekg.TypeTXT}, {"nothing.dns.example.com.", miekg.TypeANY}, {`a\.b.dns.example.com.`, miekg.TypeAXFR},
		{".", miekg.TypeNS}, {strings.Repeat("a.", 110) + "dns.example.com.", miekg.TypeA}, {"example.org.", miekg.TypeCAA},
	} {
		for _, size := range []uint16{0, 512, 4096} {
			query := new(miekg.Msg).SetQuestion(one.name, one.kind)
			if size > 0 {
				query.SetEdns0(size, true)
			}
			packed, err := query.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed)
		}
	}
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	pending := &challenges{}
	pending.set("tok.acme.dns.example.com", "value")
	s := serving(f, dns.Config{Challenges: pending})
	zones := []string{"dns.example.com.", "connect.acme.org."}
	f.Fuzz(func(t *testing.T, raw []byte) {
		query := new(miekg.Msg)
		if query.Unpack(raw) != nil {
			return // the library answers with FORMERR, or not at all
		}
		for _, from := range []net.Addr{fromUDP("203.0.113.9"), &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9)}} {
			w := &writer{from: from}
			s.ServeDNS(w, query.Copy())
			packed, err := w.got.Pack()
			if err != nil {
				t.Fatalf("the answer to %v cannot be packed: %v\n%v", query, err, w.got)
			}
			if w.got.Id != query.Id || !w.got.Response || w.got.RecursionAvailable {
				t.Fatalf("not an answer to %v: %v", query, w.got)
			}
			if _, udp := from.(*net.UDPAddr); udp && len(packed) > min(1232, max(512, 12*len(raw))) {
				t.Fatalf("%d bytes for a question of %d: %v", len(packed), len(raw), w.got)
			}
			if len(query.Question) != 1 {
				if w.got.Rcode != miekg.RcodeFormatError {
					t.Fatalf("%d questions: %v", len(query.Question), w.got)
				}
				continue
			}
			name := strings.ToLower(query.Question[0].Name)
			inside := miekg.IsSubDomain(zones[0], name) || miekg.IsSubDomain(zones[1], name)
			if !inside && (w.got.Authoritative || len(w.got.Answer)+len(w.got.Ns) > 0) {
				t.Fatalf("answered for others: %v", w.got)
			}
		}
	})
}
