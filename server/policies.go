package server

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
)

// newPolicies makes what compiles policies: by what the edge can do.
func newPolicies() *policy.Library {
	return policy.NewLibrary(policy.Editable{Request: edge.EditableRequestHeader, Response: edge.EditableResponseHeader})
}

// compilePolicy compiles the policy of an endpoint that an agent has.
func (s *Server) compilePolicy(e postern.Endpoint) (*policy.Program, error) {
	p, err := s.policies.Compile(string(e.Account)+" "+e.URL.String(), e.Options.Policy.Reveal(), control.PolicyTarget(e.URL.Scheme))
	if err != nil {
		return nil, policy.Coded(err)
	}
	return p, nil
}

// policyWorld is what policies may use of the server.
func (s *Server) policyWorld() policy.World {
	return policy.World{Logger: s.log}
}
