package storetest

import (
	"context"
	"time"

	"github.com/postern-dev/postern/server/store"
)

func kubernetesOperators() kind[store.KubernetesOperator, *store.KubernetesOperator] {
	return kind[store.KubernetesOperator, *store.KubernetesOperator]{
		rows: store.Tx.KubernetesOperators,
		fill: func(_ context.Context, _ store.Tx, o *store.KubernetesOperator, n int) error {
			o.CreatedBy, o.Region, o.Name, o.Namespace, o.Version, o.Cluster = "usr_1", "global", "ngrok-operator", "ngrok", "0.18.0", "prod"
			if n%2 == 0 {
				o.Features = []string{"bindings", "gateway"}
				o.Binding = &store.KubernetesBinding{Selectors: []string{"true"}, Request: "a", Certificate: "b", IngressEndpoint: "a.example.com:443",
					NotBefore: time.Unix(1_800_000_000, 0).UTC(), NotAfter: time.Unix(1_830_000_000, 0).UTC()}
			}
			return nil
		},
		change: func(o *store.KubernetesOperator) {
			o.Features, o.Name, o.Version, o.Binding = []string{"ingress"}, "other", "0.19.0", nil
		},
	}
}
