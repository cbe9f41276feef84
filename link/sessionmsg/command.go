package sessionmsg

import "github.com/postern-dev/postern/link"

// Stop, Restart and Update are asked by the server of the agent's process.
type (
	Stop    struct{}
	Restart struct{}
	Update  struct {
		Version            string // "": the newest
		PermitMajorVersion bool
	}
)

// CommandResp answers Stop, Restart and Update. ngrok-rust leaves Error out on
// success.
type CommandResp struct {
	Error string
}

// StopTunnel tells the agent that one endpoint has ended. There is no reply.
type StopTunnel struct {
	ID        string `json:"Id"`
	Message   string
	ErrorCode string
}

// Command gives the stream type and the request for c; ok is false for an action
// that this wire does not have.
func Command(c link.Command) (streamType uint32, request any, ok bool) {
	switch c.Action {
	case link.Restart:
		return TypeRestart, Restart{}, true
	case link.Stop:
		return TypeStop, Stop{}, true
	case link.Update:
		return TypeUpdate, Update{Version: c.Version, PermitMajorVersion: c.PermitMajor}, true
	}
	return 0, nil, false
}
