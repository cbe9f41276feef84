package sessionmsg_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sessionmsg"
)

const token = "good-token"

// memoryStream is one end of a stream in memory.
type memoryStream struct {
	*testkit.PipeConn
}

func (s memoryStream) Reset(*postern.Error) {
	_ = s.SetLinger(0)
	_ = s.Close()
}

// typed is a stream and its type.
type typed struct {
	streamType uint32
	stream     link.Stream
}

// memoryCarrier is a sessionmsg.Carrier in memory, with the agent's hands on the
// other end.
type memoryCarrier struct {
	fromAgent chan typed
	toAgent   chan typed
	done      chan struct{}
	once      sync.Once
	cause     *postern.Error
	drained   bool
}

func newMemoryCarrier() *memoryCarrier {
	return &memoryCarrier{fromAgent: make(chan typed), toAgent: make(chan typed, 16), done: make(chan struct{})}
}

func (c *memoryCarrier) Open(_ context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	ours, theirs := testkit.Pipe()
	for _, part := range first {
		if _, err := ours.Write(part); err != nil {
			return nil, err
		}
	}
	select {
	case c.toAgent <- typed{streamType, memoryStream{theirs.(*testkit.PipeConn)}}:
		return memoryStream{ours.(*testkit.PipeConn)}, nil
	case <-c.done:
		return nil, c.cause
	}
}

func (c *memoryCarrier) Accept(ctx context.Context) (uint32, link.Stream, error) {
	select {
	case t := <-c.fromAgent:
		return t.streamType, t.stream, nil
	case <-c.done:
		return 0, nil, c.cause
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
}

func (c *memoryCarrier) Ping(context.Context) (time.Duration, error) { return time.Millisecond, nil }
func (c *memoryCarrier) Drain()                                      { c.drained = true }
func (c *memoryCarrier) Done() <-chan struct{}                       { return c.done }
func (c *memoryCarrier) Streams() int                                { return 0 }

func (c *memoryCarrier) Close(why *postern.Error) {
	c.once.Do(func() {
		c.cause = why
		close(c.done)
	})
}

func (c *memoryCarrier) Cause() *postern.Error {
	select {
	case <-c.done:
		return c.cause
	default:
		return nil
	}
}

// agent drives a session from the other end.
type agent struct {
	t       *testing.T
	carrier *memoryCarrier
	served  chan error
}

// serve starts a session; the test's end waits for the session's.
func serve(t *testing.T, registrar link.Registrar, dialect sessionmsg.Dialect) *agent {
	t.Helper()
	a := &agent{t: t, carrier: newMemoryCarrier(), served: make(chan error, 1)}
	if dialect.Request == nil {
		dialect.Request, dialect.Reply = (*sessionmsg.Bind).Request, (*sessionmsg.Bind).Reply
	}
	if dialect.Admitted == nil {
		dialect.Admitted = func(*sessionmsg.Auth, link.Hello) *sessionmsg.Extensions { return nil }
	}
	server := sessionmsg.Server{Registrar: registrar, Logger: testkit.Logger(t), Version: "test", Dialect: dialect}
	go func() { a.served <- server.Serve(t.Context(), a.carrier, netip.AddrPort{}) }()
	return a
}

// open opens a stream as the agent.
func (a *agent) open(streamType uint32) net.Conn {
	a.t.Helper()
	ours, theirs := testkit.Pipe()
	select {
	case a.carrier.fromAgent <- typed{streamType, memoryStream{theirs.(*testkit.PipeConn)}}:
	case <-a.carrier.done:
		a.t.Fatal("the session has ended: ", a.carrier.cause)
	}
	return ours
}

// call sends a request and reads the reply, without closing its side, like
// ngrok-rust.
func (a *agent) call(streamType uint32, request, response any) {
	a.t.Helper()
	stream := a.open(streamType)
	defer stream.Close()
	if err := sessionmsg.Write(stream, request); err != nil {
		a.t.Fatal(err)
	}
	if err := sessionmsg.Read(stream, response); err != nil {
		a.t.Fatal(err)
	}
}

// auth authenticates and gives the reply.
func (a *agent) auth(h link.Hello) sessionmsg.AuthResp {
	a.t.Helper()
	var response sessionmsg.AuthResp
	a.call(sessionmsg.TypeAuth, sessionmsg.NewAuth(h, nil), &response)
	return response
}

// admit authenticates and gives the registrar's view.
func (a *agent) admit(registrar *linktest.Registrar, h link.Hello) *linktest.Admitted {
	a.t.Helper()
	if h.Token == "" {
		h.Token = token
	}
	if response := a.auth(h); response.Error != "" {
		a.t.Fatal(response.Error)
	}
	admitted, err := registrar.Next(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	return admitted
}

// ended waits for the session's end and checks its code.
func (a *agent) ended(code postern.Code) {
	a.t.Helper()
	if err := <-a.served; !postern.HasCode(err, code) {
		a.t.Errorf("the session ended with %v, want %s", err, code)
	}
}

// close ends the session as if the connection broke.
func (a *agent) close() {
	a.carrier.Close(&postern.Error{Code: postern.CodeLinkLost})
	<-a.served
}

// panicking is a registrar with a bug.
type panicking struct{ *linktest.Registrar }

func (panicking) Admit(context.Context, link.Session, link.Hello) (link.Binder, link.Welcome, error) {
	panic(errors.New("a bug"))
}
