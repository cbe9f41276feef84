package service

import (
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// The actions of rules.
const (
	actionAllow = "allow"
	actionDeny  = "deny"
)

// IPPolicyRules are the use cases of rules of IP policies.
type IPPolicyRules = Collection[store.IPPolicyRule, resource.IPPolicyRule, resource.IPPolicyRuleCreate, resource.IPPolicyRuleUpdate, *store.IPPolicyRule]

// IPPolicyRules returns the use cases of rules of IP policies.
func (s *Service) IPPolicyRules() *IPPolicyRules {
	definition := resource.IPPolicyRules().Definition
	return &IPPolicyRules{
		service: s, definition: definition, rows: store.Tx.IPPolicyRules, empty: postern.CodeIPRuleUnchanged,
		events: eventTypes{event.IPPolicyRuleCreated, event.IPPolicyRuleUpdated, event.IPPolicyRuleDeleted},
		stored: map[string]string{"cidr": "cidr", "action": "action", "ip_policy.id": "policy_id"},
		build:  s.buildIPRule, change: s.changeIPRule, release: s.releaseIPRule,
		show: func(_ reader, row *store.IPPolicyRule) (resource.IPPolicyRule, error) {
			return resource.IPPolicyRule{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta),
				CIDR: row.CIDR, Action: row.Action, IPPolicy: *s.ref(resource.IPPolicies().Definition, row.Policy),
			}, nil
		},
	}
}

func (s *Service) buildIPRule(d *draft, by Caller, row *store.IPPolicyRule, c resource.IPPolicyRuleCreate) error {
	switch {
	case c.CIDR == "":
		return postern.Errorf(postern.CodeIPRuleIncomplete, `the field "cidr" is missing`)
	case c.IPPolicyID == "":
		return postern.Errorf(postern.CodeIPRuleIncomplete, `the field "ip_policy_id" is missing`)
	case c.Action != actionAllow && c.Action != actionDeny:
		return postern.Errorf(postern.CodeIPRuleAction, "the action is %.60q", c.Action)
	}
	if _, err := d.IPPolicies().Get(d.ctx, by.Account, c.IPPolicyID); err != nil {
		if postern.HasCode(err, postern.CodeNotFound) {
			return postern.Errorf(postern.CodeIPPolicyUnknown, "ip_policy_id is %.60q", c.IPPolicyID)
		}
		return err
	}
	row.Policy, row.Action, row.Metadata = c.IPPolicyID, c.Action, c.Metadata
	if err := setRuleDescription(row, &c.Description); err != nil {
		return err
	}
	return setRuleNetwork(d, row, c.CIDR)
}

func (s *Service) changeIPRule(d *draft, _ Caller, row *store.IPPolicyRule, u resource.IPPolicyRuleUpdate) error {
	set(&row.Metadata, u.Metadata)
	if err := setRuleDescription(row, u.Description); err != nil || u.CIDR == nil {
		return err
	}
	return setRuleNetwork(d, row, *u.CIDR)
}

// setRuleDescription has a code of its own for what is too long.
func setRuleDescription(row *store.IPPolicyRule, to *string) error {
	if to != nil && len(*to) > maxDescription {
		return postern.Errorf(postern.CodeIPRuleDescription, "the description has %d bytes, at most %d are allowed", len(*to), maxDescription)
	}
	set(&row.Description, to)
	return nil
}

// setRuleNetwork gives a rule its network, of which its policy has no other rule.
func setRuleNetwork(d *draft, row *store.IPPolicyRule, text string) error {
	network, err := parseNetwork(text)
	if err != nil {
		return err
	}
	row.CIDR = network.String()
	same, err := d.IPPolicyRules().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.And{
		store.Equal("policy_id", row.Policy), store.Equal("cidr", row.CIDR), store.Compare{Field: "id", Op: store.Differs, Value: row.ID},
	}})
	if err == nil && len(same) > 0 {
		err = postern.Errorf(postern.CodeIPRuleExists, "%s has the rule %s for %s", row.Policy, same[0].ID, row.CIDR)
	}
	return err
}

// parseNetwork reads a network in CIDR notation, which must be given by its first
// address. IPv4 in the clothes of IPv6 is refused: it would never match.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		if addr, err := netip.ParseAddr(text); err == nil {
			return netip.Prefix{}, postern.Errorf(postern.CodeIPRuleMaskMissing, "%q has no mask; a single address is %s/%d", text, addr, addr.BitLen())
		}
	}
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return network, postern.Errorf(postern.CodeIPRuleCIDRInvalid, "%.60q is not a network such as 192.0.2.0/24 or 2001:db8::/32", text)
	}
	if first := network.Masked(); first != network {
		return network, postern.Errorf(postern.CodeIPRuleHostBits, "%s is not given by its first address; did you mean %s?", network, first)
	}
	return network, nil
}

// releaseIPRule refuses to delete the rule without which nobody could use the dashboard
// any more.
func (s *Service) releaseIPRule(d *draft, _ Caller, row *store.IPPolicyRule) error {
	restrictions, err := restrictionsWith(d, row.Account, row.Policy)
	if err != nil {
		return err
	}
	for _, r := range restrictions {
		if r.Type != string(access.Dashboard) || !r.Enforced {
			continue
		}
		others, err := d.IPPolicyRules().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.And{
			store.OneOf("policy_id", r.Policies...), store.Compare{Field: "id", Op: store.Differs, Value: row.ID},
		}})
		if err != nil {
			return err
		}
		if len(others) == 0 {
			return postern.Errorf(postern.CodeIPRuleLast, "%s is the only rule of %s, which is enforced", row.ID, r.ID)
		}
	}
	return nil
}
