package localapi

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/inspect"
)

// exchange is a captured request with its answer.
type exchange struct {
	URI        string    `json:"uri"`
	ID         string    `json:"id"`
	TunnelName string    `json:"tunnel_name"`
	RemoteAddr string    `json:"remote_addr"`
	Start      time.Time `json:"start"`
	Duration   int64     `json:"duration"` // nanoseconds
	Request    request   `json:"request"`
	Response   *response `json:"response"`
	Problem    string    `json:"problem,omitempty"`   // ours, as those that follow
	ReplayOf   string    `json:"replay_of,omitempty"` // id
}

type request struct {
	Method    string  `json:"method"`
	Proto     string  `json:"proto"`
	Headers   headers `json:"headers"`
	URI       string  `json:"uri"`
	Raw       []byte  `json:"raw"`
	Truncated bool    `json:"truncated,omitempty"` // ours
}

type response struct {
	Status     string  `json:"status"`
	StatusCode int     `json:"status_code"`
	Proto      string  `json:"proto"`
	Headers    headers `json:"headers"`
	Raw        []byte  `json:"raw"`
	Truncated  bool    `json:"truncated,omitempty"` // ours
}

// headers are a message's, by their canonical names.
type headers map[string][]string

// MarshalXML writes an element for each value.
func (h headers) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return encodeNamed(e, start, "Header", func(yield func(name, text string) bool) {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, value := range h[name] {
				if !yield(name, value) {
					return
				}
			}
		}
	})
}

type exchangeList struct {
	URI      string     `json:"uri"`
	Requests []exchange `json:"requests"`
	// Passed is ours: how many requests were counted and not kept, because there were
	// too many a second.
	Passed int64 `json:"not_captured,omitempty"`
	// Truncated is ours as well: older ones are left out although the limit includes
	// them, because the answer would have become too large.
	Truncated bool `json:"truncated,omitempty"`
}

// replayRequest is the body that sends a request again.
type replayRequest struct {
	ID         string `json:"id"`
	TunnelName string `json:"tunnel_name"`
}

func requestRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/requests/http", summary: "List captured requests, the newest first", query: []string{"limit", "tunnel_name"},
			answers: map[int]any{200: exchangeList{}, 400: failure{}}, serve: (*API).listRequests,
		},
		{
			method: "POST", path: "/api/requests/http", summary: "Send a captured request to its service again", request: replayRequest{},
			answers: faults(map[int]any{204: nil, 404: failure{}, 502: failure{}}), serve: (*API).replay,
		},
		{method: "DELETE", path: "/api/requests/http", summary: "Forget all captured requests", answers: map[int]any{204: nil}, serve: (*API).clearRequests},
		{method: "GET", path: "/api/requests/http/{id}", summary: "Show a captured request", answers: map[int]any{200: exchange{}, 404: failure{}}, serve: (*API).showRequest},
	}
}

const (
	defaultLimit = 50
	// mostListed bounds the messages of one list, in bytes; the first is always shown.
	mostListed = 8 << 20
	// replayPatience bounds how long the answer to a replayed request is waited for.
	replayPatience = 50 * time.Second
)

func (a *API) listRequests(_ http.ResponseWriter, c *call) (answer, error) {
	query := c.URL.Query()
	limit := defaultLimit
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return answer{}, malformed(fmt.Errorf("limit %q is not a number", clip(text)))
		}
		limit = cmp.Or(n, defaultLimit)
	}
	recorder := a.config.Recorder
	list := exchangeList{URI: "/api/requests/http", Requests: []exchange{}, Passed: recorder.Passed()}
	listed := 0
	for _, x := range recorder.Store().List(inspect.Filter{Endpoint: query.Get("tunnel_name")}, limit) {
		listed += len(x.Request.Raw)
		if x.Response != nil {
			listed += len(x.Response.Raw)
		}
		if listed > mostListed && len(list.Requests) > 0 {
			list.Truncated = true
			break
		}
		list.Requests = append(list.Requests, shown(x))
	}
	return answer{http.StatusOK, list}, nil
}

func (a *API) showRequest(_ http.ResponseWriter, c *call) (answer, error) {
	x, found := a.config.Recorder.Store().Get(c.name)
	if !found {
		return answer{}, requestNotFound(c.name)
	}
	return answer{http.StatusOK, shown(x)}, nil
}

func (a *API) clearRequests(http.ResponseWriter, *call) (answer, error) {
	a.config.Recorder.Store().Clear()
	return answer{status: http.StatusNoContent}, nil
}

func (a *API) replay(_ http.ResponseWriter, c *call) (answer, error) {
	body, err := readJSON(c)
	if err != nil {
		return answer{}, err
	}
	var wanted replayRequest
	if err := json.Unmarshal(body, &wanted); err != nil {
		return answer{}, malformed(err)
	}
	ctx, cancel := context.WithTimeout(c.Context(), replayPatience)
	defer cancel()
	open := func(ctx context.Context, label string) (net.Conn, error) {
		if !slices.ContainsFunc(a.config.Agent.Tunnels(), func(t Tunnel) bool { return t.Label == label }) {
			return nil, tunnelNotFound(label)
		}
		return a.config.Agent.Open(ctx, label)
	}
	err = a.config.Recorder.Replay(ctx, wanted.ID, wanted.TunnelName, open)
	var failed *failure
	switch {
	case errors.As(err, &failed):
		return answer{}, failed
	case postern.HasCode(err, postern.CodeNotFound):
		return answer{}, requestNotFound(wanted.ID)
	case err != nil:
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// shown is how an exchange is shown. Its messages are those of inspect, not copies.
func shown(x *inspect.Exchange) exchange {
	method, target, protocol := x.Request.RequestLine()
	e := exchange{
		URI: "/api/requests/http/" + url.PathEscape(x.ID), ID: x.ID, TunnelName: x.Endpoint, RemoteAddr: x.Remote,
		Start: x.Start, Duration: int64(x.Duration), Problem: x.Problem, ReplayOf: x.ReplayOf,
		Request: request{
			Method: method, Proto: protocol, URI: target, Headers: headersOf(&x.Request),
			Raw: x.Request.Raw, Truncated: x.Request.Cut,
		},
	}
	if x.Response != nil {
		protocol, status, code := x.Response.StatusLine()
		e.Response = &response{
			Status: status, StatusCode: code, Proto: protocol, Headers: headersOf(x.Response),
			Raw: x.Response.Raw, Truncated: x.Response.Cut,
		}
	}
	return e
}

func headersOf(m *inspect.Message) headers {
	all := headers{}
	for name, value := range m.Lines() {
		name = http.CanonicalHeaderKey(name)
		all[name] = append(all[name], value)
	}
	return all
}
