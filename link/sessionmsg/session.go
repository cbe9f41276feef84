package sessionmsg

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// commandTimeout bounds a Command whose caller set no deadline: ngrok-go never
	// answers when the program set no handler.
	commandTimeout = 30 * time.Second

	// noticeLinger is how long an agent may take to read a notice before its
	// stream is freed. ngrok-go never closes its side.
	noticeLinger = 5 * time.Second
)

// Session is one agent's connection, as link.Session: the server's half of the
// messages over any Carrier.
type Session struct {
	carrier   Carrier
	transport string
	remote    netip.AddrPort
	hello     atomic.Pointer[link.Hello]  // nil before Auth was read
	binder    atomic.Pointer[link.Binder] // nil before the session was admitted
}

var (
	_ link.Session = (*Session)(nil)
	_ link.Mover   = (*Session)(nil)
)

// Open implements link.Opener. Type, header and first bytes leave in one frame:
// SDKs accept one stream after the other and read the header inline, so half a
// header would hold up every other visitor.
func (s *Session) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	var buffer [256]byte
	return s.carrier.Open(ctx, TypeProxy, AppendProxyHeader(buffer[:0], h), first)
}

// RemoteAddr implements link.Session.
func (s *Session) RemoteAddr() netip.AddrPort { return s.remote }

// Transport implements link.Session.
func (s *Session) Transport() string { return s.transport }

// Ping implements link.Session.
func (s *Session) Ping(ctx context.Context) (time.Duration, error) { return s.carrier.Ping(ctx) }

// Drain implements link.Session.
func (s *Session) Drain() { s.carrier.Drain() }

// AskToMove implements link.Mover, for carriers that can.
func (s *Session) AskToMove() bool {
	m, ok := s.carrier.(link.Mover)
	return ok && m.AskToMove()
}

// Close implements link.Session.
func (s *Session) Close(why *postern.Error) { s.carrier.Close(why) }

// Done implements link.Session.
func (s *Session) Done() <-chan struct{} { return s.carrier.Done() }

// AfterDone runs f once the session has ended; stop takes that back. See
// link.AfterDone.
func (s *Session) AfterDone(f func()) (stop func() bool) { return link.AfterDone(s.carrier, f) }

// Cause implements link.Session.
func (s *Session) Cause() *postern.Error { return s.carrier.Cause() }

// Streams implements link.Session.
func (s *Session) Streams() int { return s.carrier.Streams() }

// Command implements link.Session. What the agent said at Auth comes first: one
// that cannot do it may not answer at all.
func (s *Session) Command(ctx context.Context, c link.Command) error {
	streamType, request, ok := Command(c)
	if !ok {
		return postern.Errorf(postern.CodeCommandFailed, "there is no command %.40q", c.Action)
	}
	if hello := s.hello.Load(); hello != nil && hello.Unsupported[c.Action] != "" {
		return &postern.Error{Code: unsupportedCode(c.Action), Message: hello.Unsupported[c.Action]}
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var answer CommandResp
	if err := s.ask(ctx, streamType, request, &answer); err != nil {
		return postern.Errorf(postern.CodeCommandUnanswered, "the agent did not answer the command %q", c.Action).Because(err)
	}
	if answer.Error == "" {
		return nil
	}
	failed := ParseErrorText(answer.Error, postern.CodeCommandFailed)
	failed.Code = postern.CodeCommandFailed // whatever the agent calls it
	return failed
}

// ask sends one request on a stream of its own and reads one reply. The stream is
// reset in the end, because SDKs leave their side open.
func (s *Session) ask(ctx context.Context, streamType uint32, request, answer any) error {
	raw, err := Encode(request)
	if err != nil {
		return err
	}
	stream, err := s.carrier.Open(ctx, streamType, raw)
	if err != nil {
		return err
	}
	defer stream.Reset(&postern.Error{Code: postern.CodeStreamReset})
	stop := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return Read(stream, answer)
}

func unsupportedCode(action link.Action) postern.Code {
	switch action {
	case link.Restart:
		return postern.CodeRestartUnsupported
	case link.Stop:
		return postern.CodeStopUnsupported
	}
	return postern.CodeUpdateUnsupported
}

// StopEndpoint implements link.Session. There is no reply, and ngrok-go never
// closes its side of the stream, so a timer frees it.
func (s *Session) StopEndpoint(ctx context.Context, id string, why *postern.Error) error {
	notice := StopTunnel{ID: id}
	if why != nil {
		notice.Message = oneLine(why.Text())
		notice.ErrorCode = string(why.Code.Entry().Wire)
	}
	raw, err := Encode(notice)
	if err != nil {
		return err
	}
	stream, err := s.carrier.Open(ctx, TypeStopTunnel, raw)
	if err != nil {
		return err
	}
	err = stream.CloseWrite()
	time.AfterFunc(noticeLinger, func() { stream.Reset(&postern.Error{Code: postern.CodeStreamReset}) })
	return err
}
