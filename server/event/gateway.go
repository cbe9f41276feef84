package event

import "github.com/postern-dev/postern"

// The types of events about what is live of private gateways. Subject is the gateway's id.
const (
	GatewayConnectorConnected postern.EventType = "private_gateway_connector_connected.v0"
	GatewayConnectorLeft      postern.EventType = "private_gateway_connector_left.v0"
	GatewayEndpointUp         postern.EventType = "private_gateway_endpoint_up.v0"
	GatewayEndpointDown       postern.EventType = "private_gateway_endpoint_down.v0"
)
