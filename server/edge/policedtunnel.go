package edge

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// judge asks the policies of those that a relayed connection goes to, from the public
// endpoint to the one that serves it, which is the first result. The second is that one's
// policy, which only members that have it may be given the connection of; the last is why
// the connection ends.
//
// Where a policy says so, n ends TLS on the way.
func (e *Edge) judge(v *visitor, r *route.Route, n *ending) (*route.Route, *policy.Program, *postern.Error) {
	var way forwarding
	for at := r; ; at = way.to {
		before := way.hops
		program, refusal := e.judgeOne(v, r, at, &way, n)
		if refusal != nil || way.hops == before {
			return at, program, refusal
		}
	}
}

// judgeOne asks the policy of the member that r's connection would go to at one endpoint
// on its way.
func (e *Edge) judgeOne(v *visitor, public, r *route.Route, way *forwarding, n *ending) (*policy.Program, *postern.Error) {
	if len(r.Policies) == 0 {
		return nil, nil
	}
	program := r.Policies[0]
	m, err := r.Owner.Pick(nil)
	if err == nil {
		program = m.Policy()
	}
	if !program.Connects() {
		return program, nil
	}
	subject := policy.Subject{
		Context: e.ctx, Connection: &visitorFacts{v: v, client: v.client.Addr()}, Endpoint: e.endpointFacts(r, m), Started: v.since, RequestID: v.requestID, Number: v.number,
		Forward: func(to string) error {
			_, err := way.send(e, public, to)
			if err == nil {
				return nil
			}
			return e.forwardFailed(public, to, err)
		},
	}
	if r == public {
		subject.EndTLS = n.end
	}
	evaluation := program.Begin(&e.config.Policy, subject)
	defer evaluation.End(0)
	verdict, err := evaluation.Connect()
	switch {
	case err != nil:
		return nil, postern.AsError(err)
	case verdict.Decision == policy.Forward:
	case verdict.Decision != policy.Continue:
		return nil, &postern.Error{Code: postern.CodeHungUp}
	}
	return program, nil
}
