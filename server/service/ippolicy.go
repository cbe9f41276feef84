package service

import (
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// IPPolicies are the use cases of IP policies.
type IPPolicies = Collection[store.IPPolicy, resource.IPPolicy, resource.IPPolicyCreate, resource.IPPolicyUpdate, *store.IPPolicy]

// IPPolicies returns the use cases of IP policies.
func (s *Service) IPPolicies() *IPPolicies {
	definition := resource.IPPolicies().Definition
	return &IPPolicies{
		service: s, definition: definition, rows: store.Tx.IPPolicies, empty: postern.CodeIPPolicyUnchanged,
		events: eventTypes{event.IPPolicyCreated, event.IPPolicyUpdated, event.IPPolicyDeleted},
		build: func(_ *draft, _ Caller, row *store.IPPolicy, c resource.IPPolicyCreate) error {
			if c.Action != "" {
				return postern.Errorf(postern.CodeIPPolicyAction, `the policy has the action %.60q`, c.Action)
			}
			row.Description, row.Metadata = c.Description, c.Metadata
			return nil
		},
		change: func(_ *draft, _ Caller, row *store.IPPolicy, u resource.IPPolicyUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		release: s.releaseIPPolicy,
		show: func(_ reader, row *store.IPPolicy) (resource.IPPolicy, error) {
			return resource.IPPolicy{Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta)}, nil
		},
	}
}

// releaseIPPolicy deletes a policy's rules, unless a restriction or a cloud endpoint's
// traffic policy refers to it.
func (s *Service) releaseIPPolicy(d *draft, by Caller, row *store.IPPolicy) error {
	restrictions, err := restrictionsWith(d, row.Account, row.ID)
	if err != nil {
		return err
	}
	if len(restrictions) > 0 {
		var ids []string
		for _, r := range restrictions {
			ids = append(ids, r.ID)
		}
		return postern.Errorf(postern.CodeIPPolicyInUse, "%s is in the IP restrictions %s", row.ID, strings.Join(ids, ", "))
	}
	if err := d.unnamed(row.Account, row.ID, mentions(row.ID)); err != nil {
		return err
	}
	rules := s.IPPolicyRules()
	return eachRow(d.ctx, d.IPPolicyRules(), store.Equal("policy_id", row.ID), func(rule *store.IPPolicyRule) error {
		if _, err := rules.tell(d, by, rules.events.deleted, rule); err != nil {
			return err
		}
		return d.IPPolicyRules().Delete(d.ctx, rule.Account, rule.ID)
	})
}

// restrictionsWith returns the account's IP restrictions that name a policy. An account
// has few of them.
func restrictionsWith(d *draft, account postern.AccountID, policy string) ([]store.IPRestriction, error) {
	all, err := d.IPRestrictions().List(d.ctx, store.Page{Account: account, Limit: page})
	return slices.DeleteFunc(all, func(r store.IPRestriction) bool { return !slices.Contains(r.Policies, policy) }), err
}
