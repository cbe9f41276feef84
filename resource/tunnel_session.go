package resource

import "time"

// TunnelSession is an agent that is connected right now.
type TunnelSession struct {
	AgentVersion string    `json:"agent_version" doc:"The agent's version, as it says itself."`
	Credential   Ref       `json:"credential" doc:"The authtoken that it connected with."`
	ID           string    `json:"id" doc:"Identifies the session; a new connection has a new one."`
	IP           string    `json:"ip" doc:"The address from which the agent connected."`
	Metadata     string    `json:"metadata" doc:"What the agent was told to say of itself."`
	OS           string    `json:"os" doc:"The agent's operating system, as it says itself."`
	Region       string    `json:"region" doc:"The server's region to which it is connected."`
	StartedAt    time.Time `json:"started_at" doc:"When it connected: RFC 3339, in UTC, whole seconds."`
	Transport    string    `json:"transport" doc:"The wire that it speaks, such as ngrok/2 or postern/1."`
	URI          string    `json:"uri" doc:"Its address in this API."`
}

// TunnelSessions are the account's agents that are connected right now.
func TunnelSessions() Collection[TunnelSession, None, None] {
	return Define[TunnelSession, None, None](Definition{
		Name: "tunnel_sessions", Singular: "tunnel session", Prefixes: []string{"ts"}, Operations: ReadOnly,
		Doc: "An agent that is connected right now. It is there for as long as its connection.",
		Actions: []Action{
			{"restart", "Has the agent's process start itself again, and waits for its answer."},
			{"stop", "Has the agent's process end, and waits for its answer."},
			{"update", "Has the agent replace itself by the newest version, and waits for its answer."},
		},
	})
}
