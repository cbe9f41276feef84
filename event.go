package postern

import "time"

// EventType names what happened, in ngrok's words where they have one:
// "agent_session_start.v0", "tunnel_credential_created.v0".
type EventType string

// Event is a fact about the control plane, recorded with the change that caused
// it. Object is the resource's JSON after the change.
type Event struct {
	ID      EventID
	Type    EventType
	Account AccountID
	At      time.Time
	Actor   Actor
	Object  []byte
}

// Actor is who caused an event. The zero value stands for the server itself, and for
// what agents do.
type Actor struct {
	ID     string `json:"id"`            // of a user or service user
	Source string `json:"source"`        // by which way: "API", "Dashboard", "Server"
	Key    string `json:"key,omitempty"` // the API key, if it came with one
}
