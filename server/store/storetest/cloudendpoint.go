package storetest

import (
	"context"
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func cloudEndpoints() kind[store.CloudEndpoint, *store.CloudEndpoint] {
	return kind[store.CloudEndpoint, *store.CloudEndpoint]{
		rows: store.Tx.CloudEndpoints,
		fill: func(_ context.Context, _ store.Tx, e *store.CloudEndpoint, n int) error {
			e.Scheme, e.Host, e.Binding = postern.HTTPS, postern.Hostname(fmt.Sprintf("*.e%d.example.com", n)), "public"
			e.TrafficPolicy, e.CreatedBy = "on_http_request: []", "usr_1"
			e.Pages = somePages()
			return nil
		},
		change: func(e *store.CloudEndpoint) {
			e.Pages.Maintenance.Enabled = false
			e.Host, e.Port, e.Binding, e.TrafficPolicy, e.Pooling = "a.internal", 65535, "internal", "", true
		},
	}
}
