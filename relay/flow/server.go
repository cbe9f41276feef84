package flow

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Server gives every source that sends to one UDP socket a flow of its own, and sends
// replies from that socket: to nobody but the source whose flow they came on, and from
// the address that it sent to.
type Server struct {
	conn   net.PacketConn
	socket socket
	config Config
	start  time.Time
	ctx    context.Context // of Serve
	queued atomic.Int64    // bytes of the buffers of all queues
	parts  sync.WaitGroup  // the flows' goroutines
	quiet  atomic.Int64    // for how long flows live on, since Retire was called; 0 before

	// Of the goroutine that receives.
	received time.Duration // when the batch came
	losses   losses
	handle   func(peer, []byte) // take, bound once
	woken    []*flow            // with something to write

	mu      sync.Mutex
	flows   map[peer]*flow
	origins map[netip.Prefix]*origin
	lists   [states]list
	opening int
	timer   *time.Timer   // of expire
	ticking bool          // the timer runs
	left    chan struct{} // closed when the last flow has left; nil where nobody waits
}

// NewServer takes a socket into use: it sets large buffers, and asks for the addresses
// that datagrams were sent to where the socket is bound to all of them. The socket stays
// the caller's to close, after Serve returned or to end it.
func NewServer(conn net.PacketConn, c Config) *Server {
	s := &Server{
		conn: conn, config: c.withDefaults(), start: time.Now(),
		flows: make(map[peer]*flow), origins: make(map[netip.Prefix]*origin),
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		enlarge(udp, socketBuffer)
	}
	s.socket = open(conn)
	s.losses = watch(s.socket)
	s.handle = s.take
	for i := range s.lists {
		s.lists[i].place = byAge
	}
	return s
}

// Counters are those of the Config, or the Server's own.
func (s *Server) Counters() *Counters { return s.config.Counters }

// Flows is how many flows there are, those that are not heard included.
func (s *Server) Flows() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flows)
}

// Serve relays until ctx ends or the socket is closed, which is no error. When it
// returns, all flows have ended and nothing of the Server runs any longer. It is called
// once.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ctx = ctx
	s.mu.Lock()
	s.timer = time.AfterFunc(time.Hour, s.expire)
	s.timer.Stop()
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := s.receive(ctx)
	if grace := time.Duration(s.quiet.Load()); grace > 0 {
		s.waitForFlows(ctx, grace)
	}
	cancel()
	s.End(func(netip.AddrPort, net.Conn) bool { return true })
	s.parts.Wait()
	s.timer.Stop()
	s.forget()
	return err
}

// Retire has the Server receive nothing more, as when another process has the socket too
// and does that from now on. Flows live on until they end, for the time given at most,
// and then Serve returns.
func (s *Server) Retire(grace time.Duration) {
	s.quiet.Store(int64(max(grace, 1)))
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// waitForFlows waits until no flow is left, grace has passed or ctx ends.
func (s *Server) waitForFlows(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	s.mu.Lock()
	if len(s.flows) == 0 {
		s.mu.Unlock()
		return
	}
	left := make(chan struct{})
	s.left = left
	s.mu.Unlock()
	select {
	case <-left:
	case <-ctx.Done():
	}
}

// failures is how often receiving may fail in a row without the socket being given up:
// some systems report on a listening socket what became of replies.
const failures = 64

func (s *Server) receive(ctx context.Context) error {
	defer func() { s.losses.count(s.config.Counters, 0, true) }()
	for failed := 0; ; {
		err := s.socket.receive(s.handle)
		s.wake()
		s.losses.count(s.config.Counters, s.received, false)
		switch {
		case err == nil:
			failed = 0
		case ctx.Err() != nil, s.quiet.Load() > 0, errors.Is(err, net.ErrClosed):
			return nil
		case unreachable(err):
			s.config.Counters.drop(DropUnreachable, 1)
		default:
			if failed++; failed == failures {
				return err
			}
		}
		s.received = 0
	}
}

// take is one datagram that came.
func (s *Server) take(from peer, payload []byte) {
	if s.received == 0 {
		s.received = s.now()
	}
	s.config.Counters.came(1, len(payload))
	if len(payload) > MaxDatagram { // over IPv6 there may be 20 bytes more
		s.config.Counters.drop(DropSend, 1)
		return
	}
	f, isNew, why, victim := s.find(from, s.received)
	if victim != nil {
		victim.finish(Evicted, nil)
	}
	switch {
	case f == nil:
		s.config.Counters.drop(why, 1)
	case isNew:
		f.datagramsIn.Add(1)
		f.bytesIn.Add(int64(len(payload)))
		s.parts.Add(1)
		go f.open(s.begin(f), Append(take(lengthSize+len(payload)), payload))
	case f.push(payload):
		s.woken = append(s.woken, f)
	}
}

// wake starts the writers of the flows that the batch was for, once all of it is queued.
func (s *Server) wake() {
	for i, f := range s.woken {
		s.parts.Add(1)
		go f.work()
		s.woken[i] = nil
	}
	s.woken = s.woken[:0]
}

// forget drops the flows that were refused.
func (s *Server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := s.lists[refused].oldest; f != nil; f = s.lists[refused].oldest {
		s.leave(f)
	}
}

// End ends the flows that match, as when the endpoint is gone that they were for. The
// stream is nil for one that is being opened. match is called under the Server's lock:
// it must not block.
func (s *Server) End(match func(source netip.AddrPort, stream net.Conn) bool) {
	var over []*flow
	s.mu.Lock()
	for _, f := range s.flows {
		if f.state != refused && match(f.peer.remote, f.stream) {
			over = append(over, f)
		}
	}
	for _, f := range over {
		s.leave(f)
	}
	s.mu.Unlock()
	for _, f := range over {
		f.finish(Closed, nil)
	}
}

func (s *Server) now() time.Duration { return time.Since(s.start) }
