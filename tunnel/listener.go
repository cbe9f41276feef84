package tunnel

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

// backlog is how many visitors wait for Accept; more wait in the server.
const backlog = 128

// Listener is a net.Listener whose connections come from the public URL. Make one
// with Listen; its methods may be called from anywhere at any time.
type Listener struct {
	*tunnel
	conns chan net.Conn
	tls   *tls.Config
}

// Listen takes an endpoint online and returns once visitors can reach it. ctx bounds
// that wait only; Close ends the Listener.
//
// On an https or http endpoint connections carry HTTP/1.1 without TLS, which ended
// at the server; on tcp and tls endpoints, the visitor's bytes as they are. A server
// that cannot be reached is tried again until ctx ends. Errors are *postern.Error
// with the documented code: the server's refusal, or why it could not be asked.
func Listen(ctx context.Context, o Options) (*Listener, error) {
	e, err := o.endpoint("app://" + o.Name)
	if err != nil {
		return nil, err
	}
	if e.URL.Scheme == postern.UDP {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "Options.URL %q: datagrams are no connections to accept; listen on a UDP socket and Forward to it", o.URL)
	}
	l := &Listener{conns: make(chan net.Conn, backlog), tls: o.TLS}
	ready := make(chan struct{}) // l.tunnel is set
	if l.tunnel, err = open(ctx, &o, agent.Endpoint{Endpoint: e, Handler: session.HandlerFunc(
		func(ctx context.Context, h link.Header, s link.Stream) {
			select {
			case <-ready:
				l.serve(ctx, h, s)
			case <-ctx.Done():
				s.Reset(&postern.Error{Code: postern.CodeStreamRefused})
			}
		})}); err != nil {
		return nil, err
	}
	close(ready)
	return l, nil
}

// serve hands one visitor to Accept and waits for the connection's end, so that
// draining knows that it is open.
func (l *Listener) serve(ctx context.Context, h link.Header, s link.Stream) {
	c := &conn{Stream: s, header: h, addr: l.Addr(), done: make(chan struct{})}
	select {
	case l.conns <- c:
	case <-l.closed:
		s.Reset(&postern.Error{Code: postern.CodeStreamRefused})
		return
	case <-ctx.Done():
		s.Reset(&postern.Error{Code: postern.CodeStreamRefused})
		return
	}
	select {
	case <-c.done:
	case <-ctx.Done(): // the session is gone, and the stream with it
	}
}

// Accept waits for the next visitor. The connection's RemoteAddr is the visitor's.
// After Close it fails with net.ErrClosed, and after the server took the endpoint
// offline with the reason.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		if l.tls != nil {
			return tls.Server(c, l.tls), nil
		}
		return c, nil
	case <-l.closed:
		l.refuseWaiting()
		why := l.cause()
		if why == nil {
			why = net.ErrClosed
		}
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: why}
	}
}

// refuseWaiting resets visitors that nobody will accept any more.
func (l *Listener) refuseWaiting() {
	for {
		select {
		case c := <-l.conns:
			c.(*conn).Reset(&postern.Error{Code: postern.CodeStreamRefused})
			_ = c.Close() // the reset has said everything
		default:
			return
		}
	}
}

// Close takes the endpoint offline and returns at once. Connections that were
// accepted live on until they are closed, for Options.Drain at most.
func (l *Listener) Close() error {
	err := l.tunnel.Close()
	l.refuseWaiting()
	return err
}

// Addr is the public address: its network is the URL's scheme, its text host:port
// or host.
func (l *Listener) Addr() net.Addr {
	scheme, host, _ := strings.Cut(l.url, "://")
	return publicAddr{scheme, host}
}

type publicAddr struct{ network, text string }

func (a publicAddr) Network() string { return a.network }
func (a publicAddr) String() string  { return a.text }

// conn is a visitor's connection.
type conn struct {
	link.Stream
	header  link.Header
	addr    net.Addr
	closing sync.Once
	done    chan struct{}
}

// RemoteAddr is the visitor.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.ClientAddr) }

// LocalAddr is the public address that was visited.
func (c *conn) LocalAddr() net.Addr { return c.addr }

// Close ends both directions.
func (c *conn) Close() error {
	err := c.Stream.Close()
	c.closing.Do(func() { close(c.done) })
	return err
}

// Reset ends both directions abnormally.
func (c *conn) Reset(why *postern.Error) {
	c.Stream.Reset(why)
	c.closing.Do(func() { close(c.done) })
}

// Interface guards.
var (
	_ net.Listener = (*Listener)(nil)
	_ link.Stream  = (*conn)(nil)
)
