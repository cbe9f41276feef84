package edge

import (
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// pairs are a member's idle streams, each paired with a connection of its service
// that waits for the next request. The one used last is used next, so that those
// beyond the need grow old.
type pairs struct {
	most    int // idle at once; 0 is any number
	sweeper *sweeper
	mu      sync.Mutex
	idle    map[pairKey][]*upstreamConn
	count   int
	closed  bool
	known   bool // the sweeper has it
}

// pairKey says which requests may use one pair after the other: those of one
// visitor's connection, of one address, or (the zero value) all.
type pairKey struct {
	visitor uint64
	addr    netip.Addr
}

// spent tells whether a pair cannot take a request: something has come that nobody
// asked for, or its end.
func (c *upstreamConn) spent() bool {
	s, ok := c.Stream.(link.Readable)
	return !ok || s.Readable() || c.closed.Load()
}

// take gives an idle pair, nil for none.
func (p *pairs) take(key pairKey) *upstreamConn {
	for {
		conn := p.pop(key)
		if conn == nil || !conn.spent() {
			return conn
		}
		_ = conn.Close()
	}
}

func (p *pairs) pop(key pairKey) *upstreamConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	stack := p.idle[key]
	if len(stack) == 0 {
		return nil
	}
	conn := stack[len(stack)-1]
	stack[len(stack)-1] = nil
	p.idle[key] = stack[:len(stack)-1]
	p.count--
	return conn
}

// put keeps a pair whose messages have both ended by their own framing.
func (p *pairs) put(key pairKey, conn *upstreamConn, now time.Time) {
	conn.since = now
	p.mu.Lock()
	var oldest *upstreamConn
	switch {
	case p.closed:
		oldest = conn
	case p.most > 0 && p.count >= p.most:
		oldest = p.popOldest()
		fallthrough
	default:
		p.push(key, conn)
	}
	p.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
}

// push adds on top. mu is held.
func (p *pairs) push(key pairKey, conn *upstreamConn) {
	if p.idle == nil {
		p.idle = make(map[pairKey][]*upstreamConn)
	}
	p.idle[key] = append(p.idle[key], conn)
	p.count++
	if !p.known {
		p.known = true
		p.sweeper.add(p)
	}
}

// popOldest takes the pair out that has been idle longest. mu is held.
func (p *pairs) popOldest() *upstreamConn {
	var from pairKey
	var oldest *upstreamConn
	for key, stack := range p.idle {
		if len(stack) > 0 && (oldest == nil || stack[0].since.Before(oldest.since)) {
			from, oldest = key, stack[0]
		}
	}
	if oldest != nil {
		p.idle[from] = append(p.idle[from][:0], p.idle[from][1:]...)
		p.count--
	}
	return oldest
}

// sweep closes pairs that were idle for too long or have ended, and tells whether others
// are left.
func (p *pairs) sweep(now time.Time) bool {
	p.mu.Lock()
	var gone []*upstreamConn
	for key, stack := range p.idle {
		kept := stack[:0]
		for _, conn := range stack {
			if now.Sub(conn.since) >= idleUpstream || conn.spent() {
				gone = append(gone, conn)
			} else {
				kept = append(kept, conn)
			}
		}
		clear(stack[len(kept):])
		if p.idle[key] = kept; len(kept) == 0 {
			delete(p.idle, key)
		}
	}
	p.count -= len(gone)
	p.known = p.count > 0
	left := p.known
	p.mu.Unlock()
	for _, conn := range gone {
		_ = conn.Close()
	}
	return left
}

// closeIdle closes every pair that waits, and with forGood every one that comes back.
func (p *pairs) closeIdle(forGood bool) {
	p.mu.Lock()
	all := p.idle
	p.idle, p.count = nil, 0
	p.closed = p.closed || forGood
	p.mu.Unlock()
	for _, stack := range all {
		for _, conn := range stack {
			_ = conn.Close()
		}
	}
}

// pairKey is the key of v's requests to the member, as key is for the transport.
func (u *upstream) pairKey(v *visitor) pairKey {
	switch {
	case u.private || v.private.Load():
		return pairKey{visitor: v.number}
	case u.shared:
		return pairKey{}
	}
	return pairKey{addr: v.client.Addr()}
}

// isPrivate tells whether a pair of the key belongs to one visitor's connection.
func (k pairKey) isPrivate() bool { return k.visitor != 0 }

// own ties the pair to the life of the visitor's connection, to which it is private.
func (c *upstreamConn) own(v *visitor) error {
	c.owner = v
	if v.own(c) {
		return nil
	}
	_ = c.Close()
	return &openError{&postern.Error{Code: postern.CodeStreamReset}}
}
