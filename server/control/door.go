package control

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/access"
)

// mayCome refuses an agent that comes by another account's ingress, or from an address
// that its own account's IP restriction does not let in.
func (c *Control) mayCome(ctx context.Context, s link.Session, account postern.AccountID) error {
	if owner, ingress, found := c.config.Access.Ingress(link.ServerName(ctx)); found && owner != account {
		return postern.Errorf(postern.CodeIngressForeign, "Your account is not permitted to use the agent ingress %q.", ingress)
	}
	addr := s.RemoteAddr().Addr()
	switch c.config.Access.Check(account, access.Agents, addr) {
	case access.Refused:
		return postern.Errorf(postern.CodeAgentAddressRefused, "Your IP %s does not match the IP policies of this account's restriction for agents", addr)
	case access.Noted:
		c.log.WarnContext(ctx, "an agent's address does not pass the account's IP restriction, which is not enforced", "account", account, "client", addr.String())
	case access.Passes:
	}
	return nil
}
