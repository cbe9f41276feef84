package session

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
)

// connectPatience bounds one attempt to make a session, from the dial to the answer
// about the token, where Dialer.Patience does not.
const connectPatience = 10 * time.Second

// Dialer makes sessions over our native wire: TLS 1.3 with ALPN postern/1, on TCP or,
// where that does not get through, in a WebSocket over HTTPS. Server and Roots are
// required. It must not be copied once used.
type Dialer struct {
	Server      string         // "host:port", see ParseServer
	Address     string         // "host:port" that is dialled for Server; "" is Server itself
	Roots       *x509.CertPool // who may vouch for the server
	SystemRoots *x509.CertPool // who may vouch for web sites on this machine; nil: this system's
	Transport   Transport
	UserAgent   string // in HTTP
	Network     string // "tcp", or "tcp4" or "tcp6" for one family alone; "" is tcp
	Net         dial.Dialer
	Patience    time.Duration // with one attempt, from the dial to the answer about the token; 0 is 10 seconds
	Logger      *slog.Logger  // nil: silent

	ladder ladder
}

// ParseServer reads a server's address: "connect.example.com" means port 443, a
// scheme of https:// or tls:// in front is left out. Errors are CodeFlagInvalid.
func ParseServer(text string) (string, error) {
	rest := strings.TrimSpace(text)
	if scheme, after, found := strings.Cut(rest, "://"); found {
		if scheme != "https" && scheme != "tls" {
			return "", postern.Errorf(postern.CodeFlagInvalid, "the server's address %q has the scheme %q; write host:port", text, scheme)
		}
		rest = after
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" || strings.HasPrefix(rest, ":") || strings.ContainsAny(rest, "/?#@ ") {
		return "", postern.Errorf(postern.CodeFlagInvalid, "the server's address %q must have a host, and may have a port after it", text)
	}
	if !strings.Contains(rest, ":") || strings.HasSuffix(rest, "]") {
		rest += ":443"
	}
	host, port, err := upstreamAuthority(text, rest)
	if err != nil || isNumber(strings.TrimSuffix(rest, ":443")) {
		return "", postern.Errorf(postern.CodeFlagInvalid, "the server's address %q cannot be read; write host:port", text)
	}
	return net.JoinHostPort(host, fmt.Sprint(port)), nil
}

// Connect is the Connect of a Supervisor's Config. Errors are CodeServerUnreachable
// where no connection came about, CodeProxyRefused where a proxy refuses it,
// CodeServerUntrusted where the certificate is not good, CodeIntercepted where
// something else than a Postern server answered, or what the server answered.
func (d *Dialer) Connect(ctx context.Context, h link.Hello, c Callbacks) (Client, link.Welcome, error) {
	order := d.ladder.order(d.Transport.Ladder(), time.Now())
	var failures []error
	for i, over := range order {
		client, welcome, err := d.connectOver(ctx, over, i+1 < len(order), h, c)
		if err == nil {
			return client, welcome, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || !d.ladder.climbs(over, err) {
			break
		}
	}
	return nil, link.Welcome{}, conclude(order, failures)
}

// connectOver makes a session over one transport; another tells that more may follow.
func (d *Dialer) connectOver(ctx context.Context, over Transport, another bool, h link.Hello, c Callbacks) (Client, link.Welcome, error) {
	allowed := cmp.Or(d.Patience, connectPatience)
	ctx, cancel := context.WithTimeout(ctx, allowed)
	defer cancel()
	d.ladder.tried(over, time.Now())
	dialling, stop := patience(ctx, allowed, another)
	conn, err := d.Dial(dialling, over, nil)
	stop()
	if err != nil {
		return nil, link.Welcome{}, err
	}
	client, welcome, err := native.Connect(ctx, conn, native.ClientConfig{
		Hello:             h,
		Commands:          c.Command,
		OnEndpointStopped: c.EndpointStopped,
		// Further connections go where the first has got through.
		Dial:   func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, over, nil) },
		Logger: d.Logger,
	})
	if err != nil {
		if postern.HasCode(err, postern.CodeLinkLost) {
			err = postern.AsError(err).Because(cut{err})
		}
		return nil, link.Welcome{}, err
	}
	d.ladder.succeeded(over)
	if d.Logger != nil && over != d.Transport.Ladder()[0] {
		d.Logger.InfoContext(ctx, "connected another way than directly", logObject, slog.String("transport", over.String()))
	}
	return client, welcome, nil
}

// keepHonest makes the kernel notice a path that has gone: idle connections are
// probed, and data that nobody acknowledges ends the connection (where the system
// can do that) after as long as a ping may go without an answer.
func keepHonest(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	for !ok {
		above, is := conn.(interface{ NetConn() net.Conn })
		if !is {
			return
		}
		conn = above.NetConn()
		tcp, ok = conn.(*net.TCPConn)
	}
	// Best effort, both: pings find the same, a little later.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: PingInterval, Interval: PingInterval / 2, Count: 2})
	_ = setUserTimeout(tcp, PingPatience)
}

// Interface guards.
var (
	_ Connect = (*Dialer)(nil).Connect
	_ Client  = (*native.Client)(nil)
)
