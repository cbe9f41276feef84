package resource

import "time"

// Endpoint is a public, internal or Kubernetes address: an agent's, for as long as the agent
// has it online, or one that was defined through the API.
type Endpoint struct {
	ID               string      `json:"id" doc:"Identifies it: a prefix that tells what it is, and 27 characters that sort by age."`
	Region           string      `json:"region" doc:"The server's region in which an agent's endpoint is, empty for others."`
	CreatedAt        time.Time   `json:"created_at" doc:"When it was made or came online: RFC 3339, in UTC, whole seconds."`
	UpdatedAt        time.Time   `json:"updated_at" doc:"When it was last changed through the API."`
	PublicURL        string      `json:"public_url" doc:"The same as url." api:"deprecated"`
	Proto            string      `json:"proto" doc:"What is spoken: http, https, tcp or tls."`
	Scheme           string      `json:"scheme" doc:"The scheme of url."`
	Hostport         string      `json:"hostport" doc:"Host and port, always both."`
	Host             string      `json:"host" doc:"The host of url."`
	Port             int64       `json:"port" doc:"The port, also where url need not show it."`
	Type             string      `json:"type" filter:"agent=ephemeral" doc:"ephemeral for an agent's, cloud for one that was defined through the API."`
	Metadata         string      `json:"metadata" doc:"For programs, up to 4096 bytes; never looked into."`
	Description      string      `json:"description" doc:"For people, up to 255 bytes."`
	Domain           *Ref        `json:"domain" doc:"The reserved domain by which the account has the name; null where there is none."`
	TCPAddr          *Ref        `json:"tcp_addr" doc:"The reserved address that it is at; null where there is none."`
	Tunnel           *Ref        `json:"tunnel" doc:"An agent's endpoint, seen as a tunnel; null for others."`
	Edge             *Ref        `json:"edge" doc:"Always null: this server has no edges."`
	UpstreamURL      string      `json:"upstream_url" doc:"Where an agent sends visitors, as it says itself."`
	UpstreamProtocol string      `json:"upstream_protocol" doc:"What an agent's endpoint speaks to the service: http1 or http2, empty where that is not HTTP."`
	URL              string      `json:"url" doc:"Its address."`
	Principal        *Ref        `json:"principal" doc:"The user or service user whose endpoint it is; their uri is empty."`
	TrafficPolicy    string      `json:"traffic_policy" doc:"The text of its traffic policy."`
	Bindings         []string    `json:"bindings" doc:"Who may reach it: public, internal or kubernetes."`
	TunnelSession    *Ref        `json:"tunnel_session" doc:"The session of the agent that serves it; null for others."`
	URI              string      `json:"uri" doc:"Its address in this API."`
	Name             string      `json:"name" doc:"What the agent's configuration calls it."`
	PoolingEnabled   bool        `json:"pooling_enabled" doc:"Whether it may share its URL with other endpoints of the account."`
	ErrorPages       []ErrorPage `json:"error_pages,omitzero" doc:"What visitors are shown in place of the server's own error pages; absent where there are none."`
	Maintenance      Maintenance `json:"maintenance,omitzero" doc:"Whether it is closed to visitors for a time; absent where there is nothing to say."`
}

// EndpointCreate makes a cloud endpoint.
type EndpointCreate struct {
	URL            string             `json:"url,omitzero" api:"required,checked" doc:"Its address: scheme, host, and for tcp a port."`
	Type           string             `json:"type,omitzero" api:"required,checked" doc:"cloud; endpoints of agents are made by agents."`
	TrafficPolicy  string             `json:"traffic_policy,omitzero" api:"required,checked" doc:"Its traffic policy, the text of YAML or JSON. It must be one that the server can hold to, and end with a rule that answers whatever comes."`
	Description    string             `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata       string             `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Bindings       []string           `json:"bindings,omitzero" doc:"Who may reach it, one of public, internal and kubernetes; by default public, or internal for names below internal."`
	PoolingEnabled bool               `json:"pooling_enabled,omitzero" doc:"Whether it may share its URL with other endpoints of the account."`
	ErrorPages     []ErrorPage        `json:"error_pages,omitzero" doc:"What visitors are shown in place of the server's own error pages, up to 64 KiB together."`
	Maintenance    *MaintenanceUpdate `json:"maintenance,omitzero" doc:"Closes it to visitors for a time."`
}

// EndpointUpdate changes a cloud endpoint; what is nil stays.
type EndpointUpdate struct {
	URL            *string            `json:"url,omitzero" doc:"Another address, of the same scheme."`
	TrafficPolicy  *string            `json:"traffic_policy,omitzero" doc:"Another traffic policy."`
	Description    *string            `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata       *string            `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Bindings       *[]string          `json:"bindings,omitzero" doc:"Who may reach it, one of public, internal and kubernetes."`
	PoolingEnabled *bool              `json:"pooling_enabled,omitzero" doc:"Whether it may share its URL with other endpoints of the account."`
	ErrorPages     *[]ErrorPage       `json:"error_pages,omitzero" doc:"What visitors are shown in place of the server's own error pages, all of them: others that were there go."`
	Maintenance    *MaintenanceUpdate `json:"maintenance,omitzero" doc:"Closes it to visitors for a time, or opens it again; null takes all of it away."`
}

// Endpoints are what agents have online, and what was defined through the API.
func Endpoints() Collection[Endpoint, EndpointCreate, EndpointUpdate] {
	return Define[Endpoint, EndpointCreate, EndpointUpdate](Definition{
		Name: "endpoints", Singular: "endpoint", Prefixes: []string{"ep"}, Operations: All,
		Doc: "An address: an agent's, which is there for as long as the agent has it online, or a cloud endpoint, which is made, changed and deleted here.",
	})
}
