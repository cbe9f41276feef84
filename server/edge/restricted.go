package edge

import (
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/route"
)

// restricted refuses a visitor to whose address the account of r does not open its
// endpoints. The address is the connection's, or what a PROXY header says: headers of
// requests do not count.
func (e *Edge) restricted(client netip.AddrPort, r *route.Route) *postern.Error {
	verdict := e.config.Access.Check(r.Account, access.Endpoints, client.Addr())
	if verdict == access.Passes {
		return nil
	}
	if also, now := e.restrictions.note(time.Now()); now {
		e.logger.WarnContext(e.ctx, "a visitor's address does not pass the account's IP restriction", "endpoint", r.URL.String(), "account", r.Account,
			"client", client.String(), "refused", verdict == access.Refused, "also", also)
	}
	if verdict == access.Noted {
		return nil
	}
	return postern.Errorf(postern.CodeVisitorAddressRefused, "Request blocked by an IP restriction: %s", client.Addr())
}

// tunnelRestricted ends a visitor's connection whose address is refused.
func (e *Edge) tunnelRestricted(v *visitor, r *route.Route, why *postern.Error) {
	e.metrics.rejected(rejectRestricted)
	e.tunnelEnded(v, r, relay.Result{Err: why})
	v.abort(why)
}
