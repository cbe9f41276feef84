package resource

import "time"

// PrivateGateway leads from apps to services in private networks, through connectors that
// run there.
type PrivateGateway struct {
	Identity
	Notes
	Name        string             `json:"name" doc:"What consumers and their access rules (access:NAME:PORT) call it; the account has it once."`
	Path        string             `json:"path" doc:"The last part of its address: sg_ and a UUID."`
	Address     string             `json:"address" doc:"What connectors are given as their server."`
	Domain      *string            `json:"domain" doc:"The domain of its own in the address; null for the server's gateway domain."`
	Listen      []string           `json:"listen" doc:"The IP addresses on which its ports open. No other gateway has them."`
	Ports       []string           `json:"ports" doc:"Which ports connectors may offer, such as 8081, 9000-9100 or 53/udp; an empty list allows every port that the server lets gateways listen on."`
	Hold        int64              `json:"hold" doc:"For how many seconds a port stays open, and consumers wait, when its last connector has left."`
	Conflict    string             `json:"conflict" doc:"What happens when a second connector offers a port with another target: refuse, or pool, which spreads connections over both."`
	Insecure    bool               `json:"insecure" doc:"Whether tokens are taken over plain HTTP, where others can read them."`
	Consumers   []string           `json:"consumers" doc:"The networks that may connect to the listening addresses; an empty list allows whoever reaches them."`
	Fingerprint string             `json:"fingerprint" doc:"Of the server's host key, for chisel clients (--fingerprint); empty while there is none."`
	Token       *string            `json:"token" doc:"The first token itself: shown once, in the answer to the gateway's creation."`
	Tokens      []Ref              `json:"tokens" doc:"The tokens with which connectors may connect, the newest first, at most 100."`
	Connectors  []GatewayConnector `json:"connectors" doc:"The connectors that are connected right now."`
	Endpoints   []GatewayEndpoint  `json:"endpoints" doc:"The ports that are offered right now, or are held for a connector to return."`
}

// GatewayConnector is a connector that is connected right now.
type GatewayConnector struct {
	ID          string    `json:"id" doc:"Identifies the session; a new connection has a new one."`
	Instance    string    `json:"instance" doc:"The connector's process, the same whenever it reconnects; empty where it does not say."`
	Token       Ref       `json:"token" doc:"The token that it connected with."`
	Version     string    `json:"version" doc:"The connector's version, as it says itself."`
	UserAgent   string    `json:"user_agent" doc:"The program, as it says itself."`
	Transport   string    `json:"transport" doc:"The wire that it speaks, such as chisel-v3 or postern/1."`
	RemoteAddr  string    `json:"remote_addr" doc:"The address and port from which it connected."`
	Since       time.Time `json:"since" doc:"When it connected: RFC 3339, in UTC, whole seconds."`
	LatencyMS   *float64  `json:"latency_ms" doc:"How long the last heartbeat took there and back, in milliseconds; null before there was one."`
	BytesIn     int64     `json:"bytes_in" doc:"Bytes from consumers to its services."`
	BytesOut    int64     `json:"bytes_out" doc:"Bytes from its services to consumers."`
	Connections int64     `json:"connections" doc:"Connections and flows that are open through it."`
}

// GatewayEndpoint is a port of a gateway.
type GatewayEndpoint struct {
	Network     string     `json:"network" doc:"tcp or udp; one port number is two endpoints."`
	Port        uint16     `json:"port" doc:"The port at the gateway."`
	Targets     []string   `json:"targets" doc:"What connectors dial for it, each once."`
	Connectors  []string   `json:"connectors" doc:"The ids of the connectors that offer it."`
	Listen      []string   `json:"listen" doc:"The addresses and ports where consumers reach it."`
	Open        bool       `json:"open" doc:"Whether it is listened on; error says why not."`
	Healthy     *bool      `json:"healthy" doc:"Whether the last probe reached a target through a connector; null where none was made."`
	LastProbeAt *time.Time `json:"last_probe_at" doc:"When that was: RFC 3339, in UTC, whole seconds."`
	Error       string     `json:"error" doc:"What is wrong, empty if nothing is."`
	Connections int64      `json:"connections" doc:"Connections and flows that are open right now."`
	Bytes       int64      `json:"bytes" doc:"Bytes in both directions since it opened."`
}

// PrivateGatewayCreate makes a PrivateGateway.
type PrivateGatewayCreate struct {
	Description string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Name        string   `json:"name,omitzero" api:"required" doc:"What consumers and their access rules call it: letters, digits and hyphens, such as a stage's name."`
	Domain      string   `json:"domain,omitzero" doc:"A domain that the account has reserved, for the address; the server's gateway domain by default."`
	Listen      []string `json:"listen,omitzero" doc:"The IP addresses on which its ports are to open, among those that the server's gateways.listen_allow permits; a loopback address of its own by default."`
	Ports       []string `json:"ports,omitzero" doc:"Which ports connectors may offer, such as 8081, 9000-9100 or 53/udp; by default every port that the server permits."`
	Hold        *int64   `json:"hold,omitzero" doc:"For how many seconds a port stays open when its last connector has left: 0 to 300, 10 by default."`
	Conflict    string   `json:"conflict,omitzero" doc:"What happens when a second connector offers a port with another target: refuse, which is the default, or pool."`
	Insecure    bool     `json:"insecure,omitzero" doc:"Whether to take tokens over plain HTTP, where others can read them."`
	Consumers   []string `json:"consumers,omitzero" doc:"The networks, such as 10.1.0.0/16, that may connect to the listening addresses; by default whoever reaches them."`
}

// PrivateGatewayUpdate changes a PrivateGateway; what is nil stays.
type PrivateGatewayUpdate struct {
	Description *string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Name        *string   `json:"name,omitzero" doc:"Another name; access rules that have the old one do not follow."`
	Domain      *string   `json:"domain,omitzero" api:"nullable" doc:"Another domain that the account has reserved; null or empty for the server's gateway domain."`
	Listen      *[]string `json:"listen,omitzero" doc:"Other IP addresses on which its ports are to open; an empty list for a loopback address of its own."`
	Ports       *[]string `json:"ports,omitzero" doc:"Which ports connectors may offer from now on; an empty list for every port that the server permits."`
	Hold        *int64    `json:"hold,omitzero" doc:"For how many seconds a port stays open when its last connector has left: 0 to 300."`
	Conflict    *string   `json:"conflict,omitzero" doc:"What happens when a second connector offers a port with another target: refuse or pool."`
	Insecure    *bool     `json:"insecure,omitzero" doc:"Whether to take tokens over plain HTTP."`
	Consumers   *[]string `json:"consumers,omitzero" doc:"The networks that may connect to the listening addresses from now on; an empty list for whoever reaches them."`
}

// PrivateGateways are the account's private gateways.
func PrivateGateways() Collection[PrivateGateway, PrivateGatewayCreate, PrivateGatewayUpdate] {
	return Define[PrivateGateway, PrivateGatewayCreate, PrivateGatewayUpdate](Definition{
		Name: "private_gateways", Singular: "private gateway", Prefixes: []string{"pgw"}, Operations: All,
		Doc: "Where apps reach services of private networks, over TCP and UDP: connectors in those networks connect to its address and offer ports, " +
			"which open on its listening addresses. To delete it ends its connectors' sessions, and its tokens go with it.",
	})
}
