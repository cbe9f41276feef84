package edge

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// passage is whom a relayed connection is for, as far as policies have said.
type passage struct {
	to      *route.Route    // the endpoint that serves it
	program *policy.Program // that one's policy: only members that have it may be given the connection
	first   route.Member    // whose policy was asked, to be tried first; nil where nobody was there
}

// judge asks the policies of those that a relayed connection goes to, from the public
// endpoint to the one that serves it. A refusal is why the connection ends.
//
// Where a policy says so, n ends TLS on the way.
func (e *Edge) judge(v *visitor, r *route.Route, n *ending) (passage, *postern.Error) {
	var way forwarding
	for at := r; ; at = way.to {
		before := way.hops
		through, refusal := e.judgeOne(v, r, at, &way, n)
		if refusal != nil || way.hops == before {
			return through, refusal
		}
	}
}

// judgeOne asks the policy of the member that r's connection would go to at one endpoint
// on its way.
func (e *Edge) judgeOne(v *visitor, public, r *route.Route, way *forwarding, n *ending) (passage, *postern.Error) {
	through := passage{to: r}
	if len(r.Policies) == 0 {
		return through, nil
	}
	through.program = r.Policies[0]
	if m, err := r.Owner.Pick(nil); err == nil {
		through.first, through.program = m, m.Policy()
	}
	program := through.program
	if !program.Connects() {
		return through, nil
	}
	subject := policy.Subject{
		Context: e.ctx, Connection: &visitorFacts{v: v, client: v.client.Addr()}, Endpoint: e.endpointFacts(r, through.first), Started: v.since, RequestID: v.requestID, Number: v.number,
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
		return through, postern.AsError(err)
	case verdict.Decision == policy.Forward:
	case verdict.Decision != policy.Continue:
		return through, &postern.Error{Code: postern.CodeHungUp}
	}
	return through, nil
}
