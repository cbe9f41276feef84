package service

import (
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
			row.Description, row.Metadata = c.Description, c.Metadata
			return nil
		},
		change: func(_ *draft, _ Caller, row *store.IPPolicy, u resource.IPPolicyUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		show: func(_ reader, row *store.IPPolicy) (resource.IPPolicy, error) {
			return resource.IPPolicy{Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta)}, nil
		},
	}
}
