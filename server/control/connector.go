package control

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// admitConnector hands a connector of a private gateway to those who know gateways.
func (c *Control) admitConnector(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	if c.config.Gateways == nil {
		return nil, link.Welcome{}, postern.Errorf(postern.CodeGatewayUnknown, "this server has no private gateways")
	}
	return c.config.Gateways.Admit(ctx, s, h)
}

// Join implements link.Consumer: the credential is looked at anew for every stream.
func (s *session) Join(ctx context.Context, p link.GatewayPort, st link.Stream, accepted func() error) error {
	if s.control.config.Gateways == nil {
		_ = st.Close()
		return postern.Errorf(postern.CodeGatewayUnknown, "this server has no private gateways")
	}
	return s.control.config.Gateways.Join(s.context(ctx), link.ConsumerIdentity{
		Session:    s.info.ID,
		Account:    s.info.Account,
		Credential: s.info.Credential,
		RemoteAddr: s.info.RemoteAddr,
		Allows: func(gateway postern.Hostname, port uint16) bool {
			return s.credential().ACL.AllowsAccess(gateway.String(), port)
		},
	}, p, st, accepted)
}

var _ link.Consumer = (*session)(nil)
