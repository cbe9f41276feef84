package tunnel

import (
	"net"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
)

// packetConn is a UDP connection to a gateway's port: a stream of datagrams.
type packetConn struct {
	gatewayConn

	reading sync.Mutex
	reader  *flow.Reader

	writing sync.Mutex
	unsent  []byte // of a datagram that has begun when a deadline passed
}

func newPacketConn(st link.Stream, remote publicAddr) *packetConn {
	return &packetConn{gatewayConn: gatewayConn{Stream: st, remote: remote}, reader: flow.NewReader(st)}
}

// Read gives one datagram; what p has no room for is lost.
func (c *packetConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	payload, err := c.reader.Next()
	return copy(p, payload), err
}

// ReadFrom is Read; the address is always RemoteAddr.
func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := c.Read(p)
	return n, c.remote, err
}

// Write sends p as one datagram. More than 65,507 bytes are no datagram.
func (c *packetConn) Write(p []byte) (int, error) {
	if len(p) > flow.MaxDatagram {
		return 0, flow.ErrTooLong
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	rest := flow.Append(c.unsent, p)
	before := len(c.unsent)
	n, err := c.Stream.Write(rest)
	switch {
	case err == nil:
		c.unsent = nil
		return len(p), nil
	case n <= before:
		c.unsent = rest[n:before] // p has not begun, and does not
	default:
		c.unsent = rest[n:] // the stream is of no use without the end
	}
	return 0, err
}

// WriteTo is Write; the address must be RemoteAddr.
func (c *packetConn) WriteTo(p []byte, to net.Addr) (int, error) {
	if to == nil || to.String() != c.remote.text {
		return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: to, Err: net.ErrWriteToConnected}
	}
	return c.Write(p)
}

// Close ends the flow.
func (c *packetConn) Close() error {
	err := c.gatewayConn.Close()
	c.release()
	return err
}

// Reset ends the flow abnormally.
func (c *packetConn) Reset(why *postern.Error) {
	c.gatewayConn.Reset(why)
	c.release()
}

// release gives the reader's buffers back, behind a Read that the end has freed.
func (c *packetConn) release() {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.reader.Release()
}

// Interface guards.
var (
	_ net.Conn       = (*packetConn)(nil)
	_ net.PacketConn = (*packetConn)(nil)
)
