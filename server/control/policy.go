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
func PolicyTarget(scheme postern.Scheme, internal bool) policy.Target {
	return policy.Target{Scheme: scheme, Internal: internal}
}

// policyOf is the text of the policy that a request asks for, "" for none. It has been
// found to be usable.
func (c *Control) policyOf(r link.BindRequest, t policy.Target) (postern.Secret, error) {
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
	return postern.Secret(text), c.checkPolicy(text, t)
}

// checkPolicy refuses a policy that cannot be held to.
func (c *Control) checkPolicy(text string, t policy.Target) error {
	if c.config.Policies == nil || t.Scheme == postern.UDP {
		return postern.Errorf(postern.CodePolicyPhaseProtocol, "%s endpoints have no traffic policies; leave traffic_policy out", t.Scheme)
	}
	if err := c.config.Policies.Check(text, t); err != nil {
		return policy.Coded(err)
	}
	return nil
}
