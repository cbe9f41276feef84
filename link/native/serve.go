package native

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// ALPN is the protocol name of this wire in the TLS handshake.
const ALPN = "postern/1"

// extensionDrain: the agent understands a GOAWAY as "take your next streams over
// a new session", and does not take it for the end.
const extensionDrain = "drain"

// Limits of a peer before and after it was admitted.
var (
	strangerLimits = mux.Limits{PeerStreams: 8, OpenStreams: 8, Buffered: 1 << 20}
	admittedLimits = mux.Limits{PeerStreams: 256, OpenStreams: 1 << 16, Buffered: 64 << 20}
)

// Config is the server's side.
type Config struct {
	Registrar     link.Registrar
	Logger        *slog.Logger
	AuthTimeout   time.Duration // 0: 10 s
	ServerVersion string
}

// Serve runs the server's side of a session over conn, whose TLS handshake is
// done. It blocks until the session has ended, closes conn, and returns why, a
// *postern.Error. ctx ends the session.
func Serve(ctx context.Context, conn net.Conn, c Config) error {
	if err := checkTLS(conn); err != nil {
		_ = conn.Close()
		return err
	}
	s := &server{carriers: carriers{zero: newTLSCarrier(conn, false, strangerLimits, c.Logger)}}
	why := sessionmsg.Server{
		Registrar:   c.Registrar,
		Logger:      c.Logger,
		AuthTimeout: c.AuthTimeout,
		Version:     c.ServerVersion,
		Dialect: sessionmsg.Dialect{
			Transport: ALPN,
			Request:   readBind,
			Reply:     reply,
			Admitted:  s.admitted,
		},
	}.Serve(ctx, s, sessionmsg.Remote(conn))
	<-s.Closed()
	return why
}

// checkTLS refuses older TLS versions and other protocols where conn can tell.
func checkTLS(conn net.Conn) *postern.Error {
	secured, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := secured.ConnectionState()
	if state.Version < tls.VersionTLS13 || state.NegotiatedProtocol != ALPN {
		return postern.Errorf(postern.CodeProtocolViolation, "the link needs TLS 1.3 and protocol %s; the handshake gave %s and %q",
			ALPN, tls.VersionName(state.Version), state.NegotiatedProtocol)
	}
	return nil
}

// server is the carriers of one session at the server.
type server struct {
	carriers
	drains   atomic.Bool // the agent understands a drain
	draining atomic.Bool // ours has begun, and the agent does not know
}

var _ sessionmsg.Carrier = (*server)(nil)

// admitted lifts the limits of strangers and picks from the agent's extensions.
func (s *server) admitted(a *sessionmsg.Auth, _ link.Hello) *sessionmsg.Extensions {
	s.SetLimits(admittedLimits)
	agreed := []string{}
	if a.Extra.Postern != nil && slices.Contains(a.Extra.Postern.Names, extensionDrain) {
		s.drains.Store(true)
		agreed = append(agreed, extensionDrain)
	}
	return &sessionmsg.Extensions{Names: agreed}
}

// Drain tells the agent only if it understands; Open fails either way.
func (s *server) Drain() {
	s.draining.Store(true)
	if s.drains.Load() {
		s.carriers.Drain()
	}
}

// Open starts a stream unless the session drains.
func (s *server) Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	if s.draining.Load() {
		return nil, postern.Errorf(postern.CodeLinkDraining, "the session takes no new streams")
	}
	return s.carriers.Open(ctx, streamType, first...)
}
