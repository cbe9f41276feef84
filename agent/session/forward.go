package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

const (
	// upstreamPatience bounds the dial of a service with its TLS handshake. A service
	// that refuses is known at once; this is for one that does not answer.
	upstreamPatience = 10 * time.Second
	// visitorPatience bounds a visitor's TLS handshake that ends at the agent.
	visitorPatience = 10 * time.Second
)

// Forward is the handler that brings streams to a service. Both directions are
// passed on blindly, with half-close. Upstream is required.
type Forward struct {
	Upstream Upstream
	// Protocol is the HTTP version that the endpoint was bound with; it matters to
	// services behind TLS, which want it in ALPN. "" where the endpoint is not http.
	Protocol postern.UpstreamProtocol
	// HTTP tells that the endpoint is http or https.
	HTTP bool
	// TLS is how to speak to a service that expects TLS. nil accepts any certificate:
	// services behind an agent rarely have one for the name they are dialled by.
	TLS *tls.Config
	// Terminate, where set, ends the visitor's TLS here, so that the server never
	// sees plaintext.
	Terminate *tls.Config
	// Verified tells whether somebody vouches for the certificates of a visitor whom
	// Terminate has let in. nil: those whose certificates crypto/tls has verified.
	Verified func(shown []*x509.Certificate) bool
	// Keeper, where set, looks after what Terminate presents while the endpoint is online.
	Keeper Attendant
	// ProxyProtocol is the version of the PROXY header that the server writes before
	// the stream's first byte; it goes to the service in front of any TLS. 0: none.
	ProxyProtocol int
	Dialer        dial.Dialer
	Logger        *slog.Logger // nil: silent
}

// ServeStream dials the service and relays until both directions have ended.
func (f *Forward) ServeStream(ctx context.Context, h link.Header, stream link.Stream) {
	_ = f.serve(ctx, h, stream, nil) // it has logged what there is to say
}

// ServeTapped is ServeStream with somebody who looks.
func (f *Forward) ServeTapped(ctx context.Context, h link.Header, stream link.Stream, tap StreamTap) {
	tap.End(f.serve(ctx, h, stream, tap))
}

func (f *Forward) serve(ctx context.Context, h link.Header, stream link.Stream, tap StreamTap) error {
	proxyHeader, err := f.takeProxyHeader(h, stream, tap != nil)
	if err != nil {
		stream.Reset(postern.AsError(err))
		f.logger().WarnContext(ctx, "stream without the PROXY header that was asked for", f.attrs(h, err)...)
		return err
	}
	visitor, err := f.terminate(ctx, stream)
	if errors.Is(err, errProved) {
		_ = stream.Close()
		return nil
	}
	if err != nil {
		refuse(stream, postern.AsError(err))
		f.logger().InfoContext(ctx, "TLS handshake with a visitor failed", f.attrs(h, err)...)
		return err
	}
	if tap != nil {
		visitor = &tapped{visitor, tap}
	}
	service, err := f.dial(ctx, h, proxyHeader)
	if err != nil {
		if tap != nil {
			showWhatCame(visitor)
		}
		// What was dialled, and why it failed, is for the owner of the agent only.
		relay.Abort(visitor, &postern.Error{Code: postern.CodeUpstreamUnreachable})
		f.logger().WarnContext(ctx, "failed to open private leg", f.attrs(h, err)...)
		return postern.Errorf(postern.CodeUpstreamUnreachable, "%s cannot be reached", f.Upstream).Because(err)
	}
	tellJoin(ctx, f.logger(), service.RemoteAddr().String(), h, f.clientOf(visitor)...)
	result := relay.Pipe(ctx, visitor, service, relay.Options{})
	if result.Err != nil {
		f.logger().DebugContext(ctx, "connection ended early", f.attrs(h, result.Err)...)
		return result.Err
	}
	return nil
}

// takeProxyHeader cuts the PROXY header off the stream where something stands
// between it and the service: TLS on either side, or somebody who looks at what the
// visitor says. Else it passes with the bytes.
func (f *Forward) takeProxyHeader(h link.Header, stream link.Stream, looked bool) ([]byte, error) {
	if f.ProxyProtocol == 0 || f.Terminate == nil && !f.secure(h) && !looked {
		return nil, nil
	}
	if err := stream.SetReadDeadline(time.Now().Add(visitorPatience)); err != nil {
		return nil, err
	}
	header, err := readProxyHeader(stream, f.ProxyProtocol)
	if err != nil {
		return nil, err
	}
	return header, stream.SetReadDeadline(time.Time{})
}

// dial connects to the service, PROXY header first, TLS after it.
func (f *Forward) dial(ctx context.Context, h link.Header, proxyHeader []byte) (relay.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamPatience)
	defer cancel()
	conn, err := f.Dialer.Dial(ctx, f.Upstream.Network, f.Upstream.Address)
	if err != nil {
		return nil, err
	}
	if len(proxyHeader) > 0 {
		if _, err := conn.Write(proxyHeader); err != nil {
			_ = conn.Close() // the first error is the one that counts
			return nil, err
		}
	}
	if f.secure(h) {
		return f.secureConn(ctx, conn)
	}
	half, ok := conn.(relay.Conn)
	if !ok {
		_ = conn.Close()
		return nil, postern.Errorf(postern.CodeInternal, "a %s connection cannot be half-closed", f.Upstream.Network)
	}
	return half, nil
}

// secure tells whether the agent speaks TLS to the service. On a tls endpoint that
// passes through, the TLS is the visitor's own.
func (f *Forward) secure(h link.Header) bool {
	return f.Upstream.Secure && (f.Terminate != nil || !h.PassthroughTLS)
}

func (f *Forward) secureConn(ctx context.Context, conn net.Conn) (relay.Conn, error) {
	config := f.TLS.Clone()
	if config == nil {
		config = &tls.Config{InsecureSkipVerify: true} // see the field's doc
	}
	if config.ServerName == "" {
		config.ServerName = f.Upstream.host()
	}
	if f.HTTP {
		config.NextProtos = []string{"http/1.1"}
		if f.Protocol == postern.HTTP2 {
			config.NextProtos = []string{"h2"}
		}
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error is the one that counts
		return nil, err
	}
	if f.Protocol == postern.HTTP2 && secured.ConnectionState().NegotiatedProtocol != "h2" {
		_ = secured.Close()
		return nil, postern.Errorf(postern.CodeUpstreamUnreachable, "the service does not offer HTTP/2 over TLS")
	}
	return secured, nil
}

func (f *Forward) logger() *slog.Logger {
	if f.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Logger
}

func (f *Forward) attrs(h link.Header, err error) []any {
	text := err.Error()
	if coded := postern.AsError(err); coded.Code != postern.CodeInternal {
		text = describe(coded)
	}
	return []any{slog.String("privaddr", f.Upstream.String()), slog.String("r", h.ClientAddr.String()), slog.String("err", text)}
}

// Interface guard.
var _ Handler = (*Forward)(nil)
