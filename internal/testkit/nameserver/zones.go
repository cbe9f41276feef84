// Package nameserver has name servers for tests. Internet is a small one of them: zones as
// master files have them (RFC 1035 §5), who answers for which, and a resolver that finds
// its way through them by referrals, as real ones do. Local is one server that has every
// host at 127.0.0.1, and takes updates.
package nameserver

import (
	"strings"
	"testing"

	miekg "github.com/miekg/dns"
)

// Handler answers a question; nil is silence.
type Handler func(query *miekg.Msg) *miekg.Msg

// Zones are those of one authoritative server. They are not changed once they are made.
type Zones struct {
	tops    map[string]bool
	records map[string][]miekg.RR // by names in lower case
}

// Parse reads zones; each begins with its SOA record.
func Parse(t testing.TB, text string) *Zones {
	t.Helper()
	z := &Zones{tops: make(map[string]bool), records: make(map[string][]miekg.RR)}
	for _, record := range parse(t, text) {
		name := strings.ToLower(record.Header().Name)
		z.records[name] = append(z.records[name], record)
		if record.Header().Rrtype == miekg.TypeSOA {
			z.tops[name] = true
		}
	}
	return z
}

// parse reads the records of a master file.
func parse(t testing.TB, text string) []miekg.RR {
	t.Helper()
	parser := miekg.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(60)
	var all []miekg.RR
	for record, more := parser.Next(); more; record, more = parser.Next() {
		all = append(all, record)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Answer is a Handler: with the zone's records, with a referral to a zone below, or
// REFUSED.
func (z *Zones) Answer(query *miekg.Msg) *miekg.Msg {
	answer := new(miekg.Msg)
	answer.SetReply(query)
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	top := name
	for ; top != "" && !z.tops[top]; top = parent(top) {
		for _, record := range z.records[top] {
			if record.Header().Rrtype == miekg.TypeNS && z.within(parent(top)) {
				answer.Ns = append(answer.Ns, record)
			}
		}
		if answer.Ns != nil {
			return answer
		}
	}
	if top == "" {
		answer.Rcode = miekg.RcodeRefused
		return answer
	}
	answer.Authoritative = true
	found, exists := z.find(name, top)
	for _, record := range found {
		if kind := record.Header().Rrtype; kind == q.Qtype || kind == miekg.TypeCNAME {
			record = miekg.Copy(record)
			record.Header().Name = q.Name
			answer.Answer = append(answer.Answer, record)
		}
	}
	if !exists {
		answer.Rcode = miekg.RcodeNameError
	}
	if answer.Answer == nil {
		answer.Ns = z.records[top][:1]
	}
	return answer
}

func (z *Zones) within(name string) bool {
	for ; name != ""; name = parent(name) {
		if z.tops[name] {
			return true
		}
	}
	return false
}

// find gives the records of a name, or of the wildcard that stands for it.
func (z *Zones) find(name, top string) ([]miekg.RR, bool) {
	if found, is := z.records[name]; is {
		return found, true
	}
	for at := name; ; at = parent(at) {
		for known := range z.records {
			if strings.HasSuffix(known, "."+at) {
				return nil, at == name // there are names below
			}
		}
		if found, is := z.records["*."+parent(at)]; is {
			return found, true
		}
		if _, is := z.records[parent(at)]; is || at == top {
			return nil, false
		}
	}
}

func parent(name string) string {
	at, end := miekg.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[at:]
}
