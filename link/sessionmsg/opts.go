package sessionmsg

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
)

// opts is the union of what Bind.Opts may hold for http, https, tcp and tls.
// ngrok-go v2 sends URL and TrafficPolicy; v1 sends URL or the older Domain,
// Hostname, Subdomain and Addr; ngrok-rust knows no URL at all.
type opts struct {
	URL               string
	Domain            string
	Hostname          string
	Subdomain         string
	Addr              string
	Auth              string
	HostHeaderRewrite bool
	LocalURLScheme    string // for people
	ProxyProto        proxyVersion
	MutualTLSAtAgent  bool // the agent checks clients itself: nothing to do here
	TLSTermination    *tlsTermination
	MutualTLSCA       *mutualTLS // of http endpoints
	MutualTLSAtEdge   *mutualTLS // of tls endpoints
	TrafficPolicy     string

	Compression           json.RawMessage
	CircuitBreaker        json.RawMessage
	IPRestriction         json.RawMessage
	BasicAuth             json.RawMessage
	OAuth                 json.RawMessage
	OIDC                  json.RawMessage
	WebhookVerification   json.RawMessage
	RequestHeaders        json.RawMessage
	ResponseHeaders       json.RawMessage
	WebsocketTCPConverter json.RawMessage
	UserAgentFilter       json.RawMessage
	Policy                json.RawMessage
	ErrorPages            json.RawMessage // Postern's own: postern.ErrorPages
	MiddlewareBytes       json.RawMessage // of old ngrok-rust: all of the above, as protobuf
}

// tlsTermination asks the edge to end TLS: with its own certificate where Cert is
// empty. []byte is base64 in JSON; the content is PEM.
type tlsTermination struct {
	Cert      []byte `json:"cert"`
	Key       []byte `json:"key"`
	SealedKey []byte `json:"sealed_key"`
}

// mutualTLS asks the edge for visitors' certificates. []byte is base64 in JSON; the
// content is PEM.
type mutualTLS struct {
	Authorities []byte `json:"mutual_tls_ca"`
}

// proxyVersion is 0, 1 or 2, as a number or (some agents) as text.
type proxyVersion int

// UnmarshalJSON accepts 0, 1, 2, null and the same in quotes.
func (p *proxyVersion) UnmarshalJSON(raw []byte) error {
	switch strings.Trim(string(raw), `"`) {
	case "", "0", "null":
		*p = 0
	case "1":
		*p = 1
	case "2":
		*p = 2
	default:
		return postern.Errorf(postern.CodeBindInvalid, "ProxyProto %.20s is not 0, 1 or 2", raw)
	}
	return nil
}

// unsupported names what is asked for and beyond this version. Nothing is dropped in
// silence: whoever asks for an IP restriction and gets an open endpoint has been
// harmed.
func (o *opts) unsupported() []string {
	if o.TLSTermination != nil && len(o.TLSTermination.SealedKey) > 0 {
		return []string{"TLSTermination.sealed_key"}
	}
	return nil
}

type namedOption struct {
	name  string
	value json.RawMessage
}

// middleware lists the options that are objects.
func (o *opts) middleware() []namedOption {
	return []namedOption{
		{"CircuitBreaker", o.CircuitBreaker},
		{"IPRestriction", o.IPRestriction},
		{"BasicAuth", o.BasicAuth},
		{"OAuth", o.OAuth},
		{"OIDC", o.OIDC},
		{"WebhookVerification", o.WebhookVerification},
		{"RequestHeaders", o.RequestHeaders},
		{"ResponseHeaders", o.ResponseHeaders},
		{"UserAgentFilter", o.UserAgentFilter},
		{"Policy", o.Policy},
		{ErrorPages, o.ErrorPages},
		{"MiddlewareBytes", o.MiddlewareBytes},
	}
}

// asked is what a policy is to do, as link.BindRequest has it; nil for nothing.
func (o *opts) asked() map[string]json.RawMessage {
	all := make(map[string]json.RawMessage)
	for name, text := range map[string]string{"Auth": o.Auth, TrafficPolicy: o.TrafficPolicy} {
		if strings.TrimSpace(text) != "" {
			all[name], _ = json.Marshal(text) // a string always can be
		}
	}
	// These two have no fields: that they are there is the request.
	if present(o.Compression) {
		all["Compression"] = o.Compression
	}
	if present(o.WebsocketTCPConverter) {
		all[WebSocketConverter] = o.WebsocketTCPConverter
	}
	for _, option := range o.middleware() {
		if asksForSomething(option.value) {
			all[option.name] = option.value
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// TrafficPolicy is the option whose value is a traffic policy, as text.
const TrafficPolicy = "TrafficPolicy"

// WebSocketConverter is the option that has WebSockets of visitors become plain TCP. It has
// no fields.
const WebSocketConverter = "WebsocketTCPConverter"

// ErrorPages is the option for pages of an endpoint's own and for its maintenance, as
// postern.ErrorPages in JSON. ngrok's protocol has none of this name.
const ErrorPages = "ErrorPages"

// IsMiddleware tells whether an option of this name asks the server to do something
// to an endpoint's traffic.
func IsMiddleware(name string) bool {
	switch name {
	case "Auth", "TrafficPolicy", "Compression", WebSocketConverter, "MutualTLSCA", "MutualTLSAtEdge":
		return true
	}
	var none opts
	return slices.ContainsFunc(none.middleware(), func(o namedOption) bool { return o.name == name })
}

// present tells whether the value is there and neither null nor false.
func present(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "false":
		return false
	}
	return true
}

// asksForSomething tells an option that is set from the zero object that some
// SDKs send as a default: {}, {"allow_cidrs":[]}, {"provider":""}.
func asksForSomething(raw json.RawMessage) bool {
	if !present(raw) {
		return false
	}
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return true // cannot happen inside a valid message; refusing is the safe side
	}
	return !isZero(value)
}

// isZero tells whether value holds nothing but null, false, 0, "" and empty lists
// and objects. The depth of value is bounded by Decode.
func isZero(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, member := range v {
			if !isZero(member) {
				return false
			}
		}
		return true
	}
	return false
}
