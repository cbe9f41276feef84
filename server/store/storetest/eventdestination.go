package storetest

import (
	"context"
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func eventDestinations() kind[store.EventDestination, *store.EventDestination] {
	return kind[store.EventDestination, *store.EventDestination]{
		rows: store.Tx.EventDestinations,
		fill: func(_ context.Context, _ store.Tx, d *store.EventDestination, n int) error {
			d.Format, d.Target = "json", fmt.Appendf(nil, `{"n":%d}`, n)
			if n%2 == 0 {
				d.Secret = []byte{0, byte(n), 0xff}
			}
			return nil
		},
		change: func(d *store.EventDestination) { d.Target, d.Secret = []byte(`{"debug":{}}`), nil },
	}
}

func eventSubscriptions() kind[store.EventSubscription, *store.EventSubscription] {
	return kind[store.EventSubscription, *store.EventSubscription]{
		rows: store.Tx.EventSubscriptions,
		fill: func(_ context.Context, _ store.Tx, s *store.EventSubscription, n int) error {
			s.Sources = []postern.EventType{"a_created.v0", postern.EventType(fmt.Sprint("b_", n))}
			s.Destinations = store.EventDestinationIDs{"ed_1", fmt.Sprint("ed_1", n)}
			return nil
		},
		change: func(s *store.EventSubscription) {
			s.Sources, s.Destinations = []postern.EventType{}, store.EventDestinationIDs{}
		},
	}
}
