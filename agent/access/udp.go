package access

import (
	"context"
	"net"
	"net/netip"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
)

// udpDoor is a socket for one UDP port. Each source has a flow of its own.
type udpDoor struct {
	access *Access
	port   Port
	conn   net.PacketConn
}

func (d *udpDoor) wants() *Port   { return &d.port }
func (d *udpDoor) addr() net.Addr { return d.conn.LocalAddr() }
func (d *udpDoor) to() string     { return d.port.String() }
func (d *udpDoor) close()         { _ = d.conn.Close() }

func (d *udpDoor) serve(ctx context.Context) {
	defer d.close()
	p := d.port.target()
	server := flow.NewServer(d.conn, flow.Config{
		Open: func(ctx context.Context, _ netip.AddrPort, first []byte) (net.Conn, error) {
			return d.access.openFlow(ctx, p, first)
		},
		Ended: func(_ netip.AddrPort, _ net.Conn, r flow.Result) { d.access.flowEnded(p, r) },
		Flows: d.access.config.Flows, FlowsPerSource: d.access.config.Flows,
	})
	if err := server.Serve(ctx); err != nil {
		d.access.log.ErrorContext(ctx, "a UDP socket failed", "addr", d.addr().String(), "error", err)
	}
}

// openFlow opens a flow's stream, with its first datagram.
func (a *Access) openFlow(ctx context.Context, p link.GatewayPort, first []byte) (link.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	st, err := a.config.Dialer.DialEarly(ctx, p)
	if err != nil {
		a.refused(ctx, p, err)
		return nil, err
	}
	if _, err := st.Write(first); err != nil {
		_ = st.Close()
		a.refused(ctx, p, err)
		return nil, err
	}
	return st, nil
}

// flowEnded tells of a flow that was refused.
func (a *Access) flowEnded(p link.GatewayPort, r flow.Result) {
	if r.Why == flow.Failed && r.DatagramsOut == 0 {
		a.refused(a.work, p, r.Err)
		return
	}
	a.well(p)
}
