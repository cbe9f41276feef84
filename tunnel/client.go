package tunnel

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/link"
)

// Client reaches ports of private gateways, all over one session with the server, which
// it makes anew when it is lost. Make one with NewClient; its methods may be called from
// anywhere at any time.
type Client struct {
	agent *agent.Agent
	done  chan struct{}
}

// NewClient begins to connect and does not wait for it. Of the Options those count that
// say how to reach the server, and Metadata, Drain and Logger. Errors are *postern.Error:
// CodeNoServer, CodeNoToken, or what else is wrong with the options. Close ends it.
func NewClient(o Options) (*Client, error) {
	config := o.session()
	config.Metadata = o.Metadata
	a, err := agent.New(config)
	if err != nil {
		return nil, err
	}
	c := &Client{agent: a, done: make(chan struct{})}
	go c.run()
	return c, nil
}

// run is the client's only goroutine beside those of the session.
func (c *Client) run() {
	defer close(c.done)
	_ = c.agent.Run(context.Background()) // a refusal is told by every Dial
}

// Dial connects to a port of the gateway, which is named by its name or its id; the
// authtoken's ACL must have access:GATEWAY:PORT. The network is "tcp" or "udp". It
// returns when the gateway has taken the connection, or ctx ends, which bounds the
// connecting only.
//
// Of a "udp" connection each Write sends one datagram and each Read gives one, whose
// end is lost where there is no room for it; it is a net.PacketConn as well.
//
// Errors are *postern.Error with the documented code: CodeAccessDenied,
// CodeGatewayUnknown, CodeGatewayPortClosed, or why there is no session. When the
// session is lost, and when the ACL no longer covers the port, Read and Write fail.
func (c *Client) Dial(ctx context.Context, gateway, network string, port uint16) (net.Conn, error) {
	p := link.GatewayPort{Gateway: gateway, Network: postern.Scheme(network), Port: port}
	if network != "tcp" && network != "udp" {
		return nil, postern.Errorf(postern.CodeConfigInvalid, `the network %q is not "tcp" or "udp"`, network)
	}
	if gateway == "" || port == 0 {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "a gateway has a name, and ports from 1: not %q and %d", gateway, port)
	}
	st, err := c.agent.Dial(ctx, p)
	if err != nil {
		return nil, err
	}
	at := publicAddr{network, net.JoinHostPort(gateway, strconv.Itoa(int(port)))}
	if network == "udp" {
		return newPacketConn(st, at), nil
	}
	return &gatewayConn{Stream: st, remote: at}, nil
}

// DialContext is Dial in the form that http.Transport and others want: address is
// "GATEWAY:PORT".
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	gateway, number, err := net.SplitHostPort(address)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the address %q is not GATEWAY:PORT", address).Because(err)
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the port of %q is not a number up to 65535", address).Because(err)
	}
	return c.Dial(ctx, gateway, strings.TrimRight(network, "46"), uint16(port))
}

// Close ends the client and returns at once. Connections that are open live on until
// they are closed, for Options.Drain at most. It may be called more than once.
func (c *Client) Close() error {
	c.agent.Stop()
	return nil
}

// Done is closed when everything has ended: no connection is left, and no session.
func (c *Client) Done() <-chan struct{} { return c.done }

// Dial connects to a port of a private gateway over a session of its own, which ends
// with the connection. For more than one connection make a Client. See Client.Dial.
func Dial(ctx context.Context, gateway, network string, port uint16, o Options) (net.Conn, error) {
	c, err := NewClient(o)
	if err != nil {
		return nil, err
	}
	conn, err := c.Dial(ctx, gateway, network, port)
	if err != nil {
		_ = c.Close()
		<-c.done
		return nil, err
	}
	if packets, ok := conn.(*packetConn); ok {
		packets.closed = c
		return packets, nil
	}
	conn.(*gatewayConn).closed = c
	return conn, nil
}

// gatewayConn is a TCP connection to a gateway's port.
type gatewayConn struct {
	link.Stream
	remote publicAddr
	once   sync.Once
	closed *Client // ends with the connection; nil: it is shared
}

// RemoteAddr is the gateway and the port.
func (c *gatewayConn) RemoteAddr() net.Addr { return c.remote }

// Close ends both directions.
func (c *gatewayConn) Close() error {
	err := c.Stream.Close()
	c.ended()
	return err
}

// Reset ends both directions abnormally.
func (c *gatewayConn) Reset(why *postern.Error) {
	c.Stream.Reset(why)
	c.ended()
}

func (c *gatewayConn) ended() {
	c.once.Do(func() {
		if c.closed != nil {
			_ = c.closed.Close()
		}
	})
}

var _ link.Stream = (*gatewayConn)(nil)
