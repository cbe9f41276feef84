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
	Object  []byte
}
