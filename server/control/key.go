package control

import (
	"context"
	"encoding/base64"
	"net/netip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sshr"
)

// credentialOf finds whose a Hello is.
func (c *Control) credentialOf(ctx context.Context, h link.Hello) (postern.Credential, postern.Account, error) {
	if h.SSHKey != nil {
		return c.config.Service.AuthenticateSSHKey(ctx, h.SSHKey)
	}
	return c.config.Service.Authenticate(ctx, h.Token)
}

// proofOf is what the throttle tells attempts apart by.
func proofOf(h link.Hello) postern.Secret {
	if h.SSHKey != nil {
		return postern.Secret("ssh " + base64.StdEncoding.EncodeToString(h.SSHKey))
	}
	return h.Token
}

// Knows tells whether somebody at addr who proves what h says would be let in, nil if so.
// SSH clients offer one key after the other and must hear at once which one is good. An
// unknown key is no failed attempt, since nobody guesses keys and most clients have some
// that are for other servers: KeysRefused counts who had no other.
func (c *Control) Knows(ctx context.Context, addr netip.Addr, h link.Hello) error {
	_, _, err := c.authenticate(ctx, addr, h)
	return err
}

// KeysRefused counts a client at addr none of whose keys were known as a failed attempt.
// last is one of them.
func (c *Control) KeysRefused(ctx context.Context, addr netip.Addr, last []byte) {
	c.throttle.Failed(addr, proofOf(link.Hello{SSHKey: last}), c.limits.Load().FailuresPerMinute)
	refusal := postern.Errorf(postern.CodeSSHKeyUnknown, "no SSH key of the client is known")
	c.metrics.refused(refusal)
	c.log.InfoContext(ctx, "agent refused", "error", refusal, "transport", sshr.Transport)
}
