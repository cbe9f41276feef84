package pebble

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// NameServer answers for every host with 127.0.0.1, but for what a test has put
// there. Its methods may be called from anywhere.
type NameServer struct {
	// Address is its host:port, over UDP and TCP.
	Address string

	mu      sync.Mutex
	records map[string][]dns.RR // by the lower-case name, with its last dot
	dynamic func(question dns.Question) []dns.RR
	updates func(message *dns.Msg) int
}

// NewNameServer starts one that ends with the test. keys are TSIG secrets by their names,
// nil for none.
func NewNameServer(t testing.TB, keys map[string]string) *NameServer {
	t.Helper()
	s := &NameServer{records: make(map[string][]dns.RR)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address = ln.Addr().String()
	packets, err := net.ListenPacket("udp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	accept := func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
	servers := []*dns.Server{
		{Listener: ln, Handler: s, TsigSecret: keys, MsgAcceptFunc: accept},
		{PacketConn: packets, Handler: s, TsigSecret: keys, MsgAcceptFunc: accept},
	}
	var serving sync.WaitGroup
	for _, server := range servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() {
			if err := server.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
		<-started
	}
	t.Cleanup(func() {
		for _, server := range servers {
			_ = server.Shutdown()
		}
		serving.Wait()
	})
	return s
}

// Set puts records, in the text of zone files, in place of all that the name had.
func (s *NameServer) Set(t testing.TB, name string, records ...string) {
	t.Helper()
	var parsed []dns.RR
	for _, text := range records {
		record, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, record)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[strings.ToLower(dns.Fqdn(name))] = parsed
}

// Ask has a function answer what no record does; nil from it leaves that to the rest.
func (s *NameServer) Ask(answer func(dns.Question) []dns.RR) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dynamic = answer
}

// Updates has a function take RFC 2136 updates; it gives the answer's code. The message's
// signature was good.
func (s *NameServer) Updates(take func(*dns.Msg) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates = take
}

// ServeDNS implements dns.Handler.
func (s *NameServer) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	answer := new(dns.Msg).SetReply(m)
	answer.Authoritative = true
	if signature := m.IsTsig(); signature != nil {
		if w.TsigStatus() != nil {
			answer.Rcode = dns.RcodeNotAuth
			_ = w.WriteMsg(answer)
			return
		}
		defer func() { _ = w.WriteMsg(answer) }()
		answer.SetTsig(signature.Hdr.Name, signature.Algorithm, 300, int64(signature.TimeSigned)) //nolint:gosec // of a test
	} else {
		defer func() { _ = w.WriteMsg(answer) }()
	}
	if m.Opcode == dns.OpcodeUpdate {
		answer.Rcode = s.update(m)
		return
	}
	if len(m.Question) == 1 {
		answer.Answer = s.answer(m.Question[0])
	}
}

func (s *NameServer) update(m *dns.Msg) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.updates == nil || m.IsTsig() == nil {
		return dns.RcodeRefused
	}
	return s.updates(m)
}

// answer follows CNAME records as a resolver does.
func (s *NameServer) answer(question dns.Question) []dns.RR {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, answer := strings.ToLower(question.Name), []dns.RR(nil)
	for range 8 {
		found, known := s.records[name]
		if !known && s.dynamic != nil {
			found = s.dynamic(dns.Question{Name: name, Qtype: question.Qtype, Qclass: question.Qclass})
			known = found != nil
		}
		next := ""
		for _, record := range found {
			if alias, ok := record.(*dns.CNAME); ok && question.Qtype != dns.TypeCNAME {
				answer, next = append(answer, record), strings.ToLower(alias.Target)
			} else if record.Header().Rrtype == question.Qtype {
				answer = append(answer, record)
			}
		}
		if !known && question.Qtype == dns.TypeA && name[0] != '_' {
			answer = append(answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		if next == "" {
			break
		}
		name = next
	}
	return answer
}
