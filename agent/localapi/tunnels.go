package localapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/inspect"
)

// tunnel is one URL as it is shown.
type tunnel struct {
	Name      string        `json:"name"`
	ID        string        `json:"ID"`
	URI       string        `json:"uri"`
	PublicURL string        `json:"public_url"`
	Proto     string        `json:"proto"`
	Config    tunnelConfig  `json:"config"`
	Metrics   tunnelMetrics `json:"metrics"`
}

type tunnelConfig struct {
	Addr    string `json:"addr"`
	Inspect bool   `json:"inspect"`
}

type tunnelMetrics struct {
	Conns connectionNumbers `json:"conns"`
	HTTP  requestNumbers    `json:"http"`
}

type connectionNumbers struct {
	Count  int64   `json:"count"`
	Gauge  int64   `json:"gauge"`
	Rate1  float64 `json:"rate1"`
	Rate5  float64 `json:"rate5"`
	Rate15 float64 `json:"rate15"`
	P50    float64 `json:"p50"` // nanoseconds, as the others
	P90    float64 `json:"p90"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
}

type requestNumbers struct {
	Count  int64   `json:"count"`
	Rate1  float64 `json:"rate1"`
	Rate5  float64 `json:"rate5"`
	Rate15 float64 `json:"rate15"`
	P50    float64 `json:"p50"`
	P90    float64 `json:"p90"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
}

type tunnelList struct {
	Tunnels []tunnel `json:"tunnels"`
	URI     string   `json:"uri"`
}

// tunnelRequest documents the body that starts a tunnel; config.ParseTunnel reads it.
type tunnelRequest struct {
	Name    string `json:"name"`
	Proto   string `json:"proto"`
	Addr    string `json:"addr"`
	Persist bool   `json:"persist"`
}

func tunnelRoutes() []route {
	return []route{
		{method: "GET", path: "/api/tunnels", summary: "List the tunnels", answers: map[int]any{200: tunnelList{}}, serve: (*API).listTunnels},
		{
			method: "POST", path: "/api/tunnels", summary: "Start a tunnel; the body takes every key of a tunnel in ngrok.yml", request: tunnelRequest{},
			answers: faults(map[int]any{201: tunnel{}, 502: failure{}, 503: failure{}}), serve: (*API).startTunnel,
		},
		{method: "GET", path: "/api/tunnels/{name}", summary: "Show a tunnel", answers: map[int]any{200: tunnel{}, 404: failure{}}, serve: (*API).showTunnel},
		{method: "DELETE", path: "/api/tunnels/{name}", summary: "Stop a tunnel", answers: map[int]any{204: nil, 404: failure{}, 500: failure{}}, serve: (*API).stopTunnel},
	}
}

const (
	// startPatience bounds how long the server's answer is waited for.
	startPatience = 30 * time.Second
	stopPatience  = 10 * time.Second
)

// online lists the URLs that are known to visitors.
func (a *API) online() []Tunnel {
	return slices.DeleteFunc(a.config.Agent.Tunnels(), func(t Tunnel) bool { return t.URL == "" })
}

// lookUp finds a tunnel by what the path may mean.
func (a *API) lookUp(c *call) (Tunnel, error) {
	all := a.online()
	for _, name := range c.names() {
		for _, t := range all {
			if t.Label == name {
				return t, nil
			}
		}
	}
	return Tunnel{}, tunnelNotFound(c.name)
}

func (a *API) listTunnels(http.ResponseWriter, *call) (answer, error) {
	return answer{http.StatusOK, a.tunnels()}, nil
}

func (a *API) tunnels() tunnelList {
	list := tunnelList{Tunnels: []tunnel{}, URI: "/api/tunnels"}
	for _, t := range a.online() {
		list.Tunnels = append(list.Tunnels, a.tunnel(t))
	}
	return list
}

func (a *API) showTunnel(_ http.ResponseWriter, c *call) (answer, error) {
	t, err := a.lookUp(c)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, a.tunnel(t)}, nil
}

func (a *API) startTunnel(_ http.ResponseWriter, c *call) (answer, error) {
	read := func(body []byte) (config.Endpoint, []string, error) { return config.ParseTunnel(body, a.config.Both) }
	e, body, err := a.readEndpoint(c, read)
	if err != nil {
		return answer{}, err
	}
	defer a.starts.take(e.Name)()
	t, err := a.start(c, e, savedTunnel, body)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a.tunnel(t)}, nil
}

// readEndpoint reads the body of a request that starts something.
func (a *API) readEndpoint(c *call, read func([]byte) (config.Endpoint, []string, error)) (config.Endpoint, []byte, error) {
	body, err := readJSON(c)
	if err != nil {
		return config.Endpoint{}, nil, err
	}
	e, warnings, err := read(body)
	var syntax *config.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return e, nil, malformed(err)
	case err != nil:
		return e, nil, invalidTunnel(postern.AsError(err).Text())
	}
	for _, warning := range warnings {
		a.config.Logger.WarnContext(c.Context(), "configuration", slog.String("pg", clip(c.URL.Path)), slog.String("id", c.id), slog.String("warning", warning))
	}
	if e.Persist && a.config.Saved == nil {
		return e, nil, invalidTunnel("tunnel '" + clip(e.Name) + "': this agent keeps nothing; persist needs one that runs \"start\", and the only one of its configuration")
	}
	return e, body, nil
}

// readJSON reads a body that must say that it is JSON: what a web page can send without
// asking is something else.
func readJSON(c *call) ([]byte, error) {
	sent := c.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(sent); err != nil || kind != jsonType {
		return nil, &failure{
			StatusCode: http.StatusUnsupportedMediaType, Msg: "unsupported request Content-Type",
			Details: map[string]string{"available": jsonType, "content-type": clip(sent)},
		}
	}
	body, err := io.ReadAll(c.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, generic(http.StatusRequestEntityTooLarge, map[string]string{"err": err.Error()})
	case err != nil:
		return nil, malformed(err)
	}
	c.noReadDeadline()
	return body, nil
}

// start takes an endpoint online, remembers it if that is wanted, and gives its own URL.
func (a *API) start(c *call, e config.Endpoint, kind string, body []byte) (Tunnel, error) {
	ctx, cancel := context.WithTimeout(c.Context(), startPatience)
	defer cancel()
	if err := a.config.Agent.Start(ctx, e); err != nil {
		f := startFailure(e.Name, err)
		a.config.Logger.WarnContext(ctx, "failed to start tunnel", slog.String("pg", clip(c.URL.Path)), slog.String("id", c.id), slog.String("err", err.Error()))
		return Tunnel{}, f
	}
	if e.Persist {
		if err := a.config.Saved.add(&e, kind, body); err != nil {
			// It is online, and would not be after a restart: better to say so now.
			_ = a.config.Agent.Remove(ctx, e.Name)
			return Tunnel{}, unsaved(err)
		}
	}
	for _, t := range a.config.Agent.Tunnels() {
		if t.Label == e.Name {
			return t, nil
		}
	}
	return Tunnel{}, tunnelNotFound(e.Name) // stopped in the same moment
}

func (a *API) stopTunnel(_ http.ResponseWriter, c *call) (answer, error) {
	t, err := a.lookUp(c)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), stopPatience)
	defer cancel()
	if t.Label == t.Name {
		if err := a.forget(t.Name); err != nil {
			return answer{}, unsaved(err)
		}
	}
	return a.stopped(c, t.Label, a.config.Agent.Stop(ctx, t.Label))
}

// stopped is the answer to a stop. Its endpoint is gone whether or not the server could
// still be told.
func (a *API) stopped(c *call, name string, err error) (answer, error) {
	switch {
	case postern.HasCode(err, postern.CodeNotFound):
		return answer{}, tunnelNotFound(name)
	case err != nil:
		a.config.Logger.WarnContext(c.Context(), "the server was not told of a stopped tunnel", slog.String("name", name), slog.String("err", err.Error()))
	}
	return answer{status: http.StatusNoContent}, nil
}

// forget takes an endpoint out of the saved ones.
func (a *API) forget(name string) error {
	if a.config.Saved == nil {
		return nil
	}
	return a.config.Saved.remove(name)
}

// tunnel is how a URL is shown.
func (a *API) tunnel(t Tunnel) tunnel {
	return tunnel{
		Name:      t.Label,
		ID:        t.ID,
		URI:       "/api/tunnels/" + url.PathEscape(t.Label),
		PublicURL: t.URL,
		Proto:     string(t.Scheme),
		Config:    tunnelConfig{Addr: t.Addr, Inspect: !t.Config.NoInspect},
		Metrics:   a.metrics(t.Label),
	}
}

func (a *API) metrics(label string) tunnelMetrics {
	meters, now := a.config.Recorder.Known(label), time.Now()
	if meters == nil {
		return tunnelMetrics{}
	}
	r := meters.Requests.Numbers(now)
	return tunnelMetrics{
		Conns: connectionNumbers(meters.Connections.Numbers(now)),
		HTTP: requestNumbers{
			Count: r.Count, Rate1: r.Rate1, Rate5: r.Rate5, Rate15: r.Rate15, P50: r.P50, P90: r.P90, P95: r.P95, P99: r.P99,
		},
	}
}

// Interface guard: the shapes of numbers agree.
var _ = connectionNumbers(inspect.Numbers{})
