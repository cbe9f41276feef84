package nameserver

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"

	miekg "github.com/miekg/dns"
)

// Internet is who answers at which address. It may be used concurrently.
type Internet struct {
	mu    sync.Mutex
	hosts map[netip.Addr]Handler
	roots map[string]netip.Addr // zones that resolvers find without asking
}

// NewInternet makes one without hosts.
func NewInternet() *Internet {
	return &Internet{hosts: make(map[netip.Addr]Handler), roots: make(map[string]netip.Addr)}
}

// Host has a handler answer at an address; resolvers know that it does for zones.
func (i *Internet) Host(address string, h Handler, zones ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := netip.MustParseAddr(address)
	i.hosts[at] = h
	for _, zone := range zones {
		i.roots[zone] = at
	}
}

func nobody() error { return errors.New("nobody answers there") }

// Exchange asks a host, as dnscheck.Exchange does.
func (i *Internet) Exchange(ctx context.Context, query *miekg.Msg, server netip.AddrPort) (*miekg.Msg, error) {
	i.mu.Lock()
	handler := i.hosts[server.Addr()]
	i.mu.Unlock()
	if handler == nil || ctx.Err() != nil {
		return nil, nobody()
	}
	if answer := handler(query.Copy()); answer != nil {
		return answer, nil
	}
	return nil, nobody()
}

// Resolve is a Handler: a resolver that begins at the known zones and follows referrals
// and CNAME records. What it cannot find out is SERVFAIL.
func (i *Internet) Resolve(query *miekg.Msg) *miekg.Msg {
	answer := new(miekg.Msg)
	answer.SetReply(query)
	answer.RecursionAvailable = true
	name := query.Question[0].Name
	for range 8 {
		got := i.iterate(name, query.Question[0].Qtype)
		if got == nil {
			answer.Rcode = miekg.RcodeServerFailure
			return answer
		}
		answer.Answer = append(answer.Answer, got.Answer...)
		answer.Rcode, answer.Ns = got.Rcode, got.Ns
		alias := ""
		for _, record := range got.Answer {
			if cname, is := record.(*miekg.CNAME); is && query.Question[0].Qtype != miekg.TypeCNAME {
				alias = cname.Target
			}
		}
		if alias == "" {
			return answer
		}
		name = alias
	}
	answer.Rcode = miekg.RcodeServerFailure
	return answer
}

// iterate asks from the nearest known zone downwards; nil for no answer.
func (i *Internet) iterate(name string, kind uint16) *miekg.Msg {
	i.mu.Lock()
	var at netip.Addr
	for zone := strings.ToLower(name); zone != "" && !at.IsValid(); zone = parent(zone) {
		at = i.roots[zone]
	}
	i.mu.Unlock()
	for range 4 {
		question := new(miekg.Msg)
		question.SetQuestion(name, kind)
		got, err := i.Exchange(context.Background(), question, netip.AddrPortFrom(at, 53))
		switch {
		case err != nil, got.Rcode != miekg.RcodeSuccess && got.Rcode != miekg.RcodeNameError:
			return nil
		case got.Authoritative:
			return got
		}
		at = netip.Addr{}
		for _, record := range got.Ns {
			server, is := record.(*miekg.NS)
			if !is || at.IsValid() {
				continue
			}
			if where := i.iterate(server.Ns, miekg.TypeA); where != nil {
				for _, record := range where.Answer {
					if a, is := record.(*miekg.A); is {
						at, _ = netip.AddrFromSlice(a.A.To4())
					}
				}
			}
		}
	}
	return nil
}
