package session

import (
	"strings"

	"github.com/postern-dev/postern"
)

// Transport is how a session's bytes reach the server.
type Transport string

// The transports. Auto is not one itself: the agent takes the first that works, in
// the order of Ladder.
const (
	Auto      Transport = ""
	TLS       Transport = "tls"       // TLS on TCP
	WebSocket Transport = "websocket" // the same TLS within a WebSocket over HTTPS
)

// Ladder lists the transports that t allows, the best first.
func (t Transport) Ladder() []Transport {
	if t == Auto {
		return []Transport{TLS, WebSocket}
	}
	return []Transport{t}
}

// String implements fmt.Stringer.
func (t Transport) String() string {
	if t == Auto {
		return "auto"
	}
	return string(t)
}

// ParseTransport reads "auto" (or ""), "tls" or "websocket". Errors are CodeFlagInvalid.
func ParseTransport(text string) (Transport, error) {
	switch t := Transport(strings.ToLower(strings.TrimSpace(text))); t {
	case TLS, WebSocket:
		return t, nil
	case "auto", Auto:
		return Auto, nil
	}
	return Auto, postern.Errorf(postern.CodeFlagInvalid, "the transport %q is not auto, tls or websocket", text)
}
