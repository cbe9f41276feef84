package edge

import (
	"net"
	"sync"
	"time"
)

// parting notices that a visitor of HTTP/1.1 has gone while the service takes no more
// of its body: nobody reads the connection then, so that its end waits unseen behind
// what is not read yet. It asks the kernel from time to time, where that knows. What the
// visitor's own kernel still keeps for us, because our buffers are full, hides its end
// from us; a reset is never hidden.
type parting struct {
	conn net.Conn // below everything
	gone func()   // called once per wait at most, while it lasts

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool
	over    bool
}

// partingLook is how often the kernel is asked. Most waits are over before the first
// time, and cost a timer that never fires.
const partingLook = 250 * time.Millisecond

// begin is called when the service may keep us waiting.
func (p *parting) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.waiting = true
	if p.timer == nil {
		p.timer = time.AfterFunc(partingLook, p.look)
	} else {
		p.timer.Reset(partingLook)
	}
}

// end is called when it no longer does. When it returns gone is not running, nor will be.
func (p *parting) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting {
		p.waiting = false
		p.timer.Stop()
	}
}

// stop is end, and makes every later begin void.
func (p *parting) stop() {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}

func (p *parting) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.waiting:
	case hasLeft(p.conn):
		p.waiting = false
		p.gone()
	default:
		p.timer.Reset(partingLook)
	}
}
