package control

import (
	"encoding/json"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
	"github.com/postern-dev/postern/server/policy"
)

// PolicyTarget is the endpoint that a policy is for.
func PolicyTarget(scheme postern.Scheme) policy.Target { return policy.Target{Scheme: scheme} }

// policyOf is the text of the policy that a request asks for, "" for none. It has been
// found to be usable.
func (c *Control) policyOf(r link.BindRequest) (postern.Secret, error) {
	raw, asked := r.Middleware[sessionmsg.TrafficPolicy]
	if !asked {
		return "", nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", postern.Errorf(postern.CodeBindInvalid, "the traffic policy is not a text").Because(err)
	}
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	return postern.Secret(text), c.checkPolicy(text, r.URL.Scheme)
}

// checkPolicy refuses a policy that cannot be held to.
func (c *Control) checkPolicy(text string, scheme postern.Scheme) error {
	if c.config.Policies == nil || scheme == postern.UDP {
		return postern.Errorf(postern.CodePolicyPhaseProtocol, "%s endpoints have no traffic policies; leave traffic_policy out", scheme)
	}
	if err := c.config.Policies.Check(text, PolicyTarget(scheme)); err != nil {
		return policy.Coded(err)
	}
	return nil
}
