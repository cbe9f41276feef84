package sshr

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// mostStreams is how many channels a session may have: the client has a descriptor
	// for each, of which it mostly may have 1024.
	mostStreams = 1000
	// partingTime is how long a session that ends has to show why.
	partingTime = 300 * time.Millisecond
)

// session is one client's connection.
type session struct {
	server *Server
	conn   *ssh.ServerConn
	guard  *guard
	from   netip.AddrPort
	beats  beats
	slots  chan struct{} // one for each channel
	work   sync.WaitGroup
	done   chan struct{}
	welcome
	choice

	mu           sync.Mutex
	forwards     map[string]*forward // by bind id
	places       map[place]*forward  // by what the client asked for
	screenPlaces int                 // session channels
	asked        int                 // remote forwards so far
	screens      map[*screen]struct{}
	streams      map[*stream]struct{}
	draining     bool
	cause        *postern.Error // why the session ends; nil while it lives
}

var (
	_ link.Session = (*session)(nil)
	_ link.Teller  = (*session)(nil)
	_ carrier      = (*session)(nil)
)

func newSession(v *Server, conn *ssh.ServerConn, g *guard, from netip.AddrPort) *session {
	return &session{
		server: v, conn: conn, guard: g, from: from, beats: beats{conn: conn},
		slots: make(chan struct{}, mostStreams), done: make(chan struct{}), choice: newChoice(),
		forwards: make(map[string]*forward), places: make(map[place]*forward),
		screens: make(map[*screen]struct{}), streams: make(map[*stream]struct{}),
	}
}

// Open implements link.Opener. The client hears of the stream at once; what is written
// waits until it has accepted.
func (s *session) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	f, err := s.forwardOf(ctx, h.Endpoint)
	if err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.done:
		return nil, s.Cause()
	case <-ctx.Done():
		return nil, postern.Errorf(postern.CodeStreamLimit, "the SSH client has %d connections open, as many as it may", mostStreams).Because(ctx.Err())
	}
	st := newStream(s, s.conn.LocalAddr(), visitorAddr(h.ClientAddr), first)
	if err := s.begin(st); err != nil {
		<-s.slots
		return nil, err
	}
	request := ssh.Marshal(forwarded{f.asked.address, f.asked.port, h.ClientAddr.Addr().String(), uint32(h.ClientAddr.Port())})
	go st.run(func() (ssh.Channel, <-chan *ssh.Request, error) {
		return s.conn.OpenChannel("forwarded-tcpip", request)
	})
	return st, nil
}

// forwarded is what the client is told of a visitor (RFC 4254 §7.2).
type forwarded struct {
	Address string
	Port    uint32
	Origin  string
	From    uint32
}

func visitorAddr(at netip.AddrPort) net.Addr { return net.TCPAddrFromAddrPort(at) }

// begin adds a stream, unless the session takes none.
func (s *session) begin(st *stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cause != nil:
		return s.cause
	case s.draining:
		return postern.Errorf(postern.CodeLinkDraining, "the session takes no new streams")
	}
	s.streams[st] = struct{}{}
	s.work.Add(1)
	return nil
}

// over implements carrier.
func (s *session) over(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
}

// left implements carrier.
func (s *session) left(st *stream) {
	s.over(st)
	<-s.slots
	s.work.Done()
}

// confirm implements carrier.
func (s *session) confirm() *postern.Error {
	ctx, cancel := context.WithTimeout(context.Background(), quietTime+answerTime)
	defer cancel()
	if _, err := s.beats.ping(ctx); err != nil {
		return postern.AsError(err)
	}
	return nil
}

// RemoteAddr implements link.Session.
func (s *session) RemoteAddr() netip.AddrPort { return s.from }

// Transport implements link.Session.
func (s *session) Transport() string { return Transport }

// Ping implements link.Session.
func (s *session) Ping(ctx context.Context) (time.Duration, error) { return s.beats.ping(ctx) }

// Command implements link.Session: SSH clients do what their users say.
func (s *session) Command(_ context.Context, c link.Command) error {
	switch c.Action {
	case link.Restart:
		return postern.Errorf(postern.CodeRestartUnsupported, "this is an SSH client, which cannot be restarted from here; restart it where it runs")
	case link.Stop:
		return postern.Errorf(postern.CodeStopUnsupported, "this is an SSH client, which cannot be stopped from here; stop it where it runs, or delete its SSH credential")
	case link.Update:
		return postern.Errorf(postern.CodeUpdateUnsupported, "this is an SSH client, which its operating system updates")
	}
	return postern.Errorf(postern.CodeCommandFailed, "there is no command %.40q", c.Action)
}

// StopEndpoint implements link.Session. SSH has no word for it; people are shown one.
func (s *session) StopEndpoint(_ context.Context, id string, why *postern.Error) error {
	if f := s.forget(id); f != nil && why != nil {
		s.show(append([]string{"Ended       " + f.bound.PublicURL}, problemLines(why)...)...)
	}
	return nil
}

// Tell implements link.Teller.
func (s *session) Tell(word *postern.Error) { s.show(problemLines(word)...) }

// Drain implements link.Session.
func (s *session) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Streams implements link.Session.
func (s *session) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Done implements link.Session.
func (s *session) Done() <-chan struct{} { return s.done }

// Cause implements link.Session.
func (s *session) Cause() *postern.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Close implements link.Session.
func (s *session) Close(why *postern.Error) {
	if why == nil {
		why = &postern.Error{Code: postern.CodeLinkLost}
	}
	screens, first := s.cut(why)
	if !first {
		return
	}
	if len(screens) == 0 {
		_ = s.conn.Close()
		return
	}
	for _, one := range screens {
		one.end(statusEnded, problemLines(why)...)
	}
	time.AfterFunc(partingTime, func() { _ = s.conn.Close() })
}

// cut ends every stream, and gives the screens that may be told. Only the first counts.
func (s *session) cut(why *postern.Error) (screens []*screen, first bool) {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		return nil, false
	}
	s.cause = why
	var streams []*stream
	for st := range s.streams {
		streams = append(streams, st)
	}
	for one := range s.screens {
		screens = append(screens, one)
	}
	s.mu.Unlock()
	for _, st := range streams {
		st.fail(why)
	}
	return screens, true
}
