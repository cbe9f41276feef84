package dnscheck

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"
)

// What one Walk may take.
const (
	walkTime     = 10 * time.Second
	oneTime      = 2 * time.Second // for one question
	mostAsked    = 100             // questions
	mostServers  = 4               // of a zone
	mostReferral = 4
)

// Exchange sends a question to a server and returns its answer.
type Exchange func(ctx context.Context, query *miekg.Msg, server netip.AddrPort) (*miekg.Msg, error)

// Resolver makes Walks. Its zero value asks the system's resolvers. It may be used
// concurrently.
type Resolver struct {
	Recursive []netip.AddrPort // none: those of /etc/resolv.conf
	Exchange  Exchange         // nil: over the network
}

// Walk is a Lookup for one check: it remembers what it was told, ends after ten seconds
// and asks a hundred questions at most. Call the function when it is done.
func (r Resolver) Walk(ctx context.Context) (*Walk, context.Context, context.CancelFunc) {
	w := &Walk{recursive: r.Recursive, exchange: r.Exchange, zones: make(map[string]zone), told: make(map[string]*miekg.Msg)}
	if w.exchange == nil {
		w.exchange = overNetwork
	}
	if len(w.recursive) == 0 {
		w.recursive = systemResolvers()
	}
	ctx, cancel := context.WithTimeout(ctx, walkTime)
	return w, ctx, cancel
}

// systemResolvers are those that the system is told; none where there is no such file.
func systemResolvers() []netip.AddrPort {
	config, err := miekg.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var all []netip.AddrPort
	for _, server := range config.Servers {
		if at, err := netip.ParseAddrPort(joinPort(server, config.Port)); err == nil {
			all = append(all, at)
		}
	}
	return all
}

func joinPort(host, port string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]:" + port
	}
	return host + ":" + port
}

// overNetwork asks over UDP, and over TCP what did not fit.
func overNetwork(ctx context.Context, query *miekg.Msg, server netip.AddrPort) (*miekg.Msg, error) {
	udp := miekg.Client{Net: "udp", UDPSize: 1232, Timeout: oneTime}
	answer, _, err := udp.ExchangeContext(ctx, query, server.String())
	if err != nil || answer.Truncated {
		tcp := miekg.Client{Net: "tcp", Timeout: oneTime}
		if again, _, tcpErr := tcp.ExchangeContext(ctx, query, server.String()); tcpErr == nil {
			return again, nil
		}
	}
	return answer, err
}

// Walk is a Lookup. It may be used concurrently.
type Walk struct {
	recursive []netip.AddrPort
	exchange  Exchange

	mu    sync.Mutex
	asked int
	zones map[string]zone
	told  map[string]*miekg.Msg // by recursive resolvers
}

// zone is who is to be asked about names in it.
type zone struct {
	name    string
	servers []netip.AddrPort
}

var _ Lookup = (*Walk)(nil)

// Records implements Lookup.
func (w *Walk) Records(ctx context.Context, name string, kind uint16) (Answer, error) {
	start := strings.TrimPrefix(name, "*.")
	if answer, err := w.authoritative(ctx, w.zoneOf(ctx, start), name, kind); err == nil {
		return answerOf(answer), nil
	}
	answer, err := w.recurse(ctx, name, kind)
	if err != nil {
		return Answer{}, err
	}
	return answerOf(answer), nil
}

// Delegation implements Lookup.
func (w *Walk) Delegation(ctx context.Context, name string) (Answer, error) {
	above := w.zoneOf(ctx, parent(name))
	for _, server := range above.servers {
		answer, err := w.ask(ctx, server, name, miekg.TypeNS, false)
		if err != nil || answer.Rcode != miekg.RcodeSuccess && answer.Rcode != miekg.RcodeNameError {
			continue
		}
		found := answerOf(answer)
		found.Records = append(slices.Clone(found.Records), answer.Ns...) // a referral has them there (RFC 1034 §4.3.2)
		return found, nil
	}
	answer, err := w.recurse(ctx, name, miekg.TypeNS)
	if err != nil {
		return Answer{}, err
	}
	found := answerOf(answer)
	found.Records = append(slices.Clone(found.Records), answer.Ns...)
	return found, nil
}

// Addresses implements Lookup.
func (w *Walk) Addresses(ctx context.Context, name string) (Answer, error) {
	var all Answer
	var failures error
	for _, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		answer, err := w.recurse(ctx, name, kind)
		if err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		all.Records = append(all.Records, answer.Answer...)
		all.Missing = answer.Rcode == miekg.RcodeNameError
	}
	if len(all.Records) > 0 {
		return all, nil
	}
	return all, failures
}

// At implements Lookup.
func (w *Walk) At(ctx context.Context, server, name string, kind uint16) (Answer, bool, error) {
	addresses := w.addressesOf(ctx, server)
	err := error(&Failure{Name: server, Reason: "it has no address"})
	for _, at := range addresses {
		var answer *miekg.Msg
		if answer, err = w.ask(ctx, at, name, kind, false); err == nil {
			return answerOf(answer), answer.Authoritative, nil
		}
	}
	return Answer{}, false, err
}

func answerOf(m *miekg.Msg) Answer {
	return Answer{Records: m.Answer, Missing: m.Rcode == miekg.RcodeNameError}
}

// zoneOf finds the innermost zone that the resolvers know a name to be in, and its
// servers; the zero value for none.
func (w *Walk) zoneOf(ctx context.Context, name string) zone {
	for at := name; at != "" && at != "."; at = parent(at) {
		w.mu.Lock()
		known, is := w.zones[at]
		w.mu.Unlock()
		if is {
			if known.name != "" {
				return known
			}
			continue
		}
		found := zone{}
		if answer, err := w.recurse(ctx, at, miekg.TypeNS); err == nil {
			if servers := of[*miekg.NS](answerOf(answer), at); len(servers) > 0 {
				found = zone{name: at, servers: w.serversOf(ctx, servers)}
			}
		}
		w.mu.Lock()
		w.zones[at] = found
		w.mu.Unlock()
		if found.name != "" {
			return found
		}
	}
	return zone{}
}

func (w *Walk) serversOf(ctx context.Context, records []*miekg.NS) []netip.AddrPort {
	var all []netip.AddrPort
	for _, record := range records[:min(len(records), mostServers)] {
		all = append(all, w.addressesOf(ctx, record.Ns)...)
	}
	return all
}

// addressesOf are where a name server is asked: at most one address of each kind.
func (w *Walk) addressesOf(ctx context.Context, server string) []netip.AddrPort {
	const port = 53
	var all []netip.AddrPort
	for _, kind := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		answer, err := w.recurse(ctx, server, kind)
		if err != nil {
			continue
		}
		for _, record := range answer.Answer {
			if address, is := addressOf(record); is {
				all = append(all, netip.AddrPortFrom(address, port))
				break
			}
		}
	}
	return all
}

func addressOf(record miekg.RR) (netip.Addr, bool) {
	var ip []byte
	switch record := record.(type) {
	case *miekg.A:
		ip = record.A
	case *miekg.AAAA:
		ip = record.AAAA
	}
	address, ok := netip.AddrFromSlice(ip)
	return address.Unmap(), ok
}

// authoritative asks a zone's servers, and those to which they refer.
func (w *Walk) authoritative(ctx context.Context, in zone, name string, kind uint16) (*miekg.Msg, error) {
	err := error(&Failure{Name: name, Reason: "no name server of its zone was found"})
	for range mostReferral {
		var next []*miekg.NS
		for _, server := range in.servers {
			var answer *miekg.Msg
			if answer, err = w.ask(ctx, server, name, kind, false); err != nil {
				continue
			}
			known := answer.Rcode == miekg.RcodeSuccess || answer.Rcode == miekg.RcodeNameError
			if known && answer.Authoritative {
				return answer, nil
			}
			if next = referral(answer, in.name, name); known && next != nil {
				break
			}
			err = &Failure{Name: name, Reason: "the name servers of " + in.name + " do not answer for it"}
		}
		if next == nil {
			return nil, err
		}
		in = zone{name: strings.ToLower(next[0].Hdr.Name), servers: w.serversOf(ctx, next)}
	}
	return nil, err
}

// referral gives the servers of a zone below, to which an answer refers.
func referral(answer *miekg.Msg, from, name string) []*miekg.NS {
	var found []*miekg.NS
	for _, record := range answer.Ns {
		ns, is := record.(*miekg.NS)
		if is && !strings.EqualFold(ns.Hdr.Name, from) && miekg.IsSubDomain(from, ns.Hdr.Name) && miekg.IsSubDomain(ns.Hdr.Name, name) {
			found = append(found, ns)
		}
	}
	return found
}

// recurse asks the recursive resolvers, one after the other.
func (w *Walk) recurse(ctx context.Context, name string, kind uint16) (*miekg.Msg, error) {
	key := strings.ToLower(name) + " " + miekg.TypeToString[kind]
	w.mu.Lock()
	known := w.told[key]
	w.mu.Unlock()
	if known != nil {
		return known, nil
	}
	err := error(&Failure{Name: name, Reason: "no resolver is configured; set dns.resolvers"})
	for _, resolver := range w.recursive {
		var answer *miekg.Msg
		if answer, err = w.ask(ctx, resolver, name, kind, true); err != nil {
			continue
		}
		if answer.Rcode != miekg.RcodeSuccess && answer.Rcode != miekg.RcodeNameError {
			err = &Failure{Name: name, Reason: miekg.RcodeToString[answer.Rcode]}
			continue
		}
		w.mu.Lock()
		w.told[key] = answer
		w.mu.Unlock()
		return answer, nil
	}
	return nil, err
}

// ask sends one question.
func (w *Walk) ask(ctx context.Context, server netip.AddrPort, name string, kind uint16, recursion bool) (*miekg.Msg, error) {
	w.mu.Lock()
	w.asked++
	tooMany := w.asked > mostAsked
	w.mu.Unlock()
	if tooMany {
		return nil, &Failure{Name: name, Reason: "too many questions were needed"}
	}
	query := new(miekg.Msg)
	query.SetQuestion(name, kind)
	query.RecursionDesired = recursion
	query.SetEdns0(1232, false)
	ctx, cancel := context.WithTimeout(ctx, 2*oneTime)
	defer cancel()
	answer, err := w.exchange(ctx, query, server)
	switch {
	case err != nil:
		return nil, &Failure{Name: name, Reason: reason(err, server)}
	case answer.Id != query.Id || len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, name) || answer.Question[0].Qtype != kind:
		return nil, &Failure{Name: name, Reason: server.String() + " answered another question"}
	}
	return answer, nil
}

func reason(err error, server netip.AddrPort) string {
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return server.String() + " did not answer in time"
	}
	return server.String() + " could not be asked"
}

// parent is the name without its first label; "" for the root.
func parent(name string) string {
	at, end := miekg.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[at:]
}
