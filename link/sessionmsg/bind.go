package sessionmsg

import "encoding/json"

// Bind asks for an endpoint. Opts depends on Proto: for http, https, tcp and tls
// see Bind.Request.
type Bind struct {
	ID            string `json:"Id"` // as BindResp gave it, on return; else ""
	Proto         string // "" is https
	ForwardsTo    string // for people
	ForwardsProto string // "", "http1", "http2"
	Opts          json.RawMessage
	Extra         BindExtra
}

// BindExtra goes with Bind.
type BindExtra struct {
	Name           string
	Token          string
	IPPolicyRef    string
	Metadata       string
	Description    string
	Bindings       []string
	PoolingEnabled bool
}

// BindResp answers Bind. SDKs keep Opts and send them again when they come back,
// so they must ask for what was given; see Bind.Echo.
type BindResp struct {
	ID    string `json:"Id"`
	URL   string
	Proto string
	Opts  json.RawMessage
	Error string
	Extra BindRespExtra
}

// BindRespExtra goes with BindResp.
type BindRespExtra struct {
	Token    string // gives the same URL back to a returning agent
	TunnelID string // the endpoint's id; PatchTunnelState names it
}

// StartTunnelWithLabel asks for a labelled tunnel.
type StartTunnelWithLabel struct {
	Labels        map[string]string
	ForwardsTo    string
	ForwardsProto string
	Metadata      string
}

// StartTunnelWithLabelResp answers StartTunnelWithLabel.
type StartTunnelWithLabelResp struct {
	ID    string `json:"Id"`
	Error string
}

// Unbind takes an endpoint offline.
type Unbind struct {
	ID    string `json:"Id"`
	Extra json.RawMessage
}

// UnbindResp answers Unbind.
type UnbindResp struct {
	Error string
	Extra json.RawMessage
}

// PatchTunnelState changes an endpoint while it stays online. What is nil stays.
type PatchTunnelState struct {
	TunnelID       string  `json:"TunnelId"`
	Name           *string `json:",omitempty"`
	Description    *string `json:",omitempty"`
	Metadata       *string `json:",omitempty"`
	PoolingEnabled *bool   `json:",omitempty"`
	TrafficPolicy  *string `json:",omitempty"`
}

// PatchTunnelStateResp answers PatchTunnelState.
type PatchTunnelStateResp struct {
	Error string
}
