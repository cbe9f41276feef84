package edge

import (
	"bytes"
	"crypto/tls"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/route"
)

// Application protocols (ALPN).
const (
	alpnAgent = "postern/1"
	alpnSSH   = "ssh" // on no wire: what an SSH client is called when it is handed over
	alpnHTTP2 = "h2"
	alpnHTTP1 = "http/1.1"
)

// tlsConfigs are the ways in which we end TLS ourselves. They are made once, so that
// session tickets work from one connection to the next.
type tlsConfigs struct {
	web     *tls.Config
	agent   *tls.Config
	carrier *tls.Config // for agents behind what speaks HTTP
	own     *certificates
}

func newTLSConfigs(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) tlsConfigs {
	base := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate}
	web, agent := base.Clone(), base.Clone()
	web.NextProtos = []string{alpnHTTP2, alpnHTTP1}
	agent.NextProtos = []string{alpnAgent}
	agent.DynamicRecordSizingDisabled = true // a link only pays for small records
	carrier := agent.Clone()
	carrier.NextProtos = []string{alpnHTTP1}
	return tlsConfigs{web: web, agent: agent, carrier: carrier, own: &certificates{base: base, parsed: make(map[pair]*tls.Config)}}
}

// handleTLS tells apart who shares the TLS port. It owns v.
func (e *Edge) handleTLS(v *visitor) {
	first, err := v.Peek(1)
	if err != nil {
		e.reject(v, rejectFirst, err)
		return
	}
	if !relay.IsTLS(first[0]) {
		e.handleNotTLS(v)
		return
	}
	hello, err := relay.SniffHello(v.Peeked)
	if err != nil {
		e.reject(v, rejectFirst, err)
		return
	}
	v.serverName = hello.ServerName
	if e.proveTLS(v, hello.ServerName, hello.ALPN) {
		return
	}
	if r := e.tlsRoute(hello.ServerName); r != nil && !e.agentsFirst(hello.ServerName, r) {
		e.handleTLSRoute(v, r)
		return
	}
	switch {
	case hello.Offers(alpnAgent):
		e.handleAgent(v)
	case e.named(hello.ServerName):
		e.handleConnector(v)
	case len(hello.ALPN) > 0:
		e.handleWeb(v)
	case hello.ServerName == e.connectHost() || e.maybeAgent(hello.ServerName):
		e.handleUnknown(v)
	default:
		e.handleWeb(v)
	}
}

func (e *Edge) connectHost() postern.Hostname { return "connect." + e.config.Domain }

// maybeAgent tells whether an SDK may have dialled the name: an address (which gives
// no server name at all), our bare domain, or an account's agent ingress. Names with a
// route are visitors'.
func (e *Edge) maybeAgent(name postern.Hostname) bool {
	if name == "" {
		return true
	}
	r := e.config.Routes.Load().HTTP(name, true)
	return e.ingress(name) && (r == nil || e.agentsFirst(name, r)) || name == e.config.Domain && r == nil
}

// ingress tells whether a name is an account's agent ingress, or below one.
func (e *Edge) ingress(name postern.Hostname) bool {
	_, _, found := e.config.Access.Ingress(name)
	return found
}

// agentsFirst tells whether a name is agents' although r has it: an endpoint for all names
// of a domain does not take the ingress below it away from its agents.
func (e *Edge) agentsFirst(name postern.Hostname, r *route.Route) bool {
	return r.URL.Host.Wildcard() && e.ingress(name)
}

// handshake ends TLS within the deadline of the first bytes. It runs on a goroutine
// of its own: a handshake needs a stack of 16 KiB or more, which the visitor's
// goroutine would keep for as long as the connection lives.
func (e *Edge) handshake(v *visitor, below net.Conn, config *tls.Config) (*tls.Conn, bool) {
	conn, err := e.tryHandshake(v, below, config)
	if err != nil {
		e.reject(v, rejectHandshake, err)
		return nil, false
	}
	return conn, true
}

func (e *Edge) tryHandshake(v *visitor, below net.Conn, config *tls.Config) (*tls.Conn, error) {
	conn := tls.Server(below, config)
	_ = v.SetDeadline(v.until)
	shaken := make(chan error, 1)
	go func() { shaken <- e.shake(conn) }()
	return conn, <-shaken
}

// shake ends TLS. A panic must end the connection at most; the one who serves the
// connection could not catch it, on another goroutine.
func (e *Edge) shake(conn *tls.Conn) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			e.logger.ErrorContext(e.ctx, "a TLS handshake panicked", "panic", problem, "stack", string(debug.Stack()))
			err = &postern.Error{Code: postern.CodeInternal}
		}
	}()
	return conn.HandshakeContext(e.ctx)
}

// handleWeb hands a visitor of an https endpoint to the HTTP server.
func (e *Edge) handleWeb(v *visitor) {
	if r := e.webRoute(v.serverName); r != nil {
		if m, program := endsTLS(r); program != nil && e.restricted(v.client, r) == nil {
			e.webPoliced(v, r, m, program)
			return
		}
		if m := e.mutualOf(r); m != nil {
			if conn, ok := e.certify(v, r, m, m.web); ok {
				e.web(v, conn)
			}
			return
		}
	}
	if conn, ok := e.handshake(v, v, e.tls.web); ok {
		e.web(v, conn)
	}
}

// handleConnector is handleWeb for a name to which connectors of private gateways come.
// As those of agents, the handshakes of thousands that come back together take turns.
func (e *Edge) handleConnector(v *visitor) {
	if conn, ok := e.agentHandshake(v, v, e.tls.web); ok {
		e.web(v, conn)
	}
}

// web hands over a connection whose handshake is done.
func (e *Edge) web(v *visitor, conn *tls.Conn) {
	v.secure, v.tls = true, conn
	if conn.ConnectionState().NegotiatedProtocol == alpnHTTP2 {
		e.front().web.take(v, conn)
		return
	}
	e.converse(v, conn)
}

// handleUnknown ends TLS for somebody who may be an agent and offered no protocol, as
// ngrok's SDKs and many reverse proxies do, and looks at the first byte behind it: an
// agent's first frame is shorter than 64 KiB, so its length starts with a zero; HTTP
// starts with a letter.
func (e *Edge) handleUnknown(v *visitor) {
	if conn := e.unlessSDK(v); conn != nil {
		e.converse(v, conn)
	}
}

// unlessSDK serves an SDK, and gives the connection back of whoever speaks HTTP.
func (e *Edge) unlessSDK(v *visitor) relay.Conn {
	conn, ok := e.agentHandshake(v, v, e.tls.carrier)
	if !ok {
		return nil
	}
	peeked := relay.NewPeeked(conn, peekLimit)
	first, err := peeked.Peek(1)
	if err != nil {
		e.reject(v, rejectFirst, err)
		return nil
	}
	if first[0] == 0 {
		e.all.Go(func() { e.serveAgent(v, peeked, "") })
		return nil
	}
	v.secure, v.tls = true, conn
	return peeked
}

// handleAgents serves the port that takes agents alone.
func (e *Edge) handleAgents(v *visitor) {
	hello, err := relay.SniffHello(v.Peeked)
	if err != nil {
		e.reject(v, rejectFirst, err)
		return
	}
	v.serverName = hello.ServerName
	if hello.Offers(alpnAgent) || len(hello.ALPN) > 0 && !hello.Offers(alpnHTTP1) {
		e.handleAgent(v)
		return
	}
	if conn := e.unlessSDK(v); conn != nil {
		e.front().carriers.takeHTTP1(v, conn)
	}
}

// handleAgent serves somebody who can only be an agent.
func (e *Edge) handleAgent(v *visitor) {
	if conn, ok := e.agentHandshake(v, v, e.tls.agent); ok {
		alpn := conn.ConnectionState().NegotiatedProtocol
		e.all.Go(func() { e.serveAgent(v, conn, alpn) })
	}
}

// agentHandshake is handshake when it is the agent's turn. first stands on v, and has
// the ClientHello.
func (e *Edge) agentHandshake(v *visitor, first sniffed, config *tls.Config) (*tls.Conn, bool) {
	leave, ok := e.agentGate.enter(e.ctx)
	if !ok {
		e.reject(v, rejectHandshake, &postern.Error{Code: postern.CodeServerBusy})
		return nil, false
	}
	defer leave()
	v.until = time.Now().Add(e.live.Load().Timeouts.Handshake) // the wait was our doing
	var below net.Conn = &turn{sniffed: first, leave: leave}
	if config == e.tls.agent { // others send no batches
		below = link.NewWire(below)
	}
	return e.handshake(v, below, config)
}

// serveAgent runs an agent's connection to its end. It takes days, so it begins on a
// goroutine of its own where it can: what a connection goes through before needs twice
// the stack that it keeps.
//
// inside are the names that it has come by besides the one of its TLS connection.
func (e *Edge) serveAgent(v *visitor, conn net.Conn, alpn string, inside ...postern.Hostname) {
	v.unmanaged()
	defer v.Close() // only then: for a moment it counts as a visitor, and none is overlooked
	e.agents.Start()
	defer e.agents.Finish()
	e.config.Agents(link.WithServerNames(e.ctx, append(inside, v.serverName)...), conn, alpn)
}

// sshGreeting is how an SSH client begins (RFC 4253 §4.2). Those that wait for the
// server's word first are served by the listener for SSH alone.
const sshGreeting = "SSH-"

// handleNotTLS serves SSH clients, answers plain HTTP with advice, and everything else
// not at all.
func (e *Edge) handleNotTLS(v *visitor) {
	if first, err := v.Peek(1); err == nil && first[0] == sshGreeting[0] {
		if first, err := v.Peek(len(sshGreeting)); err == nil && bytes.HasPrefix(first, []byte(sshGreeting)) {
			e.handleSSH(v)
			return
		}
	}
	first, err := v.Peek(1)
	if err != nil || first[0] < 'A' || first[0] > 'Z' {
		e.reject(v, rejectFirst, postern.Errorf(postern.CodeTLSRequired, "the first byte is not TLS"))
		return
	}
	_ = v.SetReadDeadline(time.Time{})
	e.front().advice.take(v, v)
}

// handleSSH serves an SSH client, whose login has deadlines of its own.
func (e *Edge) handleSSH(v *visitor) { e.all.Go(func() { e.serveAgent(v, v, alpnSSH) }) }

// handlePlain serves a visitor of the plain HTTP port; the deadline for the head
// begins at once.
func (e *Edge) handlePlain(v *visitor) { e.converse(v, v) }

// handleTLSRoute serves a tls endpoint.
func (e *Edge) handleTLSRoute(v *visitor, r *route.Route) {
	if r.Termination == postern.Passthrough || mayEndTLS(r) {
		e.tunnel(v, v, nil, r, r.Termination == postern.Passthrough)
		return
	}
	config, err := e.tls.own.config(r)
	if err != nil {
		e.logger.WarnContext(e.ctx, "an endpoint's certificate cannot be used", "endpoint", r.URL.String(), "error", err)
		e.reject(v, rejectHandshake, err)
		return
	}
	if m := e.mutualOf(r); m != nil {
		if conn, ok := e.certify(v, r, m, m.tunnel(config)); ok {
			e.tunnel(v, conn, nil, r, false)
		}
		return
	}
	if conn, ok := e.handshake(v, v, config); ok {
		e.tunnel(v, conn, nil, r, false)
	}
}

// certificates keeps TLS configurations for certificates that agents supplied.
type certificates struct {
	base   *tls.Config
	mu     sync.Mutex
	parsed map[pair]*tls.Config
}

type pair struct {
	certificate string
	key         postern.Secret
}

// mostCertificates bounds the memory; beyond it all are read anew.
const mostCertificates = 1024

func (c *certificates) config(r *route.Route) (*tls.Config, error) {
	if r.CertificatePEM == "" {
		return c.base, nil
	}
	key := pair{r.CertificatePEM, r.Key}
	c.mu.Lock()
	defer c.mu.Unlock()
	if config := c.parsed[key]; config != nil {
		return config, nil
	}
	certificate, err := tls.X509KeyPair([]byte(r.CertificatePEM), []byte(r.Key.Reveal()))
	if err != nil {
		return nil, err
	}
	if len(c.parsed) >= mostCertificates {
		clear(c.parsed)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	c.parsed[key] = config
	return config, nil
}
