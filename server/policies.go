package server

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cloud"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/body"
)

// newPolicies makes what compiles policies: by what the edge can do, and by what the
// operator has given it to look places up in.
func newPolicies(g Geo) *policy.Library {
	var unset []policy.Unset
	if g.File == "" {
		unset = append(unset, policy.Unset{Names: []string{"conn.geo", "conn.client_ip.geo", "conn.server_ip.geo"}, Why: "geo.file is not set"})
	}
	if g.ASFile == "" {
		unset = append(unset, policy.Unset{Names: []string{"conn.client_ip.as", "conn.server_ip.as"}, Why: "geo.as_file is not set"})
	}
	return policy.NewLibrary(policy.Editable{Request: edge.EditableRequestHeader, Response: edge.EditableResponseHeader}, unset...)
}

// compilePolicy compiles the policy of an endpoint that an agent has.
func (s *Server) compilePolicy(e postern.Endpoint) (*policy.Program, error) {
	p, err := s.compiled(e)
	if err != nil {
		return nil, policy.Coded(err)
	}
	s.warn(p, e.URL, e.Account)
	return p, nil
}

// compiled is the program of an endpoint that an agent has, the same one for as long as it
// is in use.
func (s *Server) compiled(e postern.Endpoint) (*policy.Program, error) {
	return s.policies.Compile(string(e.Account)+" "+e.URL.String(), e.Options.Policy.Reveal(), control.PolicyTarget(e.URL, e.Options))
}

// warn tells of what a policy may do otherwise than somebody wants.
func (s *Server) warn(p *policy.Program, of postern.URL, account postern.AccountID) {
	for _, warning := range p.Warnings() {
		s.log.Warn("a traffic policy may not do what is wanted", "endpoint", of.String(), "account", account, "place", warning.Where, "line", warning.Line, "warning", warning.Message)
	}
}

// compileCloud compiles the policy of a cloud endpoint.
func (s *Server) compileCloud(e cloud.Endpoint) (*policy.Program, error) {
	p, err := s.policies.Compile(string(e.ID), e.Policy, policy.Target{Scheme: e.URL.Scheme, Internal: e.URL.Internal(), Last: true})
	if err != nil {
		return nil, policy.Coded(err)
	}
	s.warn(p, e.URL, e.Account)
	return p, nil
}

// bodyMemory is what encoders and decoders of bodies may hold, all together: it is enough
// for some 170 answers that are compressed at the same time.
const bodyMemory = 256 << 20

// policyWorld is what policies may use of the server.
func (s *Server) policyWorld() policy.World {
	w := policy.World{
		Secret: newPolicySecrets(s.service.SecretValue).get, Log: newPolicyLog(s.log, s.registry).write, Addresses: s.doors.List, Calls: s.outcalls, Bodies: body.NewEncoders(body.NewBudget(bodyMemory)),
		Signer: s.sealing, Passwords: password.New(password.Ordinary()),
	}
	if s.places != nil {
		w.Places = s.places
	}
	return w
}
