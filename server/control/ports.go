package control

import (
	"sync"

	"github.com/postern-dev/postern"
)

// ports counts who needs a TCP endpoint's listener, since a pool shares one.
type ports struct {
	edge Ports

	mu    sync.Mutex
	users map[uint16]int
}

func newPorts(edge Ports) *ports { return &ports{edge: edge, users: make(map[uint16]int)} }

// open has the port listened on. CodePortUnavailable when something else has it.
func (p *ports) open(port uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[port] == 0 {
		if err := p.edge.OpenPort(port); err != nil {
			return postern.Errorf(postern.CodePortUnavailable, "port %d cannot be listened on; another program may use it", port).Because(err)
		}
	}
	p.users[port]++
	return nil
}

// close ends one use; the listener ends with the last.
func (p *ports) close(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[port]--; p.users[port] > 0 {
		return
	}
	delete(p.users, port)
	// A listener that cannot be closed is closed already.
	_ = p.edge.ClosePort(port)
}
