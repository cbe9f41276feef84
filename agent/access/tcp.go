package access

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// tcpDoor is a listener for one TCP port.
type tcpDoor struct {
	access   *Access
	port     Port
	listener net.Listener
}

func (d *tcpDoor) wants() *Port   { return &d.port }
func (d *tcpDoor) addr() net.Addr { return d.listener.Addr() }
func (d *tcpDoor) to() string     { return d.port.String() }
func (d *tcpDoor) close()         { _ = d.listener.Close() }

func (d *tcpDoor) serve(ctx context.Context) {
	d.access.accept(ctx, d.listener, func(conn relay.Conn, free func()) { d.access.forward(conn, d.port.target(), free) })
}

// acceptPause is how long a listener rests that fails, as when there are no more file
// descriptors.
const acceptPause = 100 * time.Millisecond

// accept hands each connection to a goroutine of its own until ctx ends, and closes the
// listener. One above the limit is reset. handle calls free when the connection has
// ended.
func (a *Access) accept(ctx context.Context, listener net.Listener, handle func(conn relay.Conn, free func())) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			a.log.WarnContext(ctx, "a connection could not be accepted", "addr", listener.Addr().String(), "error", err)
			pause(ctx, acceptPause)
			continue
		}
		select {
		case a.slots <- struct{}{}:
			a.conns.Go(func() {
				free := sync.OnceFunc(func() { <-a.slots })
				defer a.recover(ctx, conn, free)
				handle(conn.(*net.TCPConn), free)
			})
		default:
			a.log.WarnContext(ctx, "a connection was refused: there are too many", "addr", listener.Addr().String(), "limit", cap(a.slots))
			relay.Abort(conn, nil)
		}
	}
}

// recover is a connection's boundary: a bug that some input finds ends that connection
// and no other.
func (a *Access) recover(ctx context.Context, conn net.Conn, free func()) {
	if reason := recover(); reason != nil {
		a.log.ErrorContext(ctx, "a connection failed", "panic", reason, "stack", string(debug.Stack()))
		_ = conn.Close()
		free()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// forward relays between a connection and a port. It does not wait for the server's
// answer: what the client says first travels at once.
func (a *Access) forward(conn relay.Conn, p link.GatewayPort, free func()) {
	ctx, cancel := context.WithTimeout(a.work, dialPatience)
	st, err := a.config.Dialer.DialEarly(ctx, p)
	cancel()
	if err != nil {
		a.refused(a.work, p, err)
		relay.Abort(conn, nil)
		free()
		return
	}
	// With a stack of its own: that of the dial is several times larger.
	a.conns.Go(func() {
		defer free()
		a.relay(conn, st, p)
	})
}

// relay runs until both have ended.
func (a *Access) relay(conn relay.Conn, st link.Stream, p link.GatewayPort) {
	began := time.Now()
	r := relay.Pipe(a.work, conn, st, relay.Options{})
	if r.Err != nil && r.By == relay.B && r.BToA == 0 {
		a.refused(a.work, p, r.Err)
		return
	}
	a.well(p)
	if a.log.Enabled(a.work, slog.LevelDebug) {
		a.log.DebugContext(a.work, "a connection ended", "to", targetText(p), "from", conn.RemoteAddr().String(),
			"sent", r.AToB, "received", r.BToA, "duration", time.Since(began), "error", errorOf(r.Err))
	}
}

// errorOf keeps a nil *postern.Error a nil error.
func errorOf(err *postern.Error) error {
	if err == nil {
		return nil
	}
	return err
}
