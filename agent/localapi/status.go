package localapi

import (
	"net/http"
	"time"
)

type root struct {
	TunnelsURI  string `json:"tunnels_uri"`
	RequestsURI string `json:"http_requests_uri"`
}

type status struct {
	Status       string        `json:"status"`
	AgentVersion string        `json:"agent_version"`
	Session      sessionStatus `json:"session"`
	URI          string        `json:"uri"`
	Problem      string        `json:"problem,omitempty"` // ours: what keeps it from being online
}

type sessionStatus struct {
	Legs []leg `json:"legs"`
}

type leg struct {
	Region  string `json:"region"`
	Latency string `json:"latency"`
}

func otherRoutes() []route {
	return []route{
		{method: "GET", path: "/api", summary: "Say where things are", answers: map[int]any{200: root{}}, serve: (*API).showRoot},
		{method: "GET", path: "/api/status", summary: "Show how the agent is", answers: map[int]any{200: status{}}, serve: (*API).showStatus},
		{method: "GET", path: "/api/events", summary: "Follow what happens, as server-sent events: status, tunnels, request, lost", answers: map[int]any{200: plain(""), 503: failure{}}, serve: (*API).follow},
		{method: "GET", path: "/api/openapi.json", summary: "Show this document", answers: map[int]any{200: map[string]any{}}, serve: (*API).showOpenAPI},
		{method: "GET", path: "/inspect/http", summary: "Say where the API is", answers: map[int]any{200: plain("")}, serve: (*API).showPage},
		{method: "GET", path: "/", summary: "Lead to /inspect/http", answers: map[int]any{302: nil}, serve: (*API).lead},
	}
}

func (a *API) showRoot(http.ResponseWriter, *call) (answer, error) {
	return answer{http.StatusOK, root{TunnelsURI: "/api/tunnels", RequestsURI: "/api/requests/http"}}, nil
}

func (a *API) showStatus(http.ResponseWriter, *call) (answer, error) {
	return answer{http.StatusOK, a.status()}, nil
}

func (a *API) status() status {
	now := a.config.Agent.Status()
	shown := status{Status: now.State, AgentVersion: a.config.Version, Session: sessionStatus{Legs: []leg{}}, URI: "/api/status", Problem: now.Problem}
	if now.State == "online" {
		shown.Session.Legs = append(shown.Session.Legs, leg{Region: now.Region, Latency: latency(now.Latency)})
	}
	return shown
}

// latency is whole milliseconds, "-" until it is known.
func latency(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func (a *API) lead(w http.ResponseWriter, _ *call) (answer, error) {
	w.Header().Set("Location", "/inspect/http")
	return answer{status: http.StatusFound}, nil
}

// page stands where browsers of ngrok's agent are led to.
const page = `Postern's agent. Its API on this address:

  /api/status          how the agent is
  /api/tunnels         the tunnels with their public URLs
  /api/requests/http   the captured requests, the newest first
  /api/events          what happens, as server-sent events
  /api/openapi.json    all of it, described
`

func (a *API) showPage(http.ResponseWriter, *call) (answer, error) {
	return answer{http.StatusOK, plain(page)}, nil
}
