package sshr

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Protocol is what these connections are called where an ALPN protocol names the others.
const Protocol = "ssh"

// Transport is what the sessions are called.
const Transport = "ssh"

const (
	defaultGreetTime = 10 * time.Second
	// loginTime is how long a person may take to type "yes" to a new host key, the
	// passphrase of a key, or an authtoken. It begins with the key exchange.
	loginTime = 2 * time.Minute
	// strangerBytes is what a client may send before it is let in.
	strangerBytes = 256 << 10
	// authTries is how many keys and passwords a client may offer: agents of SSH offer
	// all that they have.
	authTries = 12
	// serverVersion is what clients see of this one before they are let in.
	serverVersion = "SSH-2.0-Postern"
)

// Gatekeeper says who may come in.
type Gatekeeper interface {
	link.Registrar
	// Knows tells whether a client that proves what h says would be admitted, nil if so;
	// nothing is admitted. It may block for as long as ctx allows.
	Knows(ctx context.Context, addr netip.Addr, h link.Hello) error
	// KeysRefused counts a client none of whose keys were known; last is one of them.
	KeysRefused(ctx context.Context, addr netip.Addr, last []byte)
}

// Config is what a Server is made of. Gatekeeper, HostKeys and Logger must be given.
type Config struct {
	Gatekeeper Gatekeeper
	// HostKeys are the server's, with certificates behind the keys that they are for. It
	// is asked at every connection, so they may change.
	HostKeys  func() []ssh.Signer
	Logger    *slog.Logger
	GreetTime time.Duration // from the start to the key exchange, and for an admission; 0: 10 s
}

// Server serves SSH clients. Make one with New; it may be used from anywhere.
type Server struct {
	config    Config
	exchanges chan struct{} // one for each key exchange that is worked on
}

// New makes a Server. It starts nothing.
func New(c Config) *Server {
	c.GreetTime = cmp.Or(c.GreetTime, defaultGreetTime)
	return &Server{config: c, exchanges: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
}

// Serve runs one client's connection until it ends, and closes it. The result is why it
// ended, a *postern.Error. ctx ends it. Whatever the client sends, Serve neither panics
// nor blocks for ever.
func (v *Server) Serve(ctx context.Context, conn net.Conn) (err error) {
	defer conn.Close()
	defer func() {
		if problem := recover(); problem != nil {
			v.config.Logger.ErrorContext(ctx, "an SSH connection failed inside Postern", "panic", problem, "stack", string(debug.Stack()))
			err = &postern.Error{Code: postern.CodeInternal}
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	guarded := newGuard(conn)
	_ = conn.SetDeadline(time.Now().Add(v.config.GreetTime))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	login := &login{server: v, ctx: ctx, conn: guarded, from: remote(conn).Addr()}
	client, channels, requests, err := ssh.NewServerConn(guarded, login.config())
	if err != nil {
		stop()
		return login.failed(err)
	}
	guarded.letIn()
	_ = conn.SetDeadline(time.Time{})
	stop()
	return newSession(v, client, guarded, remote(conn)).serve(ctx, login.hello(client.Permissions), channels, requests)
}

// remote gives the far address of a connection; the zero value where it has none.
func remote(conn net.Conn) netip.AddrPort {
	if address := conn.RemoteAddr(); address != nil {
		if at, err := netip.ParseAddrPort(address.String()); err == nil {
			return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		}
	}
	return netip.AddrPort{}
}
