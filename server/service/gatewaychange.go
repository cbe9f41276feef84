package service

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// GatewayChange is a connector or a port of a private gateway that came or went.
type GatewayChange struct {
	Kind    string // "connector_connected", "connector_left", "endpoint_up", "endpoint_down"
	At      time.Time
	Account postern.AccountID
	Gateway string // its id
	Name    postern.Hostname

	// Of connectors, and of the one that took an endpoint up.
	Connector, RemoteAddr, Instance, Token string

	// Of endpoints.
	Network string
	Port    uint16
}

// gatewayChangeObject is what the event shows.
type gatewayChangeObject struct {
	GatewayID  string           `json:"gateway_id"`
	Name       postern.Hostname `json:"name"`
	Connector  string           `json:"connector_id,omitzero"`
	RemoteAddr string           `json:"remote_addr,omitzero"`
	Instance   string           `json:"instance,omitzero"`
	TokenID    string           `json:"token_id,omitzero"`
	Network    string           `json:"network,omitzero"`
	Port       uint16           `json:"port,omitzero"`
}

// GatewayChanged records such a change. As SessionStarted it never waits for the store.
func (s *Service) GatewayChanged(ctx context.Context, c GatewayChange) error {
	kind, known := map[string]postern.EventType{
		"connector_connected": event.GatewayConnectorConnected, "connector_left": event.GatewayConnectorLeft,
		"endpoint_up": event.GatewayEndpointUp, "endpoint_down": event.GatewayEndpointDown,
	}[c.Kind]
	if !known {
		return postern.Errorf(postern.CodeInternal, "no change of a private gateway is %q", c.Kind)
	}
	e, err := newEvent(kind, c.Account, c.At, gatewayChangeObject{GatewayID: c.Gateway, Name: c.Name, Connector: c.Connector,
		RemoteAddr: c.RemoteAddr, Instance: c.Instance, TokenID: c.Token, Network: c.Network, Port: c.Port})
	if err != nil {
		return err
	}
	if !s.pending.add(e, c.Gateway) {
		s.logger.ErrorContext(ctx, "an event of a private gateway is lost, too many wait for the store", "type", kind, "gateway", c.Gateway)
		return postern.Errorf(postern.CodeStoreUnavailable, "%d events wait for the store already", maxWaiting)
	}
	return nil
}
