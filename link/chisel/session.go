package chisel

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/link"
)

// Transport is what sessions of this wire call themselves.
const Transport = "chisel/3"

// mostStreams is how many streams one session has at a time.
const mostStreams = 8192

// session is a connector's connection as the server holds it.
type session struct {
	*tunnel
	remote   netip.AddrPort
	places   chan struct{} // one taken for each stream
	ready    chan struct{} // closed once the client was told that it is connected
	draining atomic.Bool

	mu      sync.Mutex
	remotes map[string]Remote   // by bind id
	groups  map[string]*sources // of UDP remotes, by bind id
}

var _ link.Session = (*session)(nil)

// RemoteAddr implements link.Session.
func (s *session) RemoteAddr() netip.AddrPort { return s.remote }

// Transport implements link.Session.
func (s *session) Transport() string { return Transport }

// Command implements link.Session: connectors of this wire take none.
func (s *session) Command(_ context.Context, c link.Command) error {
	code := postern.CodeUpdateUnsupported
	switch c.Action {
	case link.Restart:
		code = postern.CodeRestartUnsupported
	case link.Stop:
		code = postern.CodeStopUnsupported
	}
	return postern.Errorf(code, "a connector that speaks chisel takes no commands")
}

// StopEndpoint implements link.Session. The wire has no way to say it; what the
// endpoint still has open lives on.
func (s *session) StopEndpoint(_ context.Context, id string, _ *postern.Error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.remotes, id)
	return nil
}

// Drain implements link.Session. The wire has no way to say it.
func (s *session) Drain() { s.draining.Store(true) }

// Close implements link.Session. The connector's operator reads why.
func (s *session) Close(why *postern.Error) {
	status, text := frames.StatusGoingAway, "the server ends the session"
	if why != nil {
		status, text = statusOf(why), why.Text()
	} else {
		why = postern.Errorf(postern.CodeLinkLost, "the session was closed here")
	}
	s.end(why)
	s.conn.CloseWith(status, text)
}

// statusOf chooses a WebSocket status: a restart is one to come back from at once.
func statusOf(why *postern.Error) int {
	switch why.Code {
	case postern.CodeLinkDraining, postern.CodeServerBusy, postern.CodeInternal, postern.CodeLinkLost:
		return frames.StatusRestart
	}
	return frames.StatusPolicy
}

// Open implements link.Opener. A stream of a UDP remote carries one visitor's
// datagrams, each behind its length in 16 bits.
func (s *session) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	if s.draining.Load() {
		return nil, postern.Errorf(postern.CodeLinkDraining, "the connector gets no new connections")
	}
	if why := s.lost(); why != nil {
		return nil, lostCode(why)
	}
	remote, known := s.remoteOf(h.Endpoint)
	if !known { // visitors may be faster than the answer to the bind that let them in
		select {
		case <-s.ready:
		case <-s.done:
		case <-ctx.Done():
		}
		remote, known = s.remoteOf(h.Endpoint)
	}
	if !known {
		return nil, postern.Errorf(postern.CodeEndpointUnknown, "the session has no endpoint %q", h.Endpoint)
	}
	if remote.RemoteProto == "udp" {
		return s.openFlow(h, first)
	}
	if err := s.place(ctx); err != nil {
		return nil, err
	}
	return s.openStream(h, remote, first)
}

func (s *session) remoteOf(id string) (Remote, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	remote, known := s.remotes[id]
	return remote, known
}

// place waits for a place among the streams.
func (s *session) place(ctx context.Context) error {
	select {
	case s.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.places <- struct{}{}:
		return nil
	case <-s.done:
		return lostCode(s.Cause())
	case <-ctx.Done():
		return postern.Errorf(postern.CodeStreamLimit, "the connector has %d open connections", mostStreams)
	}
}

func (s *session) openStream(h link.Header, remote Remote, first []byte) (link.Stream, error) {
	extra := s.extra(h, remote)
	st := newStream(s.tunnel, func() (ssh.Channel, <-chan *ssh.Request, error) { return s.openChannel(extra) }, nil)
	st.leave = func() { <-s.places }
	if !s.add(st) {
		<-s.places
		return nil, lostCode(s.Cause())
	}
	st.start()
	if _, err := st.Write(first); err != nil { // waits where first is larger than a buffer
		st.Reset(nil)
		return nil, lostCode(postern.AsError(err))
	}
	return st, nil
}

// extra names the target, as the connector declared it. To one of our own it tells
// who the visitor is, too.
func (s *session) extra(h link.Header, remote Remote) []byte {
	extra := []byte(remote.Target())
	if s.conn.own {
		extra = append(append(extra, '\n'), h.ClientAddr.String()...)
	}
	return extra
}

// openChannel opens a channel once the client is ready for it: chisel's client takes
// channels after the answer to its config request only, and SSH's reader would stop at
// the seventeenth.
func (s *session) openChannel(extra []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	select {
	case <-s.ready:
	case <-s.done:
	}
	return s.ssh.OpenChannel(channelType, extra)
}

// lostCode makes an end one that tells Open's caller to try another session.
func lostCode(why *postern.Error) *postern.Error {
	if why.Code == postern.CodeLinkDraining || why.Code == postern.CodeLinkLost {
		return why
	}
	return postern.Errorf(postern.CodeLinkLost, "the session has ended").Because(why)
}
