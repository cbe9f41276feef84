package sqlstore

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// The tables of who is told what. Lists are JSON in one column each.

func (t tx) EventDestinations() store.Rows[store.EventDestination] {
	return rowsOf(t, table[store.EventDestination, *store.EventDestination]{
		name: "event_destinations", what: "event destination",
		columns: headColumns(column{"format", text}, column{"target", opaque}, column{"secret", opaque}),
		fields: func(d *store.EventDestination) []any {
			return headFields(&d.Meta, &d.Format, jsonText{&d.Target}, bytesOrNone{&d.Secret})
		},
	})
}

func (t tx) EventSubscriptions() store.Rows[store.EventSubscription] {
	return rowsOf(t, table[store.EventSubscription, *store.EventSubscription]{
		name: "event_subscriptions", what: "event subscription",
		columns: headColumns(column{"sources", opaque}, column{"destinations", text}),
		fields: func(s *store.EventSubscription) []any {
			return headFields(&s.Meta, document[[]postern.EventType]{&s.Sources}, document[store.EventDestinationIDs]{&s.Destinations})
		},
	})
}
