package edge

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/route"
)

// peekLimit bounds what is kept of a connection before it is known what it is: a
// ClientHello of 64 KiB and its record headers.
const peekLimit = 64<<10 + 512

// visitor is one accepted connection, before TLS: what everything above stands on.
// It is a relay.Conn whose first bytes can be peeked.
type visitor struct {
	*relay.Peeked
	edge     *Edge
	listener string
	number   uint64         // unique in the process; keys what belongs to this connection alone
	peer     netip.AddrPort // who connected
	client   netip.AddrPort // whom a PROXY header named; else peer
	local    netip.AddrPort // what was dialled, as far as we know
	until    time.Time      // the deadline of the first bytes
	since    time.Time

	// Set before the connection is handed to an HTTP server, never changed after.
	secure     bool             // behind TLS, also where the handler cannot see it
	tls        *tls.Conn        // which it then is behind
	serverName postern.Hostname // of the ClientHello; "" for none
	onlooker   *onlooker        // of its HTTP/1 requests; nil with HTTP/2
	ended      *ended           // where a policy was asked how TLS ends; nil: it was not
	requests   int              // of HTTP/1 so far; the HTTP server's goroutine alone uses it
	inside     *inside          // a policy's call to an internal endpoint; nil for visitors

	// certified is what its client certificate is worth; nil where it was not asked for.
	certified atomic.Pointer[certified]

	countedAs netip.Addr // whose place it takes; invalid for nobody's

	writes writeDeadline

	lingers atomic.Bool // the visitor is still sending: see linger
	aborted atomic.Bool
	// unwritable says that a write has failed: nobody is there who would read an answer.
	unwritable atomic.Bool
	closed     atomic.Bool
	private    atomic.Bool // upstream connections must not be shared: NTLM was seen

	id         postern.RequestID // of a relayed connection; see requestID
	forwarded  *route.Route      // where a relayed connection went by a policy; nil: nowhere else
	judging    sync.Mutex
	judgements []judgement // of the policies of those that it came to

	mu     sync.Mutex
	owned  map[*upstreamConn]struct{} // upstream connections that die with this one
	stalls map[*stall]struct{}        // of HTTP/2 streams that are being answered
}

func newVisitor(e *Edge, conn net.Conn, peer netip.AddrPort, listener string) *visitor {
	return &visitor{
		Peeked: relay.NewPeeked(conn, peekLimit), edge: e, listener: listener, number: e.numbers.Add(1),
		peer: peer, client: peer, local: addrPort(conn.LocalAddr()), since: time.Now(),
	}
}

// acceptProxied reads the PROXY header that must come first.
func (v *visitor) acceptProxied(within time.Duration) error {
	peeked, err := relay.AcceptProxied(v.NetConn(), within, peekLimit)
	if err != nil {
		return err
	}
	v.Peeked = peeked
	v.client, v.local = addrPort(peeked.RemoteAddr()), addrPort(peeked.LocalAddr())
	return nil
}

// Write sends b. A visitor who takes it too slowly is cut off, whatever b is part of.
func (v *visitor) Write(b []byte) (int, error) {
	conn := v.NetConn()
	for sent := 0; ; {
		v.writes.begin(conn)
		n, err := conn.Write(b[sent:])
		sent += n
		again := v.writes.end(conn, n, err != nil && timedOut(err))
		if err == nil || !timedOut(err) || !again {
			if err != nil {
				v.unwritable.Store(true)
			}
			return sent, err
		}
	}
}

// WriteBuffers sends all of b, as Write would, with one system call where that can be.
func (v *visitor) WriteBuffers(b *net.Buffers) (sent int64, err error) {
	conn := v.NetConn()
	for {
		v.writes.begin(conn)
		n, err := b.WriteTo(conn)
		sent += n
		again := v.writes.end(conn, int(n), err != nil && timedOut(err))
		if err == nil || !timedOut(err) || !again {
			if err != nil {
				v.unwritable.Store(true)
			}
			return sent, err
		}
	}
}

// SetDeadline sets both deadlines.
func (v *visitor) SetDeadline(t time.Time) error {
	if err := v.Peeked.SetReadDeadline(t); err != nil {
		return err
	}
	return v.SetWriteDeadline(t)
}

// SetWriteDeadline sets a deadline that writes obey beside the one of their own.
func (v *visitor) SetWriteDeadline(t time.Time) error { return v.writes.set(v.NetConn(), t) }

// unmanaged hands deadlines over to whoever relays from now on.
func (v *visitor) unmanaged() {
	v.writes.release()
	_ = v.SetDeadline(time.Time{})
}

// paced holds the visitor to p from now on, and lifts every other deadline.
func (v *visitor) paced(p pace) {
	_ = v.SetDeadline(time.Time{})
	v.writes.hold(p)
}

const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// Close ends the connection and gives its places back. Only the first call counts.
func (v *visitor) Close() error {
	if v.closed.Swap(true) {
		return net.ErrClosed
	}
	// net/http closes a connection to which it could not write before anybody can abort it.
	if v.unwritable.Load() && v.writes.exhausted() {
		relay.Abort(v.NetConn(), &postern.Error{Code: postern.CodeStreamReset})
		v.release()
		return nil
	}
	if v.lingers.Load() && !v.aborted.Load() && !v.unwritable.Load() && !v.edge.ending() {
		v.linger()
	}
	err := v.NetConn().Close()
	v.release()
	return err
}

// linger reads and drops what a visitor still sends after our answer. Closing at
// once would reset the connection, and the reset would destroy the answer before
// the visitor has read it.
func (v *visitor) linger() {
	if v.CloseWrite() != nil {
		return
	}
	_ = v.Peeked.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, io.LimitReader(v.Peeked, lingerBytes))
}

// abort ends the connection so that nobody takes what was sent for the whole.
func (v *visitor) abort(why *postern.Error) {
	v.aborted.Store(true)
	relay.Abort(v.NetConn(), why)
	if !v.closed.Swap(true) {
		v.release()
	}
}

// release gives back everything that the connection held. It runs once.
func (v *visitor) release() {
	v.edge.admission.leave()
	if v.countedAs.IsValid() {
		v.edge.admission.leaveAddress(v.countedAs)
	}
	v.edge.forget(v)
	v.mu.Lock()
	owned := v.owned
	v.owned = nil
	v.mu.Unlock()
	for conn := range owned {
		_ = conn.Close()
	}
}

// own ties an upstream connection to the life of this one; false means that this one
// is over.
func (v *visitor) own(conn *upstreamConn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed.Load() {
		return false
	}
	if v.owned == nil {
		v.owned = make(map[*upstreamConn]struct{})
	}
	v.owned[conn] = struct{}{}
	return true
}

func (v *visitor) disown(conn *upstreamConn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.owned, conn)
}

// visitorOf finds the visitor below TLS and whatever else is on top of it.
func visitorOf(conn net.Conn) *visitor {
	for conn != nil {
		if v, ok := conn.(*visitor); ok {
			return v
		}
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = above.NetConn()
	}
	return nil
}

// requestID is the id of a relayed connection. It is for the goroutine that serves it.
func (v *visitor) requestID() postern.RequestID {
	if v.id == "" {
		v.id = obs.NewRequestID()
	}
	return v.id
}

type visitorKey struct{}

// connContext lets handlers find the visitor.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, visitorOf(conn))
}

func visitorFrom(ctx context.Context) *visitor {
	v, _ := ctx.Value(visitorKey{}).(*visitor)
	return v
}

var _ relay.Conn = (*visitor)(nil)
