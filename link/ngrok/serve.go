package ngrok

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// Transport is what sessions of this wire call themselves.
const Transport = "ngrok/2"

const (
	// Our own pings to agents; SDKs ping us at their own pace.
	heartbeat = 10 * time.Second
	tolerance = 20 * time.Second

	// rustStreams and rustPeerStreams stay together below the 512 streams, of both
	// sides, beyond which ngrok-rust drops its session. What we know to have ended may
	// be open there for a moment more.
	rustStreams     = 448
	rustPeerStreams = 24

	// unaccepted stays below ngrok-go's accept queue of 128, with room for the
	// heartbeats and commands that share it.
	unaccepted = 100
)

// tunedWindow is how far ngrok-go lets a stream's window grow: its sender has no
// bound of its own, and at 50 ms a large window was worth a factor of fourteen.
// ngrok-rust never sends more than the initial window ahead; for it, and for
// agents that we do not know, windows stay as they are.
const tunedWindow = 4 << 20

// Limits of a peer before and after it was admitted. A stranger has use for three
// streams: heartbeat, SrvInfo, Auth.
var (
	strangerLimits = mux.Limits{PeerStreams: 8, OpenStreams: 8, Buffered: 1 << 20, Unaccepted: unaccepted}
	goLimits       = mux.Limits{PeerStreams: 256, OpenStreams: 1 << 16, Buffered: 64 << 20, Unaccepted: unaccepted}
	rustLimits     = mux.Limits{PeerStreams: rustPeerStreams, OpenStreams: rustStreams, Buffered: 64 << 20, Unaccepted: unaccepted}
)

// Config is what Serve needs; Registrar and Logger are required.
type Config struct {
	Registrar     link.Registrar
	Logger        *slog.Logger
	AuthTimeout   time.Duration // 0: 10 s
	ServerVersion string
}

// Serve runs a session with an SDK over conn, whose TLS handshake is done. It
// blocks until the session has ended, closes conn, and returns why, a
// *postern.Error. ctx ends the session.
func Serve(ctx context.Context, conn net.Conn, c Config) error {
	acking := newAckConn(conn)
	s := &carrier{
		conn: acking,
		session: mux.New(acking, mux.Config{
			MaxWindow: window,
			Limits:    strangerLimits,
			Heartbeat: heartbeat,
			Tolerance: tolerance,
			Logger:    c.Logger,
		}),
	}
	why := sessionmsg.Server{
		Registrar:   c.Registrar,
		Logger:      c.Logger,
		AuthTimeout: c.AuthTimeout,
		Version:     c.ServerVersion,
		Dialect: sessionmsg.Dialect{
			Transport: Transport,
			Request:   request,
			Reply:     (*sessionmsg.Bind).Reply,
			Admitted:  s.admitted,
		},
	}.Serve(ctx, s, sessionmsg.Remote(conn))
	<-s.session.Closed()
	return why
}

// admitted lifts the limits of strangers, as far as the agent can bear it.
func (c *carrier) admitted(_ *sessionmsg.Auth, h link.Hello) *sessionmsg.Extensions {
	switch {
	case mentions(h, "ngrok-rust"):
		c.session.SetLimits(rustLimits)
		c.conn.acknowledgeQuickly()
	case mentions(h, "ngrok-go"):
		c.session.SetLimits(goLimits)
		c.session.SetMaxWindow(tunedWindow)
	default:
		c.session.SetLimits(goLimits)
	}
	return nil
}

// mentions tells whether the agent is built on library. ngrok-rust is below
// @ngrok/ngrok, and the SDKs for Python and Java.
func mentions(h link.Hello, library string) bool {
	return strings.Contains(h.Agent.UserAgent, library) || strings.Contains(h.Agent.ClientType, library)
}

// request reads a Bind. This wire has no datagrams: a client that asked for a udp
// endpoint would take a flow for a connection.
func request(b *sessionmsg.Bind) (link.BindRequest, error) {
	r, err := b.Request()
	if err == nil && r.URL.Scheme == postern.UDP {
		return link.BindRequest{}, postern.Errorf(postern.CodeSchemeInvalid, "scheme \"udp\" is not one of http, https, tcp, tls, which this protocol has")
	}
	return r, err
}
