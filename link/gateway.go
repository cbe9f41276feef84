package link

import (
	"context"

	"github.com/postern-dev/postern"
)

// GatewayHello is what a connector says of the private gateway that it serves, beside
// what every Hello says. The Token of that Hello is one of the gateway's.
type GatewayHello struct {
	// Gateway is the gateway as its address names it: "sg_" and a UUID.
	Gateway string
	// Instance is the same at every reconnect of one connector process; "" where the
	// wire or the program knows none. One that returns takes the place of its ghost.
	Instance string
	// Plain tells that the connector's last hop to the server was without TLS, so that
	// its token could be read on the way.
	Plain bool
}

// GatewayPort is a port of a private gateway, as consumers name it.
type GatewayPort struct {
	Gateway string         // its name, its id or, as in its address, "sg_" and a UUID
	Network postern.Scheme // TCP or UDP
	Port    uint16
}

// Consumer is implemented by Binders whose session may reach ports of private gateways.
type Consumer interface {
	// Check tells what Join would refuse now, without a connection: CodeAccessDenied,
	// CodeGatewayUnknown, or, last, CodeGatewayPortClosed where no connector offers the
	// port.
	Check(ctx context.Context, p GatewayPort) error

	// Join connects st, which the session's other end has opened, with a port of a
	// gateway, and relays until one of them has ended. accepted is called once, before a
	// byte comes back, when a connector has taken the connection; its error ends it.
	// What Join refuses is an error before accepted was called: CodeAccessDenied,
	// CodeGatewayUnknown, CodeGatewayPortClosed or what the connector's link says. The
	// caller tells it to the other end, and st is the caller's to end then; once accepted
	// was called, Join closes st.
	Join(ctx context.Context, p GatewayPort, st Stream, accepted func() error) error
}

// ConsumerIdentity is who a consumer is, for those who decide what he may reach.
type ConsumerIdentity struct {
	Session    postern.SessionID
	Account    postern.AccountID
	Credential postern.CredentialID
	RemoteAddr string
	// Allows tells whether the credential, as it is now, may reach a port of the gateway
	// that has the name.
	Allows func(gateway postern.Hostname, port uint16) bool
}
