package access

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access/socks5"
)

// socks serves a client that speaks SOCKS5.
func (c *client) socks() {
	if !c.authenticate() {
		return
	}
	request, err := socks5.ReadRequest(c.conn)
	switch {
	case errors.Is(err, socks5.ErrAddressKind):
		c.answer(socks5.AddressNotRecognised)
	case err != nil:
	case request.Command == socks5.Connect:
		c.connect(request.Address)
	case request.Command == socks5.Associate:
		c.associate(request.Address)
	default:
		c.answer(socks5.CommandNotSupported)
	}
}

// authenticate agrees on a method and carries it out.
func (c *client) authenticate() bool {
	methods, err := socks5.ReadMethods(c.conn)
	if err != nil {
		return false
	}
	method := socks5.NoAuthentication
	if c.locked() {
		method = socks5.Password
	}
	if !slices.Contains(methods, method) {
		c.write(socks5.AppendMethod(nil, socks5.NoneAcceptable))
		return false
	}
	if !c.write(socks5.AppendMethod(nil, method)) || method == socks5.NoAuthentication {
		return method == socks5.NoAuthentication
	}
	user, password, err := socks5.ReadPassword(c.conn)
	if err != nil {
		return false
	}
	good := c.mayEnter(user, password)
	return c.write(socks5.AppendVerdict(nil, good)) && good
}

func (c *client) answer(r socks5.Reply) { c.write(socks5.AppendReply(nil, r, netip.AddrPort{})) }

// connect serves CONNECT. Names are the gateways' and resolved by nobody; an address is
// none of them.
func (c *client) connect(to socks5.Address) {
	host := to.Name
	if !isName(host) {
		c.answer(socks5.NotAllowed)
		return
	}
	st, p, err := c.dial(host, to.Port)
	if err != nil {
		c.answer(replyFor(err))
		return
	}
	c.relay(socks5.AppendReply(nil, socks5.Succeeded, netip.AddrPort{}), st, p)
}

// replyFor is the nearest that SOCKS has for why a port cannot be reached.
func replyFor(err error) socks5.Reply {
	if errors.Is(err, context.DeadlineExceeded) {
		return socks5.TTLExpired
	}
	switch postern.AsError(err).Code {
	case postern.CodeAccessDenied:
		return socks5.NotAllowed
	case postern.CodeGatewayUnknown:
		return socks5.HostUnreachable
	case postern.CodeGatewayPortClosed, postern.CodeUpstreamUnreachable:
		return socks5.ConnectionRefused
	case postern.CodeRequestTimeout:
		return socks5.TTLExpired
	case postern.CodeLinkLost, postern.CodeLinkDraining, postern.CodeServerUnreachable:
		return socks5.NetworkUnreachable
	}
	return socks5.Failure
}
