package session_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

// server is a stand-in with the semantics that the Supervisor relies on: it knows
// names, gives a returning session its own back, refuses what others hold.
type server struct {
	mu       sync.Mutex
	down     error // what Connect answers; nil: it is up
	dials    []time.Time
	hellos   []link.Hello
	sessions []*client
	refuse   map[string]*postern.Error // by endpoint name
	binds    []link.BindRequest
	unbinds  []string
	next     int
	slow     time.Duration // what a bind takes
}

func (s *server) Connect(_ context.Context, h link.Hello, c session.Callbacks) (session.Client, link.Welcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials = append(s.dials, time.Now())
	s.hellos = append(s.hellos, h)
	if s.down != nil {
		return nil, link.Welcome{}, s.down
	}
	cl := &client{server: s, callbacks: c, done: make(chan struct{}), draining: make(chan struct{}), streams: make(chan opened, 16)}
	s.sessions = append(s.sessions, cl)
	n := len(s.sessions)
	return cl, link.Welcome{SessionID: postern.SessionID(fmt.Sprintf("ts_%d", n)), ClientID: "client", Cookie: fmt.Sprintf("cookie%d", n)}, nil
}

// kill takes the server down as kill -9 does: sessions break, dials fail with why.
func (s *server) kill(why error) {
	s.mu.Lock()
	s.down = why
	sessions := s.sessions
	s.mu.Unlock()
	for _, c := range sessions {
		c.Close(postern.Errorf(postern.CodeLinkLost, "connection reset"))
	}
}

func (s *server) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = nil
}

// asked lists the binds.
func (s *server) asked() []link.BindRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.binds)
}

func (s *server) current() *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) == 0 {
		return nil
	}
	return s.sessions[len(s.sessions)-1]
}

func (s *server) dialled() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.dials...)
}

type opened struct {
	header link.Header
	stream link.Stream
}

type client struct {
	server    *server
	callbacks session.Callbacks

	mu       sync.Mutex
	cause    *postern.Error
	deaf     bool // pings are not answered
	pings    int
	done     chan struct{}
	draining chan struct{}
	streams  chan opened
}

func (c *client) Accept(ctx context.Context) (link.Header, link.Stream, error) {
	select {
	case o := <-c.streams:
		return o.header, o.stream, nil
	case <-c.done:
		return link.Header{}, nil, c.Cause()
	case <-ctx.Done():
		return link.Header{}, nil, ctx.Err()
	}
}

func (c *client) Bind(ctx context.Context, r link.BindRequest) (link.Bound, error) {
	s := c.server
	if s.slow > 0 {
		select {
		case <-time.After(s.slow):
		case <-c.done:
			return link.Bound{}, c.Cause()
		case <-ctx.Done():
			return link.Bound{}, postern.Errorf(postern.CodeLinkLost, "the server did not answer").Because(ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-c.done:
		return link.Bound{}, c.Cause()
	default:
	}
	s.binds = append(s.binds, r)
	if why := s.refuse[r.Name]; why != nil {
		return link.Bound{}, why
	}
	id, token := r.ID, r.Token
	if id == "" {
		s.next++
		id, token = fmt.Sprintf("bind%d", s.next), fmt.Sprintf("token%d", s.next)
	}
	host := r.URL.Host
	if host == "" {
		host = postern.Hostname(fmt.Sprintf("assigned%d.example.com", s.next))
	}
	url := postern.URL{Scheme: r.URL.Scheme, Host: host}
	return link.Bound{ID: id, Token: token, URL: url, PublicURL: url.String()}, nil
}

func (c *client) Unbind(_ context.Context, id string) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.unbinds = append(c.server.unbinds, id)
	return nil
}

func (c *client) Ping(ctx context.Context) (time.Duration, error) {
	c.mu.Lock()
	deaf := c.deaf
	c.pings++
	c.mu.Unlock()
	if deaf {
		select {
		case <-ctx.Done():
		case <-c.done:
		}
		return 0, postern.Errorf(postern.CodeLinkLost, "no answer")
	}
	return 5 * time.Millisecond, nil
}

func (c *client) pinged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pings
}

func (c *client) Draining() <-chan struct{} { return c.draining }
func (c *client) Done() <-chan struct{}     { return c.done }

func (c *client) Cause() *postern.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *client) Close(why *postern.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = why
		close(c.done)
	}
}

func (c *client) deafen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

// open sends a stream to the agent and returns the visitor's end.
func (c *client) open(id string) net.Conn {
	visitor, agent := testkit.Pipe()
	c.streams <- opened{
		link.Header{Endpoint: id, ClientAddr: netip.MustParseAddrPort("203.0.113.7:4711"), Scheme: postern.HTTPS},
		&stream{PipeConn: agent.(*testkit.PipeConn)},
	}
	return visitor
}

// stream is a pipe's end as a link.Stream.
type stream struct {
	*testkit.PipeConn
}

func (s *stream) Reset(*postern.Error) {
	_ = s.SetLinger(0)
	_ = s.Close()
}

// echo answers every stream with its own bytes, then ends it.
var echo = session.HandlerFunc(func(_ context.Context, _ link.Header, s link.Stream) {
	defer s.Close()
	_, _ = io.Copy(s, s)
})

// running is a Supervisor in the background.
type running struct {
	*session.Supervisor
	cancel context.CancelFunc
	done   chan error
}

func run(t *testing.T, c session.Config) *running {
	t.Helper()
	if c.Logger == nil {
		c.Logger = testkit.Logger(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{session.New(c), cancel, make(chan error, 1)}
	go func() { r.done <- r.Run(ctx) }()
	return r
}

// stop ends the agent and returns what Run did.
func (r *running) stop() error {
	r.cancel()
	return <-r.done
}

func webEndpoint(name string, h session.Handler) session.Endpoint {
	return session.Endpoint{
		Name:    name,
		Request: link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}},
		Address: "http://localhost:8080",
		Handler: h,
	}
}

// Interface guards.
var (
	_ session.Client = (*client)(nil)
	_ link.Stream    = (*stream)(nil)
)
