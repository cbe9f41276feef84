package control

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Patch implements link.Binder.
func (s *session) Patch(ctx context.Context, p link.Patch) error {
	if p.TrafficPolicy != nil && *p.TrafficPolicy != "" {
		return postern.Errorf(postern.CodeOptionUnsupported, "this server does not have traffic policies; leave traffic_policy out")
	}
	if err := checkTexts("", deref(p.Name), deref(p.Description), deref(p.Metadata), ""); err != nil {
		return err
	}
	e := s.endpointOf(p.EndpointID)
	if e == nil {
		return postern.Errorf(postern.CodeEndpointUnknown, "the session has no endpoint %q", shorten(string(p.EndpointID)))
	}
	change := func(details *postern.Endpoint) { apply(details, p) }
	if err := s.control.config.Cluster.Update(p.EndpointID, change); err != nil {
		return err
	}
	e.mu.Lock()
	change(&e.details)
	e.mu.Unlock()
	s.control.log.InfoContext(s.context(ctx), "endpoint changed", "endpoint", p.EndpointID)
	return nil
}

func (s *session) endpointOf(id postern.EndpointID) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		if e.snapshot().ID == id {
			return e
		}
	}
	return nil
}

func apply(details *postern.Endpoint, p link.Patch) {
	set(&details.Name, p.Name)
	set(&details.Description, p.Description)
	set(&details.Metadata, p.Metadata)
	set(&details.Pooling, p.Pooling)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
