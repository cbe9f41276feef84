package control

import (
	"context"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Patch implements link.Binder.
func (s *session) Patch(ctx context.Context, p link.Patch) error {
	if err := checkTexts("", deref(p.Name), deref(p.Description), deref(p.Metadata), ""); err != nil {
		return err
	}
	e := s.endpointOf(p.EndpointID)
	if e == nil {
		return postern.Errorf(postern.CodeEndpointUnknown, "the session has no endpoint %q", shorten(string(p.EndpointID)))
	}
	if err := s.checkChange(ctx, e.snapshot(), p); err != nil {
		return err
	}
	change := func(details *postern.Endpoint) { apply(details, p) }
	if err := s.control.config.Cluster.Update(p.EndpointID, change); err != nil {
		return err
	}
	e.mu.Lock()
	change(&e.details)
	e.mu.Unlock()
	if p.TrafficPolicy != nil { // held to when Patch returns
		if err := s.control.config.Routes.Sync(ctx); err != nil {
			return err
		}
	}
	s.control.log.InfoContext(s.context(ctx), "endpoint changed", "endpoint", p.EndpointID)
	return nil
}

// checkChange refuses a policy that the endpoint cannot be held to.
func (s *session) checkChange(ctx context.Context, details postern.Endpoint, p link.Patch) error {
	apply(&details, p)
	if p.TrafficPolicy == nil || details.Options.Policy == "" {
		return nil
	}
	return s.checkPolicy(ctx, details.URL, details.Options)
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
	if p.TrafficPolicy == nil {
		return
	}
	details.Options.Policy = postern.Secret(*p.TrafficPolicy)
	if strings.TrimSpace(*p.TrafficPolicy) == "" {
		details.Options.Policy = "" // none
	}
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
