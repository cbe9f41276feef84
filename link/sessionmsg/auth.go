package sessionmsg

import (
	"encoding/json"
	"log/slog"
)

// The protocol versions, best first.
const (
	Version3 = "3"
	Version2 = "2"
)

// Token is an authtoken on its way. It prints and logs as a mask, but its JSON is
// the token itself: the wire is TLS, and the peer needs it.
type Token string

const mask = "[secret]"

// String masks the token.
func (t Token) String() string { return mask }

// GoString masks %#v as String masks %v.
func (t Token) GoString() string { return mask }

// LogValue masks the token in slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(mask) }

// Auth opens a session. It is the first request of a connection, except that
// SrvInfo may come before it.
type Auth struct {
	Version  []string // that the agent speaks, best first
	ClientID string   `json:"ClientId"` // of the session before, "" for none
	Extra    AuthExtra
}

// AuthExtra is what an agent says of itself. For the three UnsupportedErrors nil
// means that the agent is too old to be asked, "" that it can, and any other text
// why it cannot.
type AuthExtra struct {
	OS                      string
	Arch                    string
	Authtoken               Token
	Version                 string
	Hostname                string
	UserAgent               string
	Metadata                string
	Cookie                  string
	HeartbeatInterval       int64 // nanoseconds
	HeartbeatTolerance      int64 // nanoseconds
	Fingerprint             json.RawMessage
	UpdateUnsupportedError  *string
	StopUnsupportedError    *string
	RestartUnsupportedError *string
	ProxyType               string
	MutualTLS               bool
	ServiceRun              bool
	ConfigVersion           string
	CustomInterface         bool
	CustomCAs               bool
	ClientType              string
	LegNumber               uint32
	// Postern is sent by our own agent only, over link/native: the extensions that
	// it offers.
	Postern *Extensions `json:",omitempty"`
}

// AuthResp answers Auth. After an Error the server closes the connection.
type AuthResp struct {
	Version  string // the one chosen
	ClientID string `json:"ClientId"`
	Error    string
	Extra    AuthRespExtra
}

// AuthRespExtra describes the session. ngrok-rust needs ConnectAddresses to be a
// list, ngrok-go needs Region not to be empty.
type AuthRespExtra struct {
	Version            string // of the server
	Region             string
	Cookie             string
	AccountName        string
	SessionDuration    int64 // seconds, 0: no limit
	PlanName           string
	Banner             string
	DeprecationWarning *Deprecation
	ConnectAddresses   []ConnectAddress
	AgentSessionID     string
	AgentMetrics       *AgentMetrics // nil: agents send none
	Postern            *Extensions   `json:",omitempty"` // those of the offer that are in force
}

// Deprecation tells an agent that it will not be accepted for ever.
type Deprecation struct {
	NextMin  string
	NextDate string // RFC 3339
	Msg      string
}

// ConnectAddress is one more address of the server, for agents with several legs.
type ConnectAddress struct {
	Region     string
	ServerAddr string
}

// AgentMetrics says how an agent shall report its figures.
type AgentMetrics struct {
	IntervalMs    int64
	MaxBatchBytes int64
	MaxSamples    int64
}

// Extensions are what our own agent and server can do beyond ngrok's protocol.
// The agent lists its own in Auth, the server answers with those of them that it
// turns on. Names that a side does not know are ignored. The list exists so that
// either side can be updated first.
type Extensions struct {
	// Names holds one short name per extension, for example "rich-resets".
	Names []string

	// Session and Secret admit further connections to the session, up to Carriers of
	// them. Only in the server's answer, and only where that extension is in force.
	Session  string `json:",omitempty"`
	Secret   Token  `json:",omitempty"`
	Carriers int    `json:",omitempty"`

	// Gateway is that the other end is no agent but a connector. Only in the offer.
	Gateway *Gateway `json:",omitempty"`
}

// Gateway is link.GatewayHello on its way; Plain is the server's to find out.
type Gateway struct {
	Gateway  string
	Instance string `json:",omitempty"`
}

// SrvInfo asks for SrvInfoResp, before or after Auth.
type SrvInfo struct{}

// SrvInfoResp describes the server.
type SrvInfoResp struct {
	Region string
}
