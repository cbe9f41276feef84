package sessionmsg

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	defaultAuthTimeout = 10 * time.Second

	// requestTimeout bounds one request of an agent from its first byte to the
	// last of the reply.
	requestTimeout = 30 * time.Second

	// requestsAtOnce bounds an agent's requests in work; more wait their turn.
	requestsAtOnce = 16

	// refusalLinger is how long a refused agent may take to read why, before the
	// connection closes. A TCP reset at once could destroy the answer on its way.
	refusalLinger = 2 * time.Second
)

// Server serves sessions of one wire. Registrar, Logger and Dialect are needed.
type Server struct {
	Registrar   link.Registrar
	Logger      *slog.Logger
	AuthTimeout time.Duration // from the start to an admitted session; 0: 10 s
	Version     string        // of this server, told to agents
	Dialect     Dialect
}

// Serve runs the server's side of a session until it ends, and then closes the
// carrier. The result is why it ended, a *postern.Error. ctx ends the session.
// Whatever the agent sends, Serve neither panics nor blocks for ever.
func (v Server) Serve(ctx context.Context, carrier Carrier, remote netip.AddrPort) error {
	w := &worker{Server: v, carrier: carrier, slots: make(chan struct{}, requestsAtOnce)}
	w.session = &Session{carrier: carrier, transport: v.Dialect.Transport, remote: remote}
	return w.run(ctx)
}

// Remote gives the far address of a connection; the zero value where it has none.
func Remote(conn interface{ RemoteAddr() net.Addr }) netip.AddrPort {
	if address := conn.RemoteAddr(); address != nil {
		if remote, err := netip.ParseAddrPort(address.String()); err == nil {
			return netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		}
	}
	return netip.AddrPort{}
}

// worker is one session being served.
type worker struct {
	Server
	carrier  Carrier
	session  *Session
	slots    chan struct{}
	requests sync.WaitGroup
	asked    atomic.Bool // an Auth was read
	settled  atomic.Bool // the session was admitted, or its time ran out
}

func (w *worker) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		w.carrier.Close(postern.Errorf(postern.CodeLinkDraining, "the server ended the session"))
	})
	defer stop()
	limit := time.AfterFunc(cmp.Or(w.AuthTimeout, defaultAuthTimeout), w.tooLate)
	defer limit.Stop()

	w.accept(ctx)
	<-w.carrier.Done()
	// From here no request can succeed any more. They are waited for, so that a
	// Bind that was on its way is released with the rest.
	cancel()
	w.requests.Wait()
	why := w.carrier.Cause()
	if binder := w.session.binder.Load(); binder != nil {
		(*binder).Release(why)
	}
	return why
}

// tooLate closes a session that nobody has authenticated in time.
func (w *worker) tooLate() {
	if w.settled.CompareAndSwap(false, true) {
		w.carrier.Close(postern.Errorf(postern.CodeRequestTimeout, "the agent did not authenticate in time"))
	}
}

// accept hands each request to a goroutine of its own, so that a slow one holds
// up no other, and returns when the session has ended.
func (w *worker) accept(ctx context.Context) {
	defer w.recover(ctx)
	for {
		streamType, stream, err := w.carrier.Accept(ctx)
		if err != nil {
			if ctx.Err() == nil { // else run closes, and says why
				w.carrier.Close(postern.AsError(err))
			}
			return
		}
		if streamType == TypeDial && w.Dialect.Dials {
			w.requests.Go(func() { w.consume(ctx, stream) })
			continue
		}
		select {
		case w.slots <- struct{}{}:
		case <-w.carrier.Done():
			stream.Reset(&postern.Error{Code: postern.CodeLinkLost})
			return
		}
		w.requests.Go(func() { w.answer(ctx, streamType, stream) })
	}
}

// recover is the session's boundary: a bug that some input finds ends that
// session and no other.
func (w *worker) recover(ctx context.Context) {
	if reason := recover(); reason != nil {
		w.Logger.ErrorContext(ctx, "a session failed", "panic", reason, "stack", string(debug.Stack()))
		w.carrier.Close(&postern.Error{Code: postern.CodeInternal})
	}
}
