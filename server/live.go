package server

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/handover"
)

// live is what is online on this node, for the API: here, and with the processes that
// hand over to this one or to which this one has handed over.
type live struct{ server *Server }

var _ api.Live = live{}

// SessionsOf implements api.Live.
func (l live) SessionsOf(ctx context.Context, account postern.AccountID) []postern.Session {
	return append(l.server.control.SessionsOf(account), l.server.peers.Sessions(ctx, account)...)
}

// EndpointsOf implements api.Live. What other processes have is borrowed, and so among it.
func (l live) EndpointsOf(account postern.AccountID) []postern.Endpoint {
	return l.server.cluster.Of(account)
}

// Command implements api.Live.
func (l live) Command(ctx context.Context, account postern.AccountID, id postern.SessionID, command link.Command) error {
	for _, session := range l.server.control.SessionsOf(account) {
		if session.ID == id {
			return l.server.control.Command(ctx, id, command)
		}
	}
	return l.server.peers.Command(ctx, account, id, command)
}

// forPeers is what the other processes of the node may ask of this one.
type forPeers struct {
	*control.Control
	credentials *liveCredentials
}

var _ handover.Sessions = forPeers{}

// CredentialChanged implements handover.Sessions.
func (f forPeers) CredentialChanged(ctx context.Context, id postern.CredentialID) {
	f.credentials.refresh(ctx, id)
}
