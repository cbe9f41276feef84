package expression

// Phase says where an expression stands; what it may name depends on it.
type Phase uint8

// The phases of a policy, in the order in which they come.
const (
	Connect  Phase = iota // on_tcp_connect
	Request               // on_http_request
	Response              // on_http_response
	Message               // on_event_stream_message
	phases
)

// String is the name that the phase has in a policy.
func (p Phase) String() string {
	switch p {
	case Connect:
		return "on_tcp_connect"
	case Request:
		return "on_http_request"
	case Response:
		return "on_http_response"
	case Message:
		return "on_event_stream_message"
	}
	return "no phase"
}
