package edge

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// datagramPort is the socket of a udp endpoint. Each source that sends to it has a flow,
// which is to admission, limits and the access log what a connection is to them.
type datagramPort struct {
	edge   *Edge
	port   uint16
	conn   *net.UDPConn
	server *flow.Server
}

func (e *Edge) newDatagramPort(conn *net.UDPConn, port uint16) *datagramPort {
	d := &datagramPort{edge: e, port: port, conn: conn}
	d.server = flow.NewServer(conn, flow.Config{Open: d.open, Ended: d.ended, Counters: &e.flows})
	return d
}

// serve relays until the socket is closed, the edge is cut, or the last flow has ended
// after the port was handed over.
func (d *datagramPort) serve() error {
	defer d.conn.Close()
	return d.server.Serve(d.edge.ctx)
}

// Close implements io.Closer.
func (d *datagramPort) Close() error { return d.conn.Close() }

// flowStream is the stream of one flow, with what is to be given back at its end.
type flowStream struct {
	*metered
	route    *route.Route
	count    *endpointMetrics
	visit    quota.Visit
	end      func(ok bool)
	admitted netip.Addr
}

// Read implements net.Conn.
func (s *flowStream) Read(b []byte) (int, error) {
	n, err := s.metered.Read(b)
	if s.count != nil {
		s.count.bytes.BToA.Add(int64(n))
	}
	return n, err
}

// Write implements net.Conn.
func (s *flowStream) Write(b []byte) (int, error) {
	n, err := s.metered.Write(b)
	if s.count != nil {
		s.count.bytes.AToB.Add(int64(n))
	}
	return n, err
}

// Readable implements link.Readable.
func (s *flowStream) Readable() bool {
	r, ok := s.Stream.(link.Readable)
	return ok && r.Readable()
}

// open makes the stream of a new source. Every refusal is silent: an answer to somebody
// who may have made up his address would be sent to whoever has it.
func (d *datagramPort) open(_ context.Context, source netip.AddrPort, first []byte) (net.Conn, error) {
	e := d.edge
	if reason := e.admitFlow(source.Addr()); reason != "" {
		e.metrics.rejected(reason)
		return nil, &postern.Error{Code: postern.CodeTooManyConnections}
	}
	s := &flowStream{admitted: source.Addr()}
	if err := d.connect(s, source, first); err != nil {
		s.visit.Leave()
		e.leaveFlow(source.Addr())
		return nil, err
	}
	s.count = e.metrics.endpoint(s.route)
	s.count.connection(1)
	if s.count != nil {
		s.count.bytes.AToB.Add(int64(len(first)))
	}
	return s, nil
}

// connect finds the endpoint, asks who may refuse, and opens the stream.
func (d *datagramPort) connect(s *flowStream, source netip.AddrPort, first []byte) (err error) {
	e := d.edge
	if s.route = e.flowRoute(d.port); s.route == nil {
		e.metrics.rejected(rejectName)
		return &postern.Error{Code: postern.CodeEndpointOffline}
	}
	if refusal := e.restricted(source, s.route); refusal != nil {
		e.metrics.rejected(rejectRestricted)
		e.flowRefused(source, s.route, refusal)
		return refusal
	}
	if _, refusal := s.visit.Enter(s.route.Meter, quota.Connection); refusal != nil {
		e.flowLimited(source, s.route, refusal)
		return refusal
	}
	header := link.Header{ClientAddr: source, Scheme: postern.UDP}
	s.metered, s.end, err = e.openStream(passage{to: s.route}, header, &s.visit, func(route.Member) []byte { return first })
	switch {
	case limited(err):
		e.flowLimited(source, s.route, postern.AsError(err))
	case err != nil:
		e.flowRefused(source, s.route, postern.AsError(err))
	}
	return err
}

// admitFlow gives a flow a place among connections; else it says why there is none.
func (e *Edge) admitFlow(source netip.Addr) (refusal string) {
	limits := e.live.Load().Limits
	switch {
	case e.draining.Load():
		return rejectTotal
	case e.Pressure() >= PressureHigh:
		return rejectMemory
	case !e.admission.enter(limits.Connections):
		return rejectTotal
	case !e.admission.enterAddress(source, limits.ConnectionsPerAddress):
		e.admission.leave()
		return rejectAddress
	}
	return ""
}

func (e *Edge) leaveFlow(source netip.Addr) {
	e.admission.leaveAddress(source)
	e.admission.leave()
}

// ended gives back what a flow held, and writes its line.
func (d *datagramPort) ended(source netip.AddrPort, stream net.Conn, result flow.Result) {
	e, s := d.edge, stream.(*flowStream)
	s.count.connection(-1)
	s.visit.Leave()
	e.leaveFlow(s.admitted)
	var why *postern.Error
	if result.Err != nil {
		why = postern.AsError(result.Err)
	}
	s.end(reachable(why))
	e.flowEnded(source, s.route, result, why)
}

// flowLimited tells of a flow for which an account or credential has no place.
func (e *Edge) flowLimited(source netip.AddrPort, r *route.Route, why *postern.Error) {
	e.metrics.rejected(rejectLimit)
	if also, now := e.refusals.note(time.Now()); now {
		e.logger.InfoContext(e.ctx, "flow refused at a limit", "endpoint", r.URL.String(), "account", r.Account,
			"client", source.String(), "also", also, "error", why)
	}
	e.flowRefused(source, r, why)
}

// flowRefused writes the access log's line of a flow that was never opened.
func (e *Edge) flowRefused(source netip.AddrPort, r *route.Route, why *postern.Error) {
	e.flowEnded(source, r, flow.Result{Began: time.Now()}, why)
}

// flowEnded writes the access log's line of a flow.
func (e *Edge) flowEnded(source netip.AddrPort, r *route.Route, result flow.Result, why *postern.Error) {
	log := e.live.Load().AccessLog
	if log == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", string(obs.NewRequestID())),
		slog.String("kind", string(r.URL.Scheme)),
		slog.String("endpoint", r.URL.String()),
		slog.String("client", source.String()),
		slog.Float64("duration_ms", milliseconds(time.Since(result.Began))),
		slog.Int64("bytes_in", result.BytesIn),
		slog.Int64("bytes_out", result.BytesOut),
		slog.Int64("datagrams_in", result.DatagramsIn),
		slog.Int64("datagrams_out", result.DatagramsOut),
		slog.Int64("datagrams_dropped", result.Dropped),
	}
	if result.Why != "" {
		attrs = append(attrs, slog.String("end", string(result.Why)))
	}
	if why != nil {
		attrs = append(attrs, slog.String("error_code", string(why.Code)))
	}
	log.LogAttrs(e.ctx, slog.LevelInfo, "flow", attrs...)
}

var _ link.Readable = (*flowStream)(nil)
