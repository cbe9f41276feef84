package edge

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// tunnel relays a whole connection to a member of r: of a tcp or tls endpoint. conn
// is v or TLS on top of it, or v before a policy has been asked how TLS ends; first is what
// was read of it already. It owns v.
func (e *Edge) tunnel(v *visitor, conn relay.Conn, first []byte, r *route.Route, passthrough bool) {
	if !e.beginRelay() {
		v.abort(&postern.Error{Code: postern.CodeLinkDraining})
		return
	}
	defer e.relays.Done()
	v.paced(e.live.Load().pace())
	if refusal := e.restricted(v.client, r); refusal != nil {
		e.tunnelRestricted(v, r, refusal)
		return
	}
	var visit quota.Visit
	defer visit.Leave()
	if _, refusal := visit.Enter(r.Meter, quota.Connection); refusal != nil {
		e.tunnelRefused(v, r, refusal)
		return
	}
	n := &ending{edge: e, v: v, route: r}
	through, refusal := e.judge(v, r, n)
	if n.unended(conn, passthrough) && refusal == nil {
		refusal = postern.AsError(n.end(nil))
	}
	switch {
	case n.gone:
		return
	case n.conn != nil:
		conn, passthrough = n.conn, false
		v.paced(e.live.Load().pace())
	case passthrough:
		first = v.Take()
	}
	if refusal != nil {
		e.tunnelEnded(v, r, relay.Result{Err: refusal})
		v.abort(refusal)
		return
	}
	to := through.to
	if to != r {
		v.forwarded = to
		passthrough = to.URL.Scheme == postern.TLS && n.conn == nil
	}
	header := link.Header{ClientAddr: v.client, Scheme: to.URL.Scheme, PassthroughTLS: passthrough}
	s, end, err := e.openStream(through, header, &visit, func(m route.Member) []byte {
		return append(e.proxyHeader(v, m), first...)
	})
	if limited(err) {
		e.tunnelRefused(v, r, postern.AsError(err))
		return
	}
	if err != nil {
		e.tunnelEnded(v, r, relay.Result{Err: postern.AsError(err)})
		v.abort(postern.AsError(err))
		return
	}
	count := e.metrics.endpoint(r)
	count.connection(1)
	result := relay.Pipe(e.ctx, conn, s, relay.Options{Counters: count.counters()})
	count.connection(-1)
	_ = v.Close()
	end(reachable(result.Err))
	result.AToB += int64(len(first))
	e.tunnelEnded(v, r, result)
}

// beginRelay counts a relay in, unless the edge is ending.
func (e *Edge) beginRelay() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.relays.Add(1)
	return true
}

// openStream opens a stream to the member whose policy was asked, else to the best one, or
// to the next one where the link could not take it, or its credential is at a limit: of
// those that there are, and then of those that come within route.ReturnTime. first makes
// the bytes that travel with the open. visit gets its place at the member's credential.
// Members with another policy than that which has let the connection pass are not asked.
func (e *Edge) openStream(
	through passage, h link.Header, visit *quota.Visit, first func(route.Member) []byte,
) (s *metered, end func(ok bool), err error) {
	r := through.to
	ctx, cancel := context.WithTimeout(e.ctx, e.live.Load().Timeouts.Open)
	defer cancel()
	var tried []route.Member
	try := func(m route.Member) (over bool) {
		tried = append(tried, m)
		if !m.Policy().Same(through.program) {
			err = either[error](err, postern.Errorf(postern.CodeEndpointOffline, "the endpoint %s is offline", r.URL))
			return false
		}
		meter := m.Meter()
		if _, refusal := visit.Enter(meter, quota.Connection); refusal != nil {
			err = refusal
			return false
		}
		busy, early := m.Begin(), first(m)
		var opened link.Stream
		if opened, err = m.Open(ctx, h, early); err == nil {
			meter.In(len(early))
			s, end = &metered{Stream: opened, meter: meter}, busy
			return true
		}
		busy(reachable(err))
		return !unsent(err)
	}
	if m := through.first; m != nil && try(m) {
		return s, end, err
	}
	for {
		m, none := r.Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m) })
		if none != nil {
			if err == nil {
				err = none // else the link's own error says more
			}
			break
		}
		if try(m) {
			return s, end, err
		}
	}
	if e.config.Recent != nil && !limited(err) {
		e.await(e.returning(r), func() bool {
			m, _ := e.another(r, tried)
			return m != nil && try(m)
		})
	}
	return s, end, err
}

// unsent tells whether an open failed before anything was sent, so that another
// member may be tried.
func unsent(err error) bool {
	return postern.HasCode(err, postern.CodeLinkLost) || postern.HasCode(err, postern.CodeLinkDraining)
}

// reachable tells whether a member's service could be reached, for its health; an
// error of the visitor's, or later trouble, says nothing against it.
func reachable(err error) bool {
	if err == nil {
		return true
	}
	for _, code := range []postern.Code{postern.CodeLinkLost, postern.CodeLinkDraining, postern.CodeUpstreamUnreachable} {
		if isCode(err, code) {
			return false
		}
	}
	return true
}

// isCode is postern.HasCode for errors that may be a nil *postern.Error.
func isCode(err error, code postern.Code) bool {
	if coded, ok := err.(*postern.Error); ok && coded == nil {
		return false
	}
	return postern.HasCode(err, code)
}

// proxyHeader is what an endpoint with PROXY protocol gets before the first byte.
func (e *Edge) proxyHeader(v *visitor, m route.Member) []byte {
	version := m.Options().ProxyProtocol
	if version == 0 {
		return nil
	}
	header, err := relay.ProxyHeader(version, v.client, v.local)
	if err != nil {
		e.logger.WarnContext(e.ctx, "an endpoint's PROXY protocol option is ignored", "endpoint_id", m.ID(), "error", err)
	}
	return header
}

// tunnelEnded writes the access log's line of a relayed connection.
func (e *Edge) tunnelEnded(v *visitor, r *route.Route, result relay.Result) {
	log := e.live.Load().AccessLog
	if log == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", string(v.requestID())),
		slog.String("kind", string(r.URL.Scheme)),
		slog.String("endpoint", r.URL.String()),
		slog.String("client", v.client.String()),
		slog.Float64("duration_ms", milliseconds(time.Since(v.since))),
		slog.Int64("bytes_in", result.AToB),
		slog.Int64("bytes_out", result.BToA),
	}
	if v.forwarded != nil {
		attrs = append(attrs, slog.String("forwarded_to", v.forwarded.URL.String()))
	}
	if v.serverName != "" {
		attrs = append(attrs, slog.String("server_name", string(v.serverName)))
	}
	attrs = append(attrs, v.certificateAttrs()...)
	if result.Err != nil {
		attrs = append(attrs, slog.String("error_code", string(result.Err.Code)))
	}
	log.LogAttrs(e.ctx, slog.LevelInfo, "connection", attrs...)
}
