package control

import (
	"context"
	"net/netip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/access"
)

// mayCome refuses an agent that comes by another account's ingress, or from an address
// that its own account's IP restriction does not let in.
func (c *Control) mayCome(ctx context.Context, addr netip.Addr, account postern.AccountID) error {
	if err := c.config.Access.Foreign(account, link.ServerNames(ctx)); err != nil {
		return err
	}
	switch c.config.Access.Check(account, access.Agents, addr) {
	case access.Refused:
		return postern.Errorf(postern.CodeAgentAddressRefused, "Your IP %s does not match the IP policies of this account's restriction for agents", addr)
	case access.Noted:
		c.log.WarnContext(ctx, "an agent's address does not pass the account's IP restriction, which is not enforced", "account", account, "client", addr.String())
	case access.Passes:
	}
	return nil
}

// Follow implements link.Follower: a session's further connections come through the same
// doors as its first.
func (s *session) Follow(ctx context.Context, remote netip.AddrPort) error {
	return s.control.mayCome(ctx, remote.Addr(), s.info.Account)
}

var _ link.Follower = (*session)(nil)
