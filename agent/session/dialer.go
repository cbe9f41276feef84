package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
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
// about the token.
const connectPatience = 10 * time.Second

// Dialer makes sessions over our native wire: TLS 1.3 on TCP, ALPN postern/1.
// Server and Roots are required.
type Dialer struct {
	Server string         // "host:port", see ParseServer
	Roots  *x509.CertPool // who may vouch for the server
	Net    dial.Dialer
	Logger *slog.Logger // nil: silent
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
// where no connection came about, CodeServerUntrusted where the certificate is not
// good, CodeProtocolViolation where something else than a Postern server answered,
// or what the server answered.
func (d *Dialer) Connect(ctx context.Context, h link.Hello, c Callbacks) (Client, link.Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, link.Welcome{}, err
	}
	client, welcome, err := native.Connect(ctx, conn, native.ClientConfig{
		Hello:             h,
		Commands:          c.Command,
		OnEndpointStopped: c.EndpointStopped,
		Dial:              d.another,
		Logger:            d.Logger,
	})
	if err != nil {
		return nil, link.Welcome{}, err
	}
	return client, welcome, nil
}

// another makes a further connection of the same session.
func (d *Dialer) another(ctx context.Context) (net.Conn, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err // not a nil *tls.Conn in an interface
	}
	return conn, nil
}

func (d *Dialer) dial(ctx context.Context) (*tls.Conn, error) {
	conn, err := d.Net.Dial(ctx, "tcp", d.Server)
	if err != nil {
		return nil, postern.Errorf(postern.CodeServerUnreachable, "the server %s cannot be reached", d.Server).Because(err)
	}
	keepHonest(conn)
	host, _, _ := net.SplitHostPort(d.Server) // ParseServer joined it
	secured := tls.Client(link.NewWire(conn), &tls.Config{
		ServerName: host,
		RootCAs:    d.Roots,
		NextProtos: []string{native.ALPN},
		MinVersion: tls.VersionTLS13,
		// Small records at first help a page to render; a link only pays for them.
		DynamicRecordSizingDisabled: true,
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error is the one that counts
		return nil, d.handshakeError(err)
	}
	if secured.ConnectionState().NegotiatedProtocol != native.ALPN {
		_ = conn.Close()
		return nil, d.notPostern(nil)
	}
	return secured, nil
}

func (d *Dialer) handshakeError(err error) *postern.Error {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return postern.Errorf(postern.CodeServerUntrusted, "the certificate of the server %s is not trusted: %v", d.Server, untrusted.Err).Because(err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) || noSuchProtocol(err) {
		return d.notPostern(err)
	}
	return postern.Errorf(postern.CodeServerUnreachable, "the TLS handshake with the server %s failed", d.Server).Because(err)
}

// noSuchProtocol recognises the alert of a server that does not know our ALPN name
// (RFC 7301 §3.2). crypto/tls gives alerts no exported type; 120 is the alert.
func noSuchProtocol(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error" &&
		remote.Err.Error() == tls.AlertError(120).Error()
}

func (d *Dialer) notPostern(err error) *postern.Error {
	return postern.Errorf(postern.CodeProtocolViolation,
		"what answers at %s does not speak %s; is it a Postern server?", d.Server, native.ALPN).Because(err)
}

// keepHonest makes the kernel notice a path that has gone: idle connections are
// probed, and data that nobody acknowledges ends the connection (where the system
// can do that) after as long as a ping may go without an answer.
func keepHonest(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
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
