package cluster_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// session is a link.Session that remembers the headers of what it opened.
type session struct {
	mu     sync.Mutex
	opened []link.Header
	done   chan struct{}
	once   sync.Once
}

// newSession ends with its test.
func newSession(t testing.TB) *session {
	s := &session{done: make(chan struct{})}
	t.Cleanup(s.end)
	return s
}

func (s *session) end() { s.once.Do(func() { close(s.done) }) }

type stream struct{ net.Conn }

func (stream) CloseWrite() error    { return nil }
func (stream) Reset(*postern.Error) {}

func (s *session) Open(_ context.Context, h link.Header, _ []byte) (link.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, h)
	return stream{}, nil
}

func (s *session) RemoteAddr() netip.AddrPort                                 { return netip.AddrPort{} }
func (s *session) Transport() string                                          { return "test" }
func (s *session) Ping(context.Context) (time.Duration, error)                { return 0, nil }
func (s *session) Command(context.Context, link.Command) error                { return nil }
func (s *session) StopEndpoint(context.Context, string, *postern.Error) error { return nil }
func (s *session) Drain()                                                     {}
func (s *session) Close(*postern.Error)                                       { s.end() }
func (s *session) Done() <-chan struct{}                                      { return s.done }
func (s *session) Cause() *postern.Error                                      { return nil }
func (s *session) Streams() int                                               { return 0 }

var _ link.Session = (*session)(nil)

// live makes an endpoint with an id of its own; change may be nil.
func live(id int, url postern.URL, s link.Session, change func(*postern.Endpoint)) cluster.Live {
	e := postern.Endpoint{ID: postern.EndpointID(fmt.Sprintf("ep_%04d", id)), URL: url, Account: "ac_1", Pooling: true}
	if change != nil {
		change(&e)
	}
	return cluster.Live{Endpoint: e, BindID: fmt.Sprintf("bind-%d", id), Session: s}
}

func https(host postern.Hostname) postern.URL { return postern.URL{Scheme: postern.HTTPS, Host: host} }

func register(t testing.TB, l *cluster.Local, live cluster.Live) (release func()) {
	t.Helper()
	release, err := l.Register(live)
	if err != nil {
		t.Fatal(err)
	}
	return release
}
