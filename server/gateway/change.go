package gateway

import (
	"time"

	"github.com/postern-dev/postern"
)

// ChangeKind says what came or went.
type ChangeKind string

// What comes and goes.
const (
	ConnectorConnected ChangeKind = "connector_connected"
	ConnectorLeft      ChangeKind = "connector_left"
	EndpointUp         ChangeKind = "endpoint_up"   // the first connector offers it
	EndpointDown       ChangeKind = "endpoint_down" // nobody offers it, and nobody came back
)

// Change is a connector or an endpoint that came or went.
type Change struct {
	Kind    ChangeKind
	At      time.Time
	Account postern.AccountID
	Gateway string
	Name    postern.Hostname

	// Of connectors, and of the one that took an endpoint up.
	Connector, RemoteAddr, Instance, Token string

	// Of endpoints.
	Network string
	Port    uint16
}

func (c *connector) change(kind ChangeKind, d *definition) Change {
	return Change{Kind: kind, At: time.Now().UTC(), Account: d.Account, Gateway: d.ID, Name: d.Name,
		Connector: c.id, RemoteAddr: c.addr, Instance: c.instance, Token: c.tokenID}
}

// change says that the endpoint came or went; m is who brought it, nil for nobody.
func (e *endpoint) change(kind ChangeKind, m *member) Change {
	d := e.gateway.definition.Load()
	change := Change{Kind: kind, At: time.Now().UTC(), Account: d.Account, Gateway: d.ID, Name: d.Name}
	if m != nil {
		change = m.connector.change(kind, d)
	}
	change.Network, change.Port = e.key.network, e.key.port
	return change
}
