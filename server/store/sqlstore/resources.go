package sqlstore

import "github.com/postern-dev/postern/server/store"

// The tables of resources. Their columns are in the order of their fields.

func (t tx) IPPolicies() store.Rows[store.IPPolicy] {
	return rowsOf(t, table[store.IPPolicy, *store.IPPolicy]{
		name: "ip_policies", what: "IP policy", columns: headColumns(),
		fields: func(p *store.IPPolicy) []any { return headFields(&p.Meta) },
	})
}

func rowsOf[R any, P store.Headed[R]](t tx, in table[R, P]) store.Rows[R] {
	return rows[R, P]{table: in, db: t.db, dialect: t.dialect}
}
