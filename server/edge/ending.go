package edge

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

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
