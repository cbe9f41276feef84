package resource

import "time"

// Tunnel is an endpoint that an agent has online right now, seen from the agent.
type Tunnel struct {
	ID            string            `json:"id" doc:"Identifies it; behind its prefix it is the id of the endpoint."`
	PublicURL     string            `json:"public_url" doc:"Where visitors find it."`
	StartedAt     time.Time         `json:"started_at" doc:"When it came online: RFC 3339, in UTC, whole seconds."`
	Metadata      string            `json:"metadata" doc:"What the agent's configuration says about it."`
	Proto         string            `json:"proto" doc:"What visitors speak: http, https, tcp or tls."`
	Region        string            `json:"region" doc:"The server's region in which it is."`
	TunnelSession Ref               `json:"tunnel_session" doc:"The agent's session that serves it."`
	Endpoint      *Ref              `json:"endpoint" doc:"The endpoint that it is."`
	Labels        map[string]string `json:"labels" doc:"Always empty: there are no edges here that labels would lead to."`
	Backends      []Ref             `json:"backends" doc:"Always empty, as labels."`
	ForwardsTo    string            `json:"forwards_to" doc:"Where the agent sends its visitors, as the agent says itself."`
}

// Tunnels are the account's endpoints that agents have online right now.
func Tunnels() Collection[Tunnel, None, None] {
	return Define[Tunnel, None, None](Definition{
		Name: "tunnels", Singular: "tunnel", Prefixes: []string{"tn"}, Operations: ReadOnly,
		Doc: "An endpoint that an agent has online right now, seen from the agent.",
	})
}
