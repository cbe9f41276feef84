package policy

import (
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// The phases of a policy, by their names in the text. The last two are those of old
// clients: the phases of requests and answers.
const (
	OnTCPConnect         = "on_tcp_connect"
	OnHTTPRequest        = "on_http_request"
	OnHTTPResponse       = "on_http_response"
	OnEventStreamMessage = "on_event_stream_message"
	inbound              = "inbound"
	outbound             = "outbound"
)

// phase is what a name stands for, and where it is.
type phase struct {
	name string
	at   expression.Phase
	http bool // there is none of it on tcp and tls endpoints
}

func phases() []phase {
	return []phase{
		{OnTCPConnect, expression.Connect, false},
		{OnHTTPRequest, expression.Request, true},
		{OnHTTPResponse, expression.Response, true},
		{OnEventStreamMessage, expression.Message, true},
		{inbound, expression.Request, true},
		{outbound, expression.Response, true},
	}
}

func phaseNamed(name string) (phase, bool) {
	all := phases()
	i := slices.IndexFunc(all, func(p phase) bool { return p.name == name })
	if i < 0 {
		return phase{}, false
	}
	return all[i], true
}

// Target is the endpoint that a policy is for.
type Target struct {
	Scheme   postern.Scheme
	Internal bool // it is reached from other endpoints only
	// Last says that nobody stands behind: the policy must answer whatever comes.
	Last bool
	// Before is a policy of OfOptions that is held to before the text; "" for none.
	Before postern.Secret
	// Editable says which headers may be edited; nil functions allow all.
	Editable Editable
	// Unset are variables that this server could know and does not.
	Unset []Unset
}

// Unset are variables that a server has no values for as it is configured.
type Unset struct {
	Names []string // such as conn.geo
	Why   string   // such as "no database is configured"
}

// HTTP tells whether the endpoint serves requests.
func (t Target) HTTP() bool { return t.Scheme == postern.HTTP || t.Scheme == postern.HTTPS }

// phaseCount is how many phases there are.
const phaseCount = int(expression.Message) + 1
