package control

import (
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
func (c *Control) usePolicy(r *link.BindRequest, u postern.URL) error {
	before, err := policy.OfOptions(r.Middleware)
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
	return c.checkPolicy(u, r.Options)
}

// checkPolicy refuses a policy that cannot be held to.
func (c *Control) checkPolicy(u postern.URL, o postern.EndpointOptions) error {
	if c.config.Policies == nil || u.Scheme == postern.UDP {
		return postern.Errorf(postern.CodePolicyPhaseProtocol, "%s endpoints have no traffic policies; leave traffic_policy out", u.Scheme)
	}
	if err := c.config.Policies.Check(o.Policy.Reveal(), PolicyTarget(u, o)); err != nil {
		return policy.Coded(err)
	}
	return nil
}
