package policy

import (
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/policy/expression"
)

// The bounds of a restriction.
const (
	mostNetworks   = 1000
	mostIPPolicies = 100
)

// restrictIPs lets those pass whose address is allowed and not denied.
func restrictIPs() kind {
	return kind{
		name: "restrict-ips", phases: in(inTCP, inRequest, inResponse),
		build: func(c *config) action {
			a := &restriction{enforced: c.boolean("enforce", true), policies: c.texts("ip_policies", mostIPPolicies)}
			var rules []access.Rule
			for _, name := range []string{"allow", "deny"} {
				for _, item := range c.list(name, mostNetworks) {
					rule, made := c.network(name, item)
					if made == nil {
						rules = append(rules, rule)
						continue
					}
					a.filled = append(a.filled, filledNetwork{made, rule.Deny})
				}
			}
			a.list = access.NewList(rules)
			if len(rules)+len(a.filled)+len(a.policies) == 0 {
				c.fault("allow", "it allows nobody: give allow, deny or ip_policies")
			}
			return a
		},
	}
}

// network reads a network of allow or deny: a rule, or a template for one.
func (c *config) network(name string, item *node) (access.Rule, *expression.Template) {
	rule := access.Rule{Deny: name == "deny"}
	made := c.templateOf(name, item)
	if made == nil {
		return rule, nil
	}
	text, constant := made.Constant()
	if !constant {
		return rule, made
	}
	var ok bool
	if rule.Network, ok = access.ParseNetwork(strings.TrimSpace(text)); !ok {
		c.compiler.report(postern.CodePolicyValueInvalid, item, c.place(name), "%q is not a network such as 192.0.2.0/24 or 2001:db8::/32", clip(text))
	}
	return rule, nil
}

type restriction struct {
	enforced bool
	list     *access.List
	filled   []filledNetwork
	policies []string
}

// filledNetwork is a network that is known once there is a visitor.
type filledNetwork struct {
	template *expression.Template
	deny     bool
}

func (a *restriction) run(e *Evaluation) (Verdict, error) {
	client := e.subject.Connection.Client()
	allowed, denied, err := a.match(e, client)
	if err != nil {
		return Verdict{}, err
	}
	passes := allowed.IsValid() && !denied.IsValid()
	result := map[string]any{"action": "allow", "matched_cidr": textOf(allowed)}
	e.result("restrict_ips", result)
	if passes {
		return Verdict{}, nil
	}
	why := postern.Errorf(postern.CodeVisitorAddressRefused, "Request blocked by the endpoint's policy: %s", client.Unmap())
	result["action"], result["matched_cidr"], result["error"] = "deny", textOf(denied), fault(why)
	switch {
	case !a.enforced:
		return Verdict{}, nil
	case e.request == nil:
		return Verdict{Decision: Close}, nil
	}
	return Verdict{Decision: Respond, Answer: &Answer{Status: why.Code.Entry().Status, Failure: why}}, nil
}

// match finds by which networks an address is allowed and denied. A policy that is not
// there may be one that denies: nobody passes without it.
func (a *restriction) match(e *Evaluation, client netip.Addr) (allowed, denied netip.Prefix, err error) {
	lists := make([]*access.List, 0, 2+len(a.policies))
	lists = append(lists, a.list)
	if len(a.filled) > 0 {
		list, err := a.fill(e)
		if err != nil {
			return allowed, denied, err
		}
		lists = append(lists, list)
	}
	for _, id := range a.policies {
		list, found := e.addresses(id)
		if !found {
			return allowed, denied, postern.Errorf(postern.CodePolicyFailed, "the account has no IP policy %q, which the endpoint's policy names", clip(id))
		}
		lists = append(lists, list)
	}
	for _, list := range lists {
		allows, denies := list.Match(client)
		allowed, denied = narrower(allowed, allows), narrower(denied, denies)
	}
	return allowed, denied, nil
}

// fill makes a list of what is known now.
func (a *restriction) fill(e *Evaluation) (*access.List, error) {
	rules := make([]access.Rule, len(a.filled))
	for i, f := range a.filled {
		text, err := e.fill(f.template)
		if err != nil {
			return nil, err
		}
		network, ok := access.ParseNetwork(strings.TrimSpace(text))
		if !ok {
			return nil, postern.Errorf(postern.CodePolicyFailed, "an item of allow or deny has not become a network such as 192.0.2.0/24")
		}
		rules[i] = access.Rule{Network: network, Deny: f.deny}
	}
	return access.NewList(rules), nil
}

// addresses finds an IP policy of the account.
func (e *Evaluation) addresses(id string) (*access.List, bool) {
	if e.world.Addresses == nil {
		return nil, false
	}
	return e.world.Addresses(e.subject.Endpoint.Account, id)
}

func narrower(a, b netip.Prefix) netip.Prefix {
	if !a.IsValid() || b.IsValid() && b.Bits() > a.Bits() {
		return b
	}
	return a
}

func textOf(network netip.Prefix) string {
	if !network.IsValid() {
		return ""
	}
	return network.String()
}
