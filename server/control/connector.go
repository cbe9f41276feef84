package control

import (
	"context"

	"github.com/postern-dev/postern/link"
)

// admitConnector hands a connector of a private gateway to those who know gateways.
func (c *Control) admitConnector(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	if c.config.Gateways == nil {
		return nil, link.Welcome{}, noGateways()
	}
	return c.config.Gateways.Admit(ctx, s, h)
}
