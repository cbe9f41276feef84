package edge_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// owner picks members as a pool does, in turn.
type owner struct {
	members []*member
	turn    atomic.Int64
}

func (o *owner) Pick(skip func(route.Member) bool) (route.Member, error) {
	start := int(o.turn.Add(1))
	for i := range o.members {
		m := o.members[(start+i)%len(o.members)]
		if skip == nil || !skip(m) {
			return m, nil
		}
	}
	return nil, &postern.Error{Code: postern.CodeEndpointOffline}
}

// member opens streams by dialling a service on loopback, as an agent would.
type member struct {
	id      postern.EndpointID
	addr    string
	options postern.EndpointOptions
	wire    string
	meter   *quota.Meter
	policy  *policy.Program
	refuse  error // what Open fails with
	limit   int64 // streams at once; 0 is any number
	done    chan struct{}
	once    sync.Once

	opened  atomic.Int64
	streams *atomic.Int64 // open now; of a whole session
	busy    atomic.Int64
	waits   atomic.Int64  // writes of unread streams that wait
	resumed chan struct{} // closed by resume: unread streams take what comes
	resume  sync.Once
	bad     atomic.Int64
	mu      sync.Mutex
	headers []link.Header
}

var members atomic.Int64

func newMember(addr string) *member {
	return &member{
		id:   postern.EndpointID("ep_" + time.Now().Format("150405") + string(rune('a'+members.Add(1)%26)) + randomText()),
		addr: addr, wire: "postern/1", done: make(chan struct{}), resumed: make(chan struct{}), streams: new(atomic.Int64),
	}
}

func randomText() string { return strings.ToLower(rand.Text()[:8]) }

func (m *member) ID() postern.EndpointID           { return m.id }
func (m *member) Options() postern.EndpointOptions { return m.options }
func (m *member) Meter() *quota.Meter              { return m.meter }
func (m *member) Done() <-chan struct{}            { return m.done }
func (m *member) Policy() *policy.Program          { return m.policy }
func (m *member) Transport() string                { return m.wire }
func (m *member) stop()                            { m.once.Do(func() { close(m.done) }) }

func (m *member) Begin() func(bool) {
	m.busy.Add(1)
	return func(ok bool) {
		m.busy.Add(-1)
		if !ok {
			m.bad.Add(1)
		}
	}
}

func (m *member) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	if m.refuse != nil {
		return nil, m.refuse
	}
	for m.limit > 0 && m.streams.Load() >= m.limit {
		select {
		case <-ctx.Done():
			return nil, &postern.Error{Code: postern.CodeStreamLimit}
		case <-time.After(time.Millisecond):
		}
	}
	m.streams.Add(1)
	m.opened.Add(1)
	m.mu.Lock()
	m.headers = append(m.headers, h)
	m.mu.Unlock()
	if m.addr == "" {
		return newUnread(m, len(first) > 0), nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.addr)
	if err != nil && ctx.Err() != nil { // net/http wants the stream no more
		return nil, &postern.Error{Code: postern.CodeStreamLimit}
	}
	if err != nil {
		// What an agent answers when its service does not.
		return &unreachable{}, nil
	}
	if _, err := conn.Write(first); err != nil {
		return nil, &postern.Error{Code: postern.CodeLinkLost}
	}
	return &stream{TCPConn: conn.(*net.TCPConn), member: m}, nil
}

func (m *member) header(i int) link.Header {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.headers[i]
}

// stream is a link.Stream over TCP: resets travel as RST.
type stream struct {
	*net.TCPConn
	member *member
	once   sync.Once
	ahead  *ahead // nil for nothing
}

func (s *stream) Close() error {
	s.once.Do(func() { s.member.streams.Add(-1) })
	return s.TCPConn.Close()
}

func (s *stream) Read(b []byte) (int, error) {
	if s.ahead != nil && (len(s.ahead.b) == 0 || len(b) > 0) {
		n, err := copy(b, s.ahead.b), s.ahead.err
		s.ahead = nil
		return n, err
	}
	n, err := s.TCPConn.Read(b)
	if errors.Is(err, syscall.ECONNRESET) {
		err = (&postern.Error{Code: postern.CodeStreamReset}).Because(err)
	}
	return n, err
}

// Readable tells whether bytes or the end have come, as a mux.Stream does. What it
// has to read for that, Read gives out.
func (s *stream) Readable() bool {
	if s.ahead != nil {
		return true
	}
	_ = s.SetReadDeadline(time.Now().Add(200 * time.Microsecond))
	var b [1]byte
	n, err := s.TCPConn.Read(b[:])
	_ = s.SetReadDeadline(time.Time{})
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.ahead = &ahead{b: b[:n], err: err}
	return true
}

// ahead is what was read before it was asked for.
type ahead struct {
	b   []byte
	err error
}

func (s *stream) Reset(*postern.Error) {
	_ = s.SetLinger(0)
	_ = s.Close()
}

// unreachable is a stream that the agent ends at once.
type unreachable struct{ stream }

func (*unreachable) Read([]byte) (int, error) {
	return 0, postern.Errorf(postern.CodeUpstreamUnreachable, "dial tcp 10.1.2.3:99: connection refused")
}
func (*unreachable) Write(b []byte) (int, error)      { return len(b), nil }
func (*unreachable) Close() error                     { return nil }
func (*unreachable) CloseWrite() error                { return nil }
func (*unreachable) Reset(*postern.Error)             {}
func (*unreachable) SetDeadline(time.Time) error      { return nil }
func (*unreachable) SetReadDeadline(time.Time) error  { return nil }
func (*unreachable) SetWriteDeadline(time.Time) error { return nil }

// Guards: the fakes have the real contracts.
var (
	_ route.Member = (*member)(nil)
	_ route.Owner  = (*owner)(nil)
	_ link.Stream  = (*stream)(nil)
	_ link.Stream  = (*unreachable)(nil)
)
