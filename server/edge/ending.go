package edge

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// termination is a way of ending TLS that policies have asked for, ready for handshakes.
// Its session tickets are good for nothing else.
type termination struct {
	mutual *mutualTLS // nil: visitors are asked for no certificates
	config *tls.Config
}

// terminations are those of one route.
type terminations struct {
	mu    sync.Mutex
	known map[policy.Termination]*termination
}

// mostTerminations bounds what is kept of a route whose policy makes texts of its own for
// each visitor; beyond it all are made anew.
const mostTerminations = 64

// terminationOf gives a way of ending TLS that a policy of r asks for, with authorities
// that are in force.
func (e *Edge) terminationOf(r *route.Route, asked policy.Termination) (*termination, error) {
	all, ok := r.Terminations.Load().(*terminations)
	if !ok {
		all = &terminations{known: make(map[policy.Termination]*termination)}
		r.Terminations.Store(all)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if known := all.known[asked]; known != nil && (known.mutual == nil || known.mutual.current(e, r)) {
		return known, nil
	}
	made, err := e.newTermination(r, asked)
	if err != nil {
		return nil, err
	}
	if len(all.known) >= mostTerminations {
		clear(all.known)
	}
	all.known[asked] = made
	return made, nil
}

func (e *Edge) newTermination(r *route.Route, asked policy.Termination) (*termination, error) {
	base, err := e.tls.own.config(r)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: asked.Least, MaxVersion: asked.Most, GetCertificate: base.GetCertificate, Certificates: base.Certificates}
	if r.URL.Scheme == postern.HTTPS {
		config.NextProtos = []string{alpnHTTP2, alpnHTTP1}
	}
	given, err := asked.Identity()
	if err != nil {
		return nil, err
	}
	if given != nil {
		config.GetCertificate, config.Certificates = nil, []tls.Certificate{given.TLS()}
	}
	made := &termination{config: config}
	clients := asked.MutualTLS
	if !clients.Asks() {
		clients = r.MutualTLS
	}
	if clients.Asks() {
		made.mutual = e.newMutualTLS(r, clients)
		made.mutual.policy.Apply(config, nil)
	}
	return made, nil
}

// ending ends the TLS of a connection to a route while a policy is asked about it.
type ending struct {
	edge  *Edge
	v     *visitor
	route *route.Route

	asked *policy.Termination
	conn  *tls.Conn // once TLS has ended
	gone  bool      // the visitor is, and it was told of
}

// end implements policy.Subject's EndTLS.
func (n *ending) end(asked *policy.Termination) error {
	config, mutual, err := n.how(asked)
	if err != nil {
		n.tell(err)
		return postern.Errorf(postern.CodePolicyFailed, "the endpoint's terminate-tls cannot be carried out").Because(err)
	}
	if config == nil {
		return nil
	}
	ok := false
	if mutual != nil {
		n.conn, ok = n.edge.certify(n.v, n.route, mutual, config)
	} else {
		n.conn, ok = n.edge.handshake(n.v, n.v, config)
	}
	if !ok {
		n.conn, n.gone = nil, true
		return &postern.Error{Code: postern.CodeHungUp}
	}
	n.v.tls, n.asked = n.conn, asked
	return nil
}

// tell has the operator know why visitors cannot come in, at most once a second.
func (n *ending) tell(err error) {
	if also, now := n.edge.refusals.note(time.Now()); now {
		n.edge.logger.WarnContext(n.edge.ctx, "an endpoint's policy cannot end TLS", "endpoint", n.route.URL.String(), "account", n.route.Account, "also", also, "error", err)
	}
}

// how says how TLS ends; a nil configuration leaves it to whoever is behind.
func (n *ending) how(asked *policy.Termination) (*tls.Config, *mutualTLS, error) {
	e, r := n.edge, n.route
	if asked != nil {
		made, err := e.terminationOf(r, *asked)
		if err != nil {
			return nil, nil, err
		}
		return made.config, made.mutual, nil
	}
	mutual := e.mutualOf(r)
	switch {
	case r.URL.Scheme == postern.HTTPS && mutual != nil:
		return mutual.web, mutual, nil
	case r.URL.Scheme == postern.HTTPS:
		return e.tls.web, nil, nil
	case r.Termination == postern.Passthrough:
		return nil, nil, nil
	}
	config, err := e.tls.own.config(r)
	if err == nil && mutual != nil {
		config = mutual.tunnel(config)
	}
	return config, mutual, err
}

// unended tells whether TLS on a relayed connection has still to be ended, whatever its
// policy says.
func (n *ending) unended(conn relay.Conn, passthrough bool) bool {
	return n.route.URL.Scheme == postern.TLS && !passthrough && !n.gone && n.conn == nil && conn == relay.Conn(n.v)
}

// webPoliced is handleWeb for a route whose policy, m's, says how TLS ends: it is asked
// about the connection now, and not again for its requests.
func (e *Edge) webPoliced(v *visitor, r *route.Route, m route.Member, program *policy.Program) {
	n := &ending{edge: e, v: v, route: r}
	ctx, cancel := context.WithDeadline(e.ctx, v.until)
	defer cancel()
	evaluation := program.Begin(&e.config.Policy, policy.Subject{
		Context: ctx, Connection: &visitorFacts{v: v, client: v.client.Addr()}, Endpoint: e.endpointFacts(r, m),
		Scheme: string(postern.HTTPS), Started: v.since, EndTLS: n.end, RequestID: v.requestID, Number: v.number,
	})
	defer evaluation.End(0)
	said := judgement{program: program, client: v.client.Addr()}
	said.verdict, said.err = evaluation.Connect()
	if n.gone {
		return
	}
	if n.conn == nil && said.err == nil && said.verdict.Decision != policy.Close {
		_ = n.end(nil) // the visitor is gone then
		if n.gone {
			return
		}
	}
	if n.conn == nil {
		if said.err != nil {
			n.tell(said.err)
		}
		e.reject(v, rejectPolicy, said.err)
		return
	}
	said.state = evaluation.State()
	v.judgements = append(v.judgements, said)
	v.ended = &ended{program: program, asked: n.asked, first: m}
	e.web(v, n.conn)
}

// ended is that a policy was asked how a visitor's TLS ends.
type ended struct {
	program *policy.Program
	asked   *policy.Termination // nil: it has not said
	first   route.Member        // whose policy it is: the first request is for it; judging guards it
}

// endsTLS gives the member that a connection to r is for, and its policy, where that says
// how TLS ends; else nil.
func endsTLS(r *route.Route) (route.Member, *policy.Program) {
	for _, program := range r.Policies {
		if !program.EndsTLS() {
			continue
		}
		m, err := r.Owner.Pick(nil)
		if err != nil {
			return nil, program
		}
		if program = m.Policy(); program.EndsTLS() {
			return m, program
		}
		return nil, nil
	}
	return nil, nil
}

// mayEndTLS tells whether the policy of some member of r says how TLS ends.
func mayEndTLS(r *route.Route) bool {
	for _, program := range r.Policies {
		if program.EndsTLS() {
			return true
		}
	}
	return false
}

// choose picks a member of a route for the request: the one that the handshake was for,
// then those whose policies the connection can fulfil, then any.
func (x *Exchange) choose(at *route.Route) (route.Member, error) {
	if at != x.route || !mayEndTLS(at) {
		return at.Owner.Pick(nil)
	}
	v := x.visitor
	if v.ended != nil {
		v.judging.Lock()
		first := v.ended.first
		v.ended.first = nil
		v.judging.Unlock()
		if first != nil && first.Policy() == v.ended.program && !isDone(first.Done()) {
			return first, nil
		}
	}
	m, err := at.Owner.Pick(func(m route.Member) bool {
		return m.Policy().EndsTLS() && (v.ended == nil || v.ended.program != m.Policy())
	})
	if err != nil {
		return at.Owner.Pick(nil)
	}
	return m, nil
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// endedBy sees to it that the request's connection was made under the policy that it is
// held to, and for the very name, where that policy says how TLS ends: it may have been made
// before, or for another endpoint, or for no name (RFC 9110 §15.5.20).
func (x *Exchange) endedBy(program *policy.Program) error {
	if !program.EndsTLS() {
		return nil
	}
	v := x.visitor
	if v.ended == nil || v.ended.program != program || v.serverName != x.host {
		x.parts = true
		return postern.Errorf(postern.CodeMisdirected, "the policy of %s says how TLS ends, and this connection was made without it; connect again, with its name in the handshake", x.host)
	}
	if v.ended.asked == nil || !v.ended.asked.MutualTLS.Asks() {
		return nil
	}
	now, err := x.edge.terminationOf(x.route, *v.ended.asked)
	if err != nil {
		return postern.Errorf(postern.CodePolicyFailed, "the endpoint's terminate-tls cannot be carried out").Because(err)
	}
	return x.certifiedBy(now.mutual)
}

// endedAs implements policy.Subject's EndTLS for a request of a client whom a trusted proxy
// has on the connection: it must be held to what was asked of the proxy in the handshake.
func (x *Exchange) endedAs(asked *policy.Termination) error {
	held := x.visitor.ended.asked // endedBy has seen that it is there
	if asked == nil && held == nil || asked != nil && held != nil && *asked == *held {
		return nil
	}
	x.parts = true
	return postern.Errorf(postern.CodeMisdirected, "the policy of %s wants the TLS of this client to end in another way than that of its proxy", x.host)
}
