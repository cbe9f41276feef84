package agent_test

import (
	"net/netip"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
)

// recorder keeps what it is shown of all streams together.
type recorder struct {
	mu              sync.Mutex
	asked, answered []byte
}

func (r *recorder) Stream(string, netip.AddrPort, postern.Scheme) session.StreamTap { return r }

func (r *recorder) FromVisitor(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, p...)
}

func (r *recorder) FromService(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered = append(r.answered, p...)
}

func (r *recorder) End(error) {}

func (r *recorder) text() (asked, answered string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.asked), string(r.answered)
}
