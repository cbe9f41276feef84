package edge

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// judge asks the policy of the member that a relayed connection would go to. The result is
// that policy, which only members that have it may be given the connection of; or why the
// connection ends.
func (e *Edge) judge(v *visitor, r *route.Route) (*policy.Program, *postern.Error) {
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
	evaluation := program.Begin(&e.config.Policy, policy.Subject{
		Context: e.ctx, Connection: &visitorFacts{v: v, client: v.client.Addr()}, Endpoint: e.endpointFacts(r, m), Started: v.since,
	})
	defer evaluation.End(0)
	verdict, err := evaluation.Connect()
	switch {
	case err != nil:
		return nil, postern.AsError(err)
	case verdict.Decision != policy.Continue:
		return nil, &postern.Error{Code: postern.CodeHungUp}
	}
	return program, nil
}
