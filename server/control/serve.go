package control

import (
	"context"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/ngrok"
	"github.com/postern-dev/postern/link/sshr"
)

// Serve runs one agent's connection to its end and closes it. TLS is done; alpn is
// what was negotiated, "" for ngrok's SDKs. A panic ends this session only.
func (c *Control) Serve(ctx context.Context, conn net.Conn, alpn string) {
	ctx = obs.With(ctx, slog.String("remote_addr", conn.RemoteAddr().String()))
	c.metrics.connections.Inc()
	defer c.metrics.connections.Dec()
	defer func() {
		if fault := recover(); fault != nil {
			c.log.ErrorContext(ctx, "a session failed inside Postern", "panic", fault, "stack", string(debug.Stack()))
			// Closing twice does no harm, and not closing would.
			_ = conn.Close()
		}
	}()
	var err error
	switch {
	case alpn == sshr.Protocol && c.ssh != nil:
		err = c.ssh.Serve(ctx, conn)
	case alpn == native.ALPN:
		err = native.Serve(ctx, conn, native.Config{Registrar: c, Logger: c.log, AuthTimeout: c.config.AuthTimeout, ServerVersion: c.config.Version, Hub: &c.hub})
	default:
		err = ngrok.Serve(ctx, conn, ngrok.Config{Registrar: c, Logger: c.log, AuthTimeout: c.config.AuthTimeout, ServerVersion: c.config.Version})
	}
	if err != nil {
		c.log.DebugContext(ctx, "the agent's connection ended", "error", err)
	}
}

// Drain asks agents to move to another connection, spread over the given time.
// Only our own wire can be asked: to an SDK it would look like a lost session,
// before there is anywhere to go. People are told.
func (c *Control) Drain(ctx context.Context, over time.Duration) {
	var ours []*session
	for _, s := range c.all() {
		if s.native() {
			ours = append(ours, s)
		}
		if t, ok := s.link.(link.Teller); ok {
			t.Tell(postern.Errorf(postern.CodeLinkDraining, "the server is about to shut down and will end this session; connect again once it is back"))
		}
	}
	if len(ours) == 0 {
		return
	}
	pace := time.NewTicker(max(over/time.Duration(len(ours)), time.Microsecond))
	defer pace.Stop()
	for i, s := range ours {
		if i > 0 {
			select {
			case <-pace.C:
			case <-ctx.Done(): // the time is up: the rest is told at once
			}
		}
		s.link.Drain()
	}
}

// native tells whether the session speaks our own wire.
func (s *session) native() bool { return strings.HasPrefix(s.info.Transport, "postern/") }

// lastWords bounds what Close waits for connections that end.
const lastWords = time.Second

// Close ends every session, and returns when everything has ended that tells agents
// of something: no later than a second after it has asked for that.
func (c *Control) Close(why *postern.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	var ends sync.WaitGroup
	for _, s := range c.all() {
		ends.Go(func() {
			s.end(why)
			select {
			case <-s.link.Done():
			case <-ctx.Done():
			}
		})
	}
	ends.Wait()
	c.notices.Wait()
}
