package sqlstore

import "github.com/postern-dev/postern/server/store"

func (t tx) CloudEndpoints() store.Rows[store.CloudEndpoint] {
	return rowsOf(t, table[store.CloudEndpoint, *store.CloudEndpoint]{
		name: "cloud_endpoints", what: "cloud endpoint",
		columns: headColumns(column{"scheme", text}, column{"host", text}, column{"tree_key", text}, column{"port", number},
			column{"binding", text}, column{"traffic_policy", opaque}, column{"pooling", boolean}, column{"created_by", text}, column{"pages", text}),
		fields: func(e *store.CloudEndpoint) []any {
			return headFields(&e.Meta, &e.Scheme, &e.Host, treeKeyOf{&e.Host}, &e.Port, &e.Binding, &e.TrafficPolicy, &e.Pooling, &e.CreatedBy,
				errorPages{&e.Pages})
		},
	})
}

func (t tx) KubernetesOperators() store.Rows[store.KubernetesOperator] {
	return rowsOf(t, table[store.KubernetesOperator, *store.KubernetesOperator]{
		name: "kubernetes_operators", what: "Kubernetes operator",
		columns: headColumns(column{"created_by", text}, column{"features", opaque}, column{"region", text}, column{"name", text},
			column{"namespace", text}, column{"version", text}, column{"cluster_name", text}, column{"binding", opaque}),
		fields: func(o *store.KubernetesOperator) []any {
			return headFields(&o.Meta, &o.CreatedBy, document[[]string]{&o.Features}, &o.Region, &o.Name,
				&o.Namespace, &o.Version, &o.Cluster, document[*store.KubernetesBinding]{&o.Binding})
		},
	})
}
