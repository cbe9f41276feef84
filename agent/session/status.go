package session

import (
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// State is where a Supervisor is in its life:
//
//	Connecting → Online ⇄ Reconnecting
//	      └────────┴──────────┴→ Draining → Stopped
type State string

// The states.
const (
	Connecting   State = "connecting"
	Online       State = "online" // a session exists and endpoints were asked for
	Reconnecting State = "reconnecting"
	Draining     State = "draining" // endpoints are offline, open streams are finishing
	Stopped      State = "stopped"
)

// Status is a snapshot for people.
type Status struct {
	State   State
	Session link.Welcome  // of the latest session
	Latency time.Duration // of the latest ping; 0: not known yet
	// Why is what keeps the agent from being online; nil where nothing does.
	Why *postern.Error
}

// Events tell what happens, as it happens. Nil functions are not called. They are
// called one at a time and must not block: the session waits for them.
type Events struct {
	Status  func(Status)
	Bound   func(name, label string, b link.Bound) // online; again after a reconnect if the URL changed
	Refused func(name string, why *postern.Error)  // not online; it is asked for again
	Stopped func(name string, why *postern.Error)  // taken offline by the server, or its TTL has passed
	Removed func(name, label string)               // forgotten: as somebody asked for, or after Stopped
}
