package edge

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

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
