package sqlstore

import (
	"database/sql/driver"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func (t tx) ReservedDomains() store.Rows[store.ReservedDomain] {
	return rowsOf(t, table[store.ReservedDomain, *store.ReservedDomain]{
		name: "reserved_domains", what: "reserved domain",
		columns: headColumns(
			column{"domain", text}, column{"tree_key", text}, column{"certificate_id", text},
			column{"policy_authority", text}, column{"policy_key_type", text}, column{"policy_since", moment},
			column{"cname_target", text}, column{"acme_target", text}, column{"resolves_to", opaque}, column{"pages", text}),
		fields: func(d *store.ReservedDomain) []any {
			return headFields(&d.Meta,
				&d.Domain, treeKeyOf{&d.Domain}, orNull[string]{&d.Certificate},
				&d.Policy.Authority, &d.Policy.KeyType, maybe{&d.PolicySince},
				&d.CNAMETarget, &d.ACMETarget, document[[]string]{&d.ResolvesTo}, errorPages{&d.Pages})
		},
	})
}

func (t tx) AgentIngresses() store.Rows[store.AgentIngress] {
	return rowsOf(t, table[store.AgentIngress, *store.AgentIngress]{
		name: "agent_ingresses", what: "agent ingress",
		columns: headColumns(column{"domain", text}, column{"tree_key", text},
			column{"policy_authority", text}, column{"policy_key_type", text}, column{"policy_since", moment}),
		fields: func(a *store.AgentIngress) []any {
			return headFields(&a.Meta, &a.Domain, treeKeyOf{&a.Domain}, &a.Policy.Authority, &a.Policy.KeyType, maybe{&a.PolicySince})
		},
	})
}

func (t tx) ReservedAddrs() store.Rows[store.ReservedAddr] {
	return rowsOf(t, table[store.ReservedAddr, *store.ReservedAddr]{
		name: "reserved_addrs", what: "reserved address",
		columns: headColumns(column{"host", text}, column{"port", number}, column{"region", text}),
		fields: func(a *store.ReservedAddr) []any {
			return headFields(&a.Meta, &a.Host, &a.Port, &a.Region)
		},
	})
}

func (t tx) IPPolicyRules() store.Rows[store.IPPolicyRule] {
	return rowsOf(t, table[store.IPPolicyRule, *store.IPPolicyRule]{
		name: "ip_policy_rules", what: "rule of an IP policy",
		columns: headColumns(column{"policy_id", text}, column{"cidr", text}, column{"action", text}),
		fields: func(r *store.IPPolicyRule) []any {
			return headFields(&r.Meta, &r.Policy, &r.CIDR, &r.Action)
		},
	})
}

func (t tx) IPRestrictions() store.Rows[store.IPRestriction] {
	return rowsOf(t, table[store.IPRestriction, *store.IPRestriction]{
		name: "ip_restrictions", what: "IP restriction",
		columns: headColumns(column{"type", text}, column{"enforced", boolean}, column{"policy_ids", opaque}),
		fields: func(r *store.IPRestriction) []any {
			return headFields(&r.Meta, &r.Type, &r.Enforced, document[[]string]{&r.Policies})
		},
	})
}

// treeKeyOf is a column that follows from another one.
type treeKeyOf struct{ host *postern.Hostname }

func (t treeKeyOf) Value() (driver.Value, error) { return store.TreeKey(*t.host), nil }

func (t treeKeyOf) Scan(any) error { return nil }
