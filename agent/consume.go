package agent

import (
	"context"

	"github.com/postern-dev/postern/link"
)

// Dial opens a stream to a port of a private gateway, which the authtoken's ACL must
// allow. It waits for a session and for the server's answer until ctx ends. The stream
// of a UDP port carries datagrams, see package relay/flow. Errors are *postern.Error:
// why the server refuses, CodeServerTooOld, or why there is no session.
func (a *Agent) Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	return a.session.Dial(ctx, p)
}

// DialEarly is Dial without waiting for the server's answer: where it refuses, the
// stream's Read and Write fail with the reason.
func (a *Agent) DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	return a.session.DialEarly(ctx, p)
}

// Check tells what Dial would be refused with now. CodeGatewayPortClosed is the mildest:
// a connector may come.
func (a *Agent) Check(ctx context.Context, p link.GatewayPort) error {
	return a.session.Check(ctx, p)
}
