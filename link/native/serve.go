package native

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"sync"
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

// authTimeout is Config.AuthTimeout's default.
const authTimeout = 10 * time.Second

// Limits of a peer before and after it was admitted, and on further carriers. There
// the agent opens legs, fewer at once than are accepted: some of those that it has
// closed still count here.
var (
	strangerLimits = mux.Limits{PeerStreams: 8, OpenStreams: 8, Buffered: 1 << 20}
	admittedLimits = mux.Limits{PeerStreams: 256, OpenStreams: 1 << 16, Buffered: 64 << 20}
	furtherLimits  = mux.Limits{PeerStreams: 2048, OpenStreams: 1024, Buffered: 64 << 20}
)

// Config is the server's side.
type Config struct {
	Registrar     link.Registrar
	Logger        *slog.Logger
	AuthTimeout   time.Duration // 0: 10 s
	ServerVersion string

	// Hub lets sessions have several carriers; it is the same for all connections of
	// a server. nil: each has one.
	Hub *Hub
}

// Serve runs the server's side of a session, or of a further carrier of one, over
// conn, whose TLS handshake is done. It blocks until that has ended, closes conn,
// and returns why, a *postern.Error. ctx ends the session.
func Serve(ctx context.Context, conn net.Conn, c Config) error {
	if err := checkTLS(conn); err != nil {
		_ = conn.Close()
		return err
	}
	start := time.Now()
	patience := cmp.Or(c.AuthTimeout, authTimeout)
	budget := mux.NewBudget()
	zero := newCarrier(conn, false, strangerLimits, budget, serverBacklog, c.Logger)
	first, err := firstStream(ctx, zero, patience)
	if err != nil {
		<-zero.Closed()
		return zero.Cause()
	}
	if first.streamType == typeJoin && c.Hub != nil {
		return serveFurther(ctx, zero, first.stream, c)
	}
	s := &server{hub: c.Hub, first: &first}
	s.init(zero, budget, c.Logger)
	why := sessionmsg.Server{
		Registrar:   followed{c.Registrar, s},
		Logger:      c.Logger,
		AuthTimeout: max(patience-time.Since(start), 1),
		Version:     c.ServerVersion,
		Dialect: sessionmsg.Dialect{
			Transport: ALPN,
			Request:   readBind,
			Reply:     reply,
			Admitted:  s.admitted,
			Dials:     true,
			Certifies: true,
		},
	}.Serve(ctx, s, sessionmsg.Remote(conn))
	if c.Hub != nil {
		c.Hub.dismiss(s)
	}
	s.carriers.end(zero.Cause())
	s.asking.Wait()
	s.serving.Wait()
	<-zero.Closed()
	return why
}

// followed keeps who wants to know of further carriers, before there can be any.
type followed struct {
	link.Registrar
	s *server
}

// Admit implements link.Registrar.
func (f followed) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	binder, welcome, err := f.Registrar.Admit(ctx, s, h)
	f.s.follower, _ = binder.(link.Follower)
	return binder, welcome, err
}

// incoming is a stream that a peer has opened.
type incoming struct {
	streamType uint32
	stream     *mux.Stream
}

// firstStream waits for the first request of a connection, which says what it is. On
// error the session has been closed.
func firstStream(ctx context.Context, session *mux.Session, patience time.Duration) (incoming, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	streamType, st, err := session.Accept(waiting)
	switch {
	case err == nil:
		return incoming{streamType, st}, nil
	case ctx.Err() != nil:
		session.Close(postern.Errorf(postern.CodeLinkDraining, "the server ended the session"))
	case waiting.Err() != nil:
		session.Close(postern.Errorf(postern.CodeRequestTimeout, "the agent did not authenticate in time"))
	}
	session.Close(postern.AsError(err))
	return incoming{}, err
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
	hub      *Hub
	first    *incoming // until Accept has returned it
	drains   atomic.Bool
	dials    atomic.Bool // the agent may open streams to gateways
	draining atomic.Bool // ours has begun, and the agent does not know

	name, secret string        // of the hub
	follower     link.Follower // of who admitted the session; nil: nobody wants to know
	asking       sync.WaitGroup
}

var (
	_ sessionmsg.Carrier = (*server)(nil)
	_ link.Mover         = (*server)(nil)
)

// admitted lifts the limits of strangers and picks from the agent's extensions.
func (s *server) admitted(a *sessionmsg.Auth, h link.Hello) *sessionmsg.Extensions {
	s.zero.SetLimits(admittedLimits)
	agreed := &sessionmsg.Extensions{Names: []string{}}
	if a.Extra.Postern == nil {
		return agreed
	}
	if slices.Contains(a.Extra.Postern.Names, extensionDial) && h.Gateway == nil {
		s.zero.SetLimits(consuming(admittedLimits))
		s.dials.Store(true)
		agreed.Names = append(agreed.Names, extensionDial)
	}
	if slices.Contains(a.Extra.Postern.Names, extensionCertify) && h.Gateway == nil {
		agreed.Names = append(agreed.Names, extensionCertify)
	}
	if slices.Contains(a.Extra.Postern.Names, extensionDrain) {
		s.drains.Store(true)
		agreed.Names = append(agreed.Names, extensionDrain)
	}
	if s.hub != nil && slices.Contains(a.Extra.Postern.Names, extensionCarriers) {
		s.more = s.askForMore
		s.enable(mostFurther)
		agreed.Names = append(agreed.Names, extensionCarriers)
		agreed.Carriers = mostFurther
		agreed.Session, agreed.Secret = s.hub.enrol(s)
	}
	return agreed
}

// Accept takes the agent's next request.
func (s *server) Accept(ctx context.Context) (uint32, link.Stream, error) {
	if first := s.first; first != nil {
		s.first = nil
		return first.streamType, first.stream, nil
	}
	for {
		streamType, st, err := s.zero.Accept(ctx)
		switch {
		case err != nil:
			return 0, nil, err
		case streamType != sessionmsg.TypeDial:
			return streamType, st, nil
		}
		if wrapped, ok := s.acceptDialled(st); ok {
			return streamType, wrapped, nil
		}
	}
}

// Drain tells the agent only if it understands; Open fails either way.
func (s *server) Drain() {
	s.draining.Store(true)
	if s.drains.Load() {
		s.carriers.drain()
	}
}

// AskToMove implements link.Mover.
func (s *server) AskToMove() bool {
	if s.drains.Load() {
		s.zero.AskToMove()
	}
	return s.drains.Load()
}

// Open starts a stream unless the session drains.
func (s *server) Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	if s.draining.Load() {
		return nil, postern.Errorf(postern.CodeLinkDraining, "the session takes no new streams")
	}
	return s.carriers.open(ctx, streamType, first...)
}
