package localapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// endpoint is one URL as version 3 shows it.
type endpoint struct {
	Name          string        `json:"name"`
	URI           string        `json:"uri"`
	URL           string        `json:"url"`
	Upstream      upstream      `json:"upstream"`
	Inspect       bool          `json:"inspect"`
	Description   string        `json:"description,omitempty"`
	Metadata      string        `json:"metadata,omitempty"`
	TrafficPolicy string        `json:"traffic_policy,omitempty"`
	Pooling       bool          `json:"pooling_enabled"`
	Bindings      []string      `json:"bindings"`
	Metrics       tunnelMetrics `json:"metrics"`
}

type upstream struct {
	URL           string `json:"url"`
	Protocol      string `json:"protocol,omitempty"`
	ProxyProtocol int    `json:"proxy_protocol,omitempty"`
}

type endpointList struct {
	Endpoints []endpoint `json:"endpoints"`
	URI       string     `json:"uri"`
}

// endpointRequest documents the body that starts an endpoint; config.ParseEndpoint
// reads it.
type endpointRequest struct {
	Name     string   `json:"name"`
	URL      string   `json:"url"`
	Upstream upstream `json:"upstream"`
	Persist  bool     `json:"persist"`
}

func endpointRoutes() []route {
	return []route{
		{method: "GET", path: "/api/endpoints", summary: "List the endpoints", answers: map[int]any{200: endpointList{}}, serve: (*API).listEndpoints},
		{
			method: "POST", path: "/api/endpoints", summary: "Start an endpoint; the body takes every key of an endpoint in version 3 of the configuration", request: endpointRequest{},
			answers: faults(map[int]any{201: endpoint{}, 502: failure{}, 503: failure{}}), serve: (*API).startEndpoint,
		},
		{method: "GET", path: "/api/endpoints/{name}", summary: "Show an endpoint", answers: map[int]any{200: endpoint{}, 404: failure{}}, serve: (*API).showEndpoint},
		{
			method: "PUT", path: "/api/endpoints/{name}", summary: "Start an endpoint in place of the one of that name, if there is one", request: endpointRequest{},
			answers: faults(map[int]any{200: endpoint{}, 201: endpoint{}, 502: failure{}, 503: failure{}}), serve: (*API).putEndpoint,
		},
		{method: "DELETE", path: "/api/endpoints/{name}", summary: "Stop an endpoint with all its URLs", answers: map[int]any{204: nil, 404: failure{}, 500: failure{}}, serve: (*API).stopEndpoint},
	}
}

func (a *API) listEndpoints(http.ResponseWriter, *call) (answer, error) {
	list := endpointList{Endpoints: []endpoint{}, URI: "/api/endpoints"}
	for _, t := range a.online() {
		list.Endpoints = append(list.Endpoints, a.endpoint(t))
	}
	return answer{http.StatusOK, list}, nil
}

func (a *API) showEndpoint(_ http.ResponseWriter, c *call) (answer, error) {
	t, err := a.lookUp(c)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, a.endpoint(t)}, nil
}

func (a *API) startEndpoint(_ http.ResponseWriter, c *call) (answer, error) {
	e, body, err := a.readEndpoint(c, config.ParseEndpoint)
	if err != nil {
		return answer{}, err
	}
	defer a.starts.take(e.Name)()
	t, err := a.start(c, e, savedEndpoint, body)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.endpoint(t)}, nil
}

// putEndpoint replaces an endpoint. Where the new one cannot be, the old one comes back.
func (a *API) putEndpoint(_ http.ResponseWriter, c *call) (answer, error) {
	var text []byte
	read := func(body []byte) (config.Endpoint, []string, error) {
		text = named(body, c.name)
		return config.ParseEndpoint(text)
	}
	e, _, err := a.readEndpoint(c, read)
	if err != nil {
		return answer{}, err
	}
	if e.Name != c.name {
		return answer{}, invalidTunnel("the body names the endpoint '" + clip(e.Name) + "' and the path '" + clip(c.name) + "'")
	}
	defer a.starts.take(e.Name)()
	before, exists := a.named(e.Name)
	ctx, cancel := context.WithTimeout(c.Context(), startPatience)
	defer cancel()
	if exists {
		if _, err := a.stopped(c, e.Name, a.config.Agent.Remove(ctx, e.Name)); err != nil {
			exists = false // gone in the same moment
		}
	}
	t, err := a.start(c, e, savedEndpoint, text)
	switch {
	case err != nil && exists:
		// The failure that matters is the new one's; this one is seen in the list.
		_ = a.config.Agent.Start(context.WithoutCancel(ctx), before.Config)
		return answer{}, err
	case err != nil:
		return answer{}, err
	case !e.Persist:
		if err := a.forget(e.Name); err != nil {
			return answer{}, unsaved(err)
		}
	}
	if exists {
		return answer{http.StatusOK, a.endpoint(t)}, nil
	}
	return answer{http.StatusCreated, a.endpoint(t)}, nil
}

// named gives the endpoint of a name by its own URL.
func (a *API) named(name string) (Tunnel, bool) {
	for _, t := range a.config.Agent.Tunnels() {
		if t.Name == name && t.Label == name {
			return t, true
		}
	}
	return Tunnel{}, false
}

// named puts the name of the path into a body that has none. What is no object stays
// what it is, for the parser to refuse.
func named(body []byte, name string) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	if _, has := object["name"]; has {
		return body
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return body
	}
	object["name"] = quoted
	whole, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return whole
}

func (a *API) stopEndpoint(_ http.ResponseWriter, c *call) (answer, error) {
	t, err := a.lookUp(c)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), stopPatience)
	defer cancel()
	if t.Label != t.Name { // a twin, asked for by its own name
		return a.stopped(c, t.Label, a.config.Agent.Stop(ctx, t.Label))
	}
	if err := a.forget(t.Name); err != nil {
		return answer{}, unsaved(err)
	}
	return a.stopped(c, t.Name, a.config.Agent.Remove(ctx, t.Name))
}

// endpoint is how version 3 shows a URL.
func (a *API) endpoint(t Tunnel) endpoint {
	bindings := t.Config.Bindings
	if len(bindings) == 0 {
		bindings = []string{"public"}
	}
	return endpoint{
		Name:          t.Label,
		URI:           "/api/endpoints/" + url.PathEscape(t.Label),
		URL:           t.URL,
		Upstream:      upstream{URL: t.Addr, Protocol: protocol(t), ProxyProtocol: t.Config.ProxyProtocol},
		Inspect:       !t.Config.NoInspect,
		Description:   t.Config.Description,
		Metadata:      t.Config.Metadata,
		TrafficPolicy: t.Config.TrafficPolicy,
		Pooling:       t.Config.Pooling,
		Bindings:      bindings,
		Metrics:       a.metrics(t.Label),
	}
}

func protocol(t Tunnel) string {
	if t.Scheme != postern.HTTP && t.Scheme != postern.HTTPS {
		return ""
	}
	return cmp.Or(string(t.Config.Protocol), "http1")
}
