package edge

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/websocket"
	"github.com/postern-dev/postern/relay"
)

// isCarrier tells whether a request is an agent's that comes in a WebSocket, because
// nothing else gets through between it and us. It may name connect.<domain>, an agent
// ingress, or any host that no endpoint has: reverse proxies often put a name or address
// of their own there. What travels inside is checked as if it had come directly.
func (x *webExchange) isCarrier() bool {
	if !websocket.Asked(x.r) {
		return false
	}
	if x.host == x.edge.connectHost() || x.edge.named(x.host) || x.edge.ingress(x.host) {
		return !x.visitor.secure || x.edge.config.Routes.Load().Agree(x.visitor.serverName, x.host)
	}
	return x.nobodys()
}

// serveCarrier runs an agent's connection that comes in a WebSocket, to its end.
func (x *webExchange) serveCarrier() error {
	x.client = x.clientFacts()
	within := time.Now().Add(x.live.Timeouts.Handshake)
	conn, err := websocket.Accept(x.w, x.r, func() (net.Conn, error) { return x.hijack() }, x.namedAgent())
	if err != nil {
		var refused *postern.Error
		if errors.As(err, &refused) {
			return refused
		}
		return errVisitorGone // the answer was on its way already
	}
	defer conn.Close()
	x.status = http.StatusSwitchingProtocols
	v := x.visitor
	v.unmanaged()
	_ = v.SetDeadline(within)
	first := relay.NewPeeked(conn, peekLimit)
	hello, err := relay.SniffHello(first)
	if err != nil {
		x.edge.reject(v, rejectFirst, err)
		return nil
	}
	secured, ok := x.edge.agentHandshake(v, first, x.edge.tls.agent)
	switch {
	case !ok:
	case secured.ConnectionState().NegotiatedProtocol != alpnAgent:
		x.edge.reject(v, rejectHandshake, postern.Errorf(postern.CodeProtocolViolation, "the peer does not speak %s", alpnAgent))
	default:
		x.edge.serveAgent(v, secured, alpnAgent, x.host, hello.ServerName)
	}
	return nil
}

// serveCarriers answers HTTP on the port that takes agents alone.
func (e *Edge) serveCarriers(w http.ResponseWriter, r *http.Request) {
	x := e.newWebExchange(w, r)
	defer x.finish()
	err := x.check()
	if err == nil {
		err = &postern.Error{Code: postern.CodeWebSocketExpected}
		if websocket.Asked(r) {
			err = x.serveCarrier()
		}
	}
	x.w.Header().Set("Connection", "close")
	if err != nil {
		x.conclude(err)
	}
}

// namedAgent is the agent's address where a trusted proxy has told it; else invalid.
func (x *webExchange) namedAgent() netip.Addr {
	if x.client.addr == x.visitor.client.Addr() {
		return netip.Addr{}
	}
	return x.client.addr
}
