package gateway

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/flow"
)

// flowRetry is for how long a source is not heard that was refused.
const flowRetry = time.Second

// newFlows makes every source's datagrams a flow, which is a visit, and one connector's for
// as long as it lasts.
func (e *endpoint) newFlows(conn net.PacketConn) *flow.Server {
	limits := e.gateway.runtime.live.Load().Limits
	return flow.NewServer(conn, flow.Config{
		Open: e.openFlow, Ended: e.flowEnded, HoldOff: flowRetry, FlowsPerSource: limits.ConnectionsPerAddress, Counters: &e.gateway.count.flows,
	})
}

// receive serves a UDP port until its socket is closed, or, when it was handed over, until
// its last flow has ended.
func (e *endpoint) receive(s *openSocket) {
	r := e.gateway.runtime
	if err := s.flows.Serve(r.ctx); err != nil {
		r.log.Error("a gateway's UDP port failed", "gateway", e.gateway.definition.Load().ID, "port", e.key.String(), "error", err)
	}
	s.close()
}

// flowStream is the stream of one source's flow.
type flowStream struct {
	*counted
	stop func() bool // of what ends it by force
}

// openFlow takes the first datagram of a source.
func (e *endpoint) openFlow(ctx context.Context, source netip.AddrPort, first []byte) (net.Conn, error) {
	source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	allowed := func() bool { return e.gateway.definition.Load().admits(source.Addr()) }
	v, why := e.begin(e.gateway.ctx, Consumer{Addr: source}, allowed)
	if why != nil {
		return nil, why
	}
	stop := context.AfterFunc(ctx, func() { v.stop(ended(ctx)) })
	m, stream, why := v.connect(first)
	stop()
	if why != nil {
		v.end(why)
		return nil, why
	}
	v.stream.Stream, v.stream.visit = stream, v
	v.stream.wrote(len(first))
	v.during(m.ctx)
	reset := context.AfterFunc(v.ctx, func() { stream.Reset(ended(v.ctx)) })
	return &flowStream{&v.stream, reset}, nil
}

// flowEnded takes leave of a source.
func (e *endpoint) flowEnded(_ netip.AddrPort, stream net.Conn, r flow.Result) {
	s, ok := stream.(*flowStream)
	if !ok {
		return
	}
	v := s.visit
	var why *postern.Error
	if v.ctx.Err() != nil {
		why = ended(v.ctx)
	} else if r.Why == flow.Failed && r.Err != nil {
		why = postern.AsError(r.Err)
	}
	s.stop()
	v.member.judge(why, s.counted)
	v.leave(v.member)
	v.in, v.out = r.BytesIn, r.BytesOut
	v.end(why)
}
