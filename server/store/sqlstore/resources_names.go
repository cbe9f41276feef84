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
			column{"cname_target", text}, column{"acme_target", text}, column{"resolves_to", opaque}),
		fields: func(d *store.ReservedDomain) []any {
			return headFields(&d.Meta,
				&d.Domain, treeKeyOf{&d.Domain}, orNull[string]{&d.Certificate},
				&d.Policy.Authority, &d.Policy.KeyType, maybe{&d.PolicySince},
				&d.CNAMETarget, &d.ACMETarget, document[[]string]{&d.ResolvesTo})
		},
	})
}

// treeKeyOf is a column that follows from another one.
type treeKeyOf struct{ host *postern.Hostname }

func (t treeKeyOf) Value() (driver.Value, error) { return store.TreeKey(*t.host), nil }

func (t treeKeyOf) Scan(any) error { return nil }
