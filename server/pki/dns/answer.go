package dns

import (
	"net/netip"
	"strings"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
)

// How long resolvers may keep an answer, in seconds.
const (
	addressTTL   = 60
	serversTTL   = 3600
	negativeTTL  = 30 // the minimum of a zone's SOA record (RFC 2308 §4)
	challengeTTL = 1  // a challenge, and that there is none yet
)

// The sizes of UDP messages. Those that fit into 1232 bytes are not fragmented on any path
// (https://www.dnsflagday.net/2020).
const (
	plainSize = 512 // without EDNS (RFC 1035 §4.2.1)
	ednsSize  = 1232
)

// Challenges are the TXT records of challenges that are pending. TXT is called for each
// question whose name could have one: it must not block, and may be called concurrently.
type Challenges interface {
	TXT(name postern.Hostname) []string
}

// question is a question, and what is known of the name.
type question struct {
	miekg.Question
	name       string // in lower case
	zone       *zone
	top        int    // where the zone's name begins in name
	node       node   // of the name, or of the one that answers for it
	as         string // that name
	exists     bool
	challenges []string
}

// answer makes the answer to a query, and the name of what it costs: answers of the same
// cost count together against a network's limit.
func answer(zones *Zones, challenges Challenges, query *miekg.Msg) (reply *miekg.Msg, cost string) {
	reply = new(miekg.Msg)
	reply.SetReply(query)
	if opt := query.IsEdns0(); opt != nil {
		reply.SetEdns0(ednsSize, opt.Do())
		if opt.Version() != 0 {
			reply.Rcode = miekg.RcodeBadVers
			return reply, "error"
		}
	}
	q := question{Question: query.Question[0]}
	if q.Qclass != miekg.ClassINET || q.Qtype == miekg.TypeAXFR || q.Qtype == miekg.TypeIXFR {
		reply.Rcode = miekg.RcodeRefused
		return reply, "refused"
	}
	q.name = strings.ToLower(q.Name)
	if q.zone, q.top = zones.zoneOf(q.name); q.zone == nil {
		reply.Rcode = miekg.RcodeRefused
		return reply, "refused"
	}
	reply.Authoritative = true
	q.node, q.as, q.exists = zones.find(q.name, q.top)
	if challenges != nil && (q.Qtype == miekg.TypeTXT || !q.exists) {
		if host := hostname(q.name); host != "" {
			q.challenges = challenges.TXT(host)
		}
	}
	q.answer(reply)
	switch {
	case reply.Rcode == miekg.RcodeNameError:
		return reply, q.zone.name // or a flood of made-up names had a limit for each
	case q.as == "":
		return reply, q.name
	}
	return reply, q.as
}

// answer fills in what the zone says.
func (q *question) answer(reply *miekg.Msg) {
	if !q.exists && len(q.challenges) == 0 {
		reply.Rcode = miekg.RcodeNameError
		reply.Ns = []miekg.RR{q.soa(q.negativeTTL())}
		return
	}
	if q.Qtype == miekg.TypeANY {
		// RFC 8482 §4.2: who wants everything is told that there is something.
		reply.Answer = []miekg.RR{&miekg.HINFO{Hdr: q.header(miekg.TypeHINFO, serversTTL), Cpu: "RFC8482"}}
		return
	}
	reply.Answer = q.records()
	if len(reply.Answer) == 0 {
		reply.Ns = []miekg.RR{q.soa(q.negativeTTL())}
	}
}

// records are the zone's of the wanted type.
func (q *question) records() []miekg.RR {
	switch q.Qtype {
	case miekg.TypeA, miekg.TypeAAAA:
		return q.addresses()
	case miekg.TypeTXT:
		return q.texts()
	}
	if q.top != 0 {
		return nil
	}
	switch q.Qtype {
	case miekg.TypeSOA:
		return []miekg.RR{q.soa(serversTTL)}
	case miekg.TypeNS:
		var all []miekg.RR
		for _, server := range q.zone.servers {
			all = append(all, &miekg.NS{Hdr: q.header(miekg.TypeNS, serversTTL), Ns: server})
		}
		return all
	case miekg.TypeCAA:
		// At the tops alone: an authority that follows a CNAME record to a target must find
		// none there, or those of the domain itself did not count (RFC 8659 §3).
		var all []miekg.RR
		for _, issuer := range q.zone.issuers {
			all = append(all, &miekg.CAA{Hdr: q.header(miekg.TypeCAA, serversTTL), Tag: "issue", Value: issuer})
		}
		return all
	}
	return nil
}

func (q *question) addresses() []miekg.RR {
	all := make([]miekg.RR, 0, len(q.node.addresses))
	for _, address := range q.node.addresses {
		switch {
		case address.Is4() && q.Qtype == miekg.TypeA:
			all = append(all, &miekg.A{Hdr: q.header(miekg.TypeA, addressTTL), A: ip(address)})
		case address.Is6() && q.Qtype == miekg.TypeAAAA:
			all = append(all, &miekg.AAAA{Hdr: q.header(miekg.TypeAAAA, addressTTL), AAAA: ip(address)})
		}
	}
	return all
}

func ip(address netip.Addr) []byte { return address.AsSlice() }

// texts are the challenges' values; one that is longer than a string of a record may be is
// cut into several (RFC 1035 §3.3.14).
func (q *question) texts() []miekg.RR {
	const most = 255
	var all []miekg.RR
	for _, value := range q.challenges {
		var parts []string
		for len(value) > most {
			parts, value = append(parts, value[:most]), value[most:]
		}
		all = append(all, &miekg.TXT{Hdr: q.header(miekg.TypeTXT, challengeTTL), Txt: append(parts, value)})
	}
	return all
}

// header is that of a record of the name, in the letters in which it was asked for: who
// mixes those at random recognises the answer (draft-vixie-dnsext-dns0x20).
func (q *question) header(kind uint16, ttl uint32) miekg.RR_Header {
	return miekg.RR_Header{Name: q.Name, Rrtype: kind, Class: miekg.ClassINET, Ttl: ttl}
}

func (q *question) soa(ttl uint32) miekg.RR {
	header := q.header(miekg.TypeSOA, ttl)
	header.Name = q.Name[q.top:]
	server := "."
	if len(q.zone.servers) > 0 {
		server = q.zone.servers[0]
	}
	return &miekg.SOA{Hdr: header, Ns: server, Mbox: q.zone.contact, Serial: q.zone.serial,
		Refresh: 3600, Retry: 600, Expire: 1209600, Minttl: min(ttl, negativeTTL)}
}

// negativeTTL is for how long it may be kept that there is no such record. A challenge can
// be there at the next moment.
func (q *question) negativeTTL() uint32 {
	if strings.HasPrefix(q.name, "_acme-challenge.") || strings.HasSuffix(q.name[:q.top], "."+ACME+".") {
		return challengeTTL
	}
	return negativeTTL
}
