package service

import (
	"context"
	"net/netip"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// IPRestrictions are the use cases of IP restrictions.
type IPRestrictions = Collection[store.IPRestriction, resource.IPRestriction, resource.IPRestrictionCreate, resource.IPRestrictionUpdate, *store.IPRestriction]

// IPRestrictions returns the use cases of IP restrictions.
func (s *Service) IPRestrictions() *IPRestrictions {
	definition := resource.IPRestrictions().Definition
	return &IPRestrictions{
		service: s, definition: definition, rows: store.Tx.IPRestrictions,
		events: eventTypes{event.IPRestrictionCreated, event.IPRestrictionUpdated, event.IPRestrictionDeleted},
		stored: map[string]string{"type": "type", "enforced": "enforced"},
		build:  buildIPRestriction, change: changeIPRestriction,
		show: func(_ reader, row *store.IPRestriction) (resource.IPRestriction, error) {
			shown := resource.IPRestriction{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta),
				Type: row.Type, Enforced: row.Enforced, IPPolicies: make([]resource.Ref, len(row.Policies)),
			}
			for i, id := range row.Policies {
				shown.IPPolicies[i] = *s.ref(resource.IPPolicies().Definition, id)
			}
			return shown, nil
		},
	}
}

func buildIPRestriction(d *draft, by Caller, row *store.IPRestriction, c resource.IPRestrictionCreate) error {
	if !slices.Contains(access.Parts(), access.Part(c.Type)) {
		return postern.Errorf(postern.CodeIPRestrictionType, "the type is %.60q; there are agent, api, dashboard and endpoints", c.Type)
	}
	same, err := d.IPRestrictions().List(d.ctx, store.Page{Account: by.Account, Limit: 1, Where: store.Equal("type", c.Type)})
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return postern.Errorf(postern.CodeIPRestrictionExists, "%s has the type %s", same[0].ID, c.Type)
	}
	row.Type, row.Enforced, row.Description, row.Metadata = c.Type, c.Enforced, c.Description, c.Metadata
	return setRestrictionPolicies(d, row, c.IPPolicyIDs)
}

func changeIPRestriction(d *draft, _ Caller, row *store.IPRestriction, u resource.IPRestrictionUpdate) error {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	set(&row.Enforced, u.Enforced)
	if u.IPPolicyIDs == nil {
		return nil
	}
	return setRestrictionPolicies(d, row, *u.IPPolicyIDs)
}

// setRestrictionPolicies checks that each policy is the account's. One that is named
// twice is there once.
func setRestrictionPolicies(d *draft, row *store.IPRestriction, ids []string) error {
	row.Policies = nil
	for _, id := range ids {
		if slices.Contains(row.Policies, id) {
			continue
		}
		if _, err := d.IPPolicies().Get(d.ctx, row.Account, id); err != nil {
			if postern.HasCode(err, postern.CodeNotFound) {
				return postern.Errorf(postern.CodeIPRestrictionPolicyUnknown, "ip_policy_ids has %.60q", id)
			}
			return err
		}
		row.Policies = append(row.Policies, id)
	}
	if len(row.Policies) == 0 {
		return &postern.Error{Code: postern.CodeIPRestrictionEmpty}
	}
	return nil
}

// Restrictions returns the IP restrictions of all accounts with the rules of their
// policies, for a table of them.
func (s *Service) Restrictions(ctx context.Context) ([]access.Restriction, error) {
	var all []access.Restriction
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		rules := make(map[string][]access.Rule)
		return eachRow(ctx, tx.IPRestrictions(), nil, func(row *store.IPRestriction) error {
			one := access.Restriction{Account: row.Account, Part: access.Part(row.Type), Enforced: row.Enforced}
			for _, policy := range row.Policies {
				if _, read := rules[policy]; !read {
					found, err := readRules(ctx, tx, policy)
					if err != nil {
						return err
					}
					rules[policy] = found
				}
				one.Rules = append(one.Rules, rules[policy]...)
			}
			all = append(all, one)
			return nil
		})
	})
	return all, err
}

// AddressPolicies returns the IP policies of all accounts with their rules.
func (s *Service) AddressPolicies(ctx context.Context) ([]access.Policy, error) {
	var all []access.Policy
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		return eachRow(ctx, tx.IPPolicies(), nil, func(row *store.IPPolicy) error {
			rules, err := readRules(ctx, tx, row.ID)
			all = append(all, access.Policy{Account: row.Account, ID: row.ID, Rules: rules})
			return err
		})
	})
	return all, err
}

// readRules returns the rules of one policy.
func readRules(ctx context.Context, tx store.Tx, policy string) ([]access.Rule, error) {
	rules := []access.Rule{}
	err := eachRow(ctx, tx.IPPolicyRules(), store.Equal("policy_id", policy), func(row *store.IPPolicyRule) error {
		network, err := netip.ParsePrefix(row.CIDR)
		if err != nil {
			return postern.Errorf(postern.CodeInternal, "the stored rule %s has the network %q", row.ID, row.CIDR).Because(err)
		}
		rules = append(rules, access.Rule{Network: network, Deny: row.Action != actionAllow})
		return nil
	})
	return rules, err
}
