package resource

import "time"

// PrivateGatewayToken lets connectors of a private gateway connect.
type PrivateGatewayToken struct {
	Identity
	Notes
	Gateway   Ref        `json:"gateway" doc:"The gateway."`
	Token     *string    `json:"token" doc:"The token itself: shown once, in the answer to its creation or rotation."`
	Ports     []string   `json:"ports" doc:"Which ports its connectors may offer, such as 8081, 9000-9100 or 53/udp; an empty list allows all that the gateway does."`
	Targets   []string   `json:"targets" doc:"Which targets these may lead to, such as db.corp.example:5432, *.corp.example:443 or 10.0.0.0/8:*; an empty list allows all."`
	ExpiresAt *time.Time `json:"expires_at" doc:"From when on it is no good any more: RFC 3339, in UTC, whole seconds; null for never."`
}

// PrivateGatewayTokenCreate makes a PrivateGatewayToken.
type PrivateGatewayTokenCreate struct {
	Description string     `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string     `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	GatewayID   string     `json:"gateway_id,omitzero" api:"required" doc:"The gateway that it is for."`
	Ports       []string   `json:"ports,omitzero" doc:"Which ports its connectors may offer, such as 8081, 9000-9100 or 53/udp; by default all that the gateway allows."`
	Targets     []string   `json:"targets,omitzero" doc:"Which targets these may lead to, as HOST:PORT, where HOST may be an address, a network, a name or *.name, and PORT a range or *; by default all."`
	ExpiresAt   *time.Time `json:"expires_at,omitzero" doc:"From when on it is to be no good any more; by default never."`
}

// PrivateGatewayTokenUpdate changes a PrivateGatewayToken; what is nil stays.
type PrivateGatewayTokenUpdate struct {
	Description *string    `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string    `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Ports       *[]string  `json:"ports,omitzero" doc:"Which ports its connectors may offer from now on; an empty list for all that the gateway allows. What is offered and no longer allowed is closed."`
	Targets     *[]string  `json:"targets,omitzero" doc:"Which targets these may lead to from now on; an empty list for all."`
	ExpiresAt   *time.Time `json:"expires_at,omitzero" api:"nullable" doc:"From when on it is to be no good any more; null for never."`
}

// PrivateGatewayTokens are the tokens of the account's private gateways.
func PrivateGatewayTokens() Collection[PrivateGatewayToken, PrivateGatewayTokenCreate, PrivateGatewayTokenUpdate] {
	return Define[PrivateGatewayToken, PrivateGatewayTokenCreate, PrivateGatewayTokenUpdate](Definition{
		Name: "private_gateway_tokens", Singular: "token of a private gateway", Prefixes: []string{"pgt"}, Operations: All,
		Routes: []Route{rotate[PrivateGatewayToken]()},
		Doc: "What connectors of a private gateway connect with, and rules about what they may offer. Of one that is rotated the token before stays good " +
			"for an overlap. To delete it ends the sessions of connectors that came with it.",
	})
}
