package api

import (
	"net/http"

	"github.com/postern-dev/postern/resource"
)

// bindEventSources makes the routes of the sources of event subscriptions.
func bindEventSources(a *API) {
	d, s := resource.EventSubscriptions().Definition, a.config.Service
	all, one := d.Path()+"/{id}/sources", d.Path()+"/{id}/sources/{type}"
	a.handle("GET "+all, func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		sources, err := s.EventSources(c, c.caller, id)
		return http.StatusOK, map[string]any{"sources": sources, "uri": a.config.URL + d.PathOf(id) + "/sources"}, err
	})
	a.handle("GET "+one, func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		source, err := s.EventSource(c, c.caller, id, c.PathValue("type"))
		return http.StatusOK, source, err
	})
	a.handle("POST "+all, func(c *call) (int, any, error) {
		id, given, err := c.source(d)
		if err != nil {
			return 0, nil, err
		}
		source, err := s.AddEventSource(c, c.caller, id, given.Type)
		return http.StatusCreated, source, err
	})
	a.handle("PATCH "+one, func(c *call) (int, any, error) {
		id, given, err := c.source(d)
		if err != nil {
			return 0, nil, err
		}
		kind := c.PathValue("type")
		if given.Type == "" {
			given.Type = kind
		}
		source, err := s.ReplaceEventSource(c, c.caller, id, kind, given.Type)
		return http.StatusOK, source, err
	})
	a.handle("DELETE "+one, func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusNoContent, nil, s.RemoveEventSource(c, c.caller, id, c.PathValue("type"))
	})
}

// source reads a source from the body of a request about a subscription.
func (c *call) source(d resource.Definition) (id string, given resource.EventSourceGiven, err error) {
	if id, err = c.id(d); err != nil {
		return "", given, err
	}
	return id, given, c.decode(&given, d)
}
