package nameserver

import (
	"net"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"
)

// Local answers for every host with 127.0.0.1, but for what a test has put there. Its
// methods may be called from anywhere.
type Local struct {
	// Address is its host:port, over UDP and TCP.
	Address string

	mu      sync.Mutex
	records map[string][]miekg.RR // by the lower-case name, with its last dot
	dynamic func(question miekg.Question) []miekg.RR
	updates func(message *miekg.Msg) int
}

// NewLocal starts one that ends with the test. keys are TSIG secrets by their names,
// nil for none.
func NewLocal(t testing.TB, keys map[string]string) *Local {
	t.Helper()
	l := &Local{records: make(map[string][]miekg.RR)}
	l.Address = listen(t, &miekg.Server{
		Handler: l, TsigSecret: keys,
		MsgAcceptFunc: func(miekg.Header) miekg.MsgAcceptAction { return miekg.MsgAccept }, // updates, too
	}).String()
	return l
}

// Set puts records, in the text of zone files, in place of all that the name had.
func (l *Local) Set(t testing.TB, name string, records ...string) {
	t.Helper()
	parsed := parse(t, strings.Join(records, "\n"))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[strings.ToLower(miekg.Fqdn(name))] = parsed
}

// Ask has a function answer what no record does; nil from it leaves that to the rest.
func (l *Local) Ask(answer func(miekg.Question) []miekg.RR) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dynamic = answer
}

// Updates has a function take RFC 2136 updates; it gives the answer's code. The message's
// signature was good.
func (l *Local) Updates(take func(*miekg.Msg) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.updates = take
}

// ServeDNS implements miekg.Handler.
func (l *Local) ServeDNS(w miekg.ResponseWriter, m *miekg.Msg) {
	answer := new(miekg.Msg).SetReply(m)
	answer.Authoritative = true
	if signature := m.IsTsig(); signature != nil {
		if w.TsigStatus() != nil {
			answer.Rcode = miekg.RcodeNotAuth
			_ = w.WriteMsg(answer)
			return
		}
		defer func() { _ = w.WriteMsg(answer) }()
		answer.SetTsig(signature.Hdr.Name, signature.Algorithm, 300, int64(signature.TimeSigned)) //nolint:gosec // of a test
	} else {
		defer func() { _ = w.WriteMsg(answer) }()
	}
	if m.Opcode == miekg.OpcodeUpdate {
		answer.Rcode = l.update(m)
		return
	}
	if len(m.Question) == 1 {
		answer.Answer = l.answer(m.Question[0])
	}
}

func (l *Local) update(m *miekg.Msg) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.updates == nil || m.IsTsig() == nil {
		return miekg.RcodeRefused
	}
	return l.updates(m)
}

// answer follows CNAME records as a resolver does.
func (l *Local) answer(question miekg.Question) []miekg.RR {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, answer := strings.ToLower(question.Name), []miekg.RR(nil)
	for range 8 {
		found, known := l.records[name]
		if !known && l.dynamic != nil {
			found = l.dynamic(miekg.Question{Name: name, Qtype: question.Qtype, Qclass: question.Qclass})
			known = found != nil
		}
		next := ""
		for _, record := range found {
			if alias, ok := record.(*miekg.CNAME); ok && question.Qtype != miekg.TypeCNAME {
				answer, next = append(answer, record), strings.ToLower(alias.Target)
			} else if record.Header().Rrtype == question.Qtype {
				answer = append(answer, record)
			}
		}
		if !known && question.Qtype == miekg.TypeA && name[0] != '_' {
			answer = append(answer, &miekg.A{Hdr: miekg.RR_Header{Name: name, Rrtype: miekg.TypeA, Class: miekg.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		if next == "" {
			break
		}
		name = next
	}
	return answer
}
