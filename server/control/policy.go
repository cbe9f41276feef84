package control

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
	"github.com/postern-dev/postern/server/policy"
)

// PolicyTarget is what the policy of an endpoint is compiled for.
func PolicyTarget(u postern.URL, o postern.EndpointOptions) policy.Target {
	return policy.Target{Scheme: u.Scheme, Internal: u.Internal(), Before: o.PolicyBefore}
}

// usePolicy has the endpoint be held to the policy that r asks for, after it was found to
// be usable. What is empty of its URL is to be chosen.
func (s *session) usePolicy(ctx context.Context, r *link.BindRequest, u postern.URL) error {
	if err := useConverter(r, u.Scheme); err != nil {
		return err
	}
	if err := useErrorPages(r, u); err != nil {
		return err
	}
	before, err := policy.OfOptions(r.Middleware, u.Scheme)
	if err != nil {
		return err
	}
	text := ""
	if raw, asked := r.Middleware[sessionmsg.TrafficPolicy]; asked {
		if err := json.Unmarshal(raw, &text); err != nil {
			return postern.Errorf(postern.CodeBindInvalid, "the traffic policy is not a text").Because(err)
		}
	}
	if strings.TrimSpace(text) == "" && before == "" {
		return nil
	}
	r.Options.Policy, r.Options.PolicyBefore = postern.Secret(text), before
	return s.checkPolicy(ctx, u, r.Options)
}

// useConverter has visitors' WebSockets converted, where r asks for it.
func useConverter(r *link.BindRequest, scheme postern.Scheme) error {
	if _, asked := r.Middleware[sessionmsg.WebSocketConverter]; !asked {
		return nil
	}
	switch {
	case scheme != postern.HTTP && scheme != postern.HTTPS:
		return postern.Errorf(postern.CodeBindInvalid, "websocket_tcp_converter is for http and https endpoints, this one is %s", scheme)
	case r.Options.UpstreamProtocol == postern.HTTP2:
		return postern.Errorf(postern.CodeBindInvalid, "websocket_tcp_converter gives the service plain TCP; leave the upstream protocol http2 out")
	}
	r.Options.WebSocketTCP = true
	return nil
}

// checkPolicy refuses a policy that cannot be held to.
func (s *session) checkPolicy(ctx context.Context, u postern.URL, o postern.EndpointOptions) error {
	policies := s.control.config.Policies
	if policies == nil || u.Scheme == postern.UDP {
		return postern.Errorf(postern.CodePolicyPhaseProtocol, "%s endpoints have no traffic policies; leave traffic_policy out", u.Scheme)
	}
	program, err := policies.Try(o.Policy.Reveal(), PolicyTarget(u, o))
	if err != nil {
		return policy.Coded(err)
	}
	if program.EndsTLS() && o.MutualTLS.Asks() {
		return postern.Errorf(postern.CodeBindInvalid, "both the option for mutual TLS and terminate-tls of the traffic policy say how TLS ends; leave one of them out")
	}
	return s.checkNamed(ctx, program)
}

// checkNamed refuses a policy that names certificate authorities which the account has not
// uploaded.
func (s *session) checkNamed(ctx context.Context, program *policy.Program) error {
	authority := s.control.config.Authority
	lacks := program.Lacks(func(id string) bool { return authority != nil && authority(ctx, s.info.Account, id) == nil })
	if len(lacks) > 0 {
		return lacks.Coded()
	}
	return nil
}
