package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// What a stranger's TCP connection may take.
const (
	firstTime    = 5 * time.Second  // until its first question
	idleTime     = 10 * time.Second // between questions
	writeTime    = 5 * time.Second  // for one answer
	wholeTime    = time.Minute
	mostQueries  = 256
	mostConns    = 1024
	mostOfSource = 32 // of one network
)

// lingerTime is for how long a Server that is stopped still answers over connections that
// are open: what somebody has sent already would be lost else, as when another process
// takes the listener over. stopTime is for how long it then waits for answers under way.
const (
	lingerTime = 2 * time.Second
	stopTime   = 2 * time.Second
)

// mostQuestion is how long a message over UDP may be; what is longer is cut and not understood.
const mostQuestion = 4096

// receiveBuffer is asked of the kernel for a burst of questions.
const receiveBuffer = 1 << 20

// Config is what a Server needs. The zero value works, and refuses everybody.
type Config struct {
	Challenges Challenges // nil: none, ever

	// PerSecond is how many answers of one kind a network (/24, /56) gets over UDP each
	// second; it can be changed with SetLimit. 0: any number.
	PerSecond int

	Metrics prometheus.Registerer // nil: none
	Logger  *slog.Logger          // nil: no log
}

// Server answers. Make one with New; its methods may be called concurrently.
type Server struct {
	challenges Challenges
	zones      atomic.Pointer[Zones]
	perSecond  atomic.Int64
	limit      *limit
	began      time.Time
	metrics    *metrics
	log        *slog.Logger
}

// New makes a Server without zones.
func New(c Config) *Server {
	s := &Server{challenges: c.Challenges, limit: newLimit(), began: time.Now(), metrics: newMetrics(c.Metrics), log: c.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.SetLimit(c.PerSecond)
	s.SetZones(&Zones{})
	return s
}

// SetZones puts zones into force.
func (s *Server) SetZones(z *Zones) { s.zones.Store(z) }

// Zones gives those in force.
func (s *Server) Zones() *Zones { return s.zones.Load() }

// SetLimit changes Config.PerSecond.
func (s *Server) SetLimit(perSecond int) { s.perSecond.Store(int64(perSecond)) }

// Serve answers what comes to a socket and a listener until ctx ends, and closes both.
// nil after that; an error where one of the two failed.
func (s *Server) Serve(ctx context.Context, datagrams net.PacketConn, streams net.Listener) error {
	if socket, ok := datagrams.(*net.UDPConn); ok {
		_ = socket.SetReadBuffer(receiveBuffer) // as much as the system allows
	}
	over := []*half{
		newHalf(&miekg.Server{PacketConn: datagrams, Handler: s, MsgAcceptFunc: accept, UDPSize: mostQuestion}),
		newHalf(&miekg.Server{Listener: s.bounded(streams), Handler: s, MsgAcceptFunc: accept, ReadTimeout: firstTime,
			IdleTimeout: func() time.Duration { return idleTime }, MaxTCPQueries: mostQueries}),
	}
	for _, one := range over {
		one.begin()
	}
	select {
	case <-ctx.Done():
	case <-over[0].ended:
	case <-over[1].ended:
	}
	var failures []error
	for _, one := range over {
		one.stop(context.WithoutCancel(ctx))
		failures = append(failures, one.failure)
	}
	return errors.Join(failures...)
}

// half is the server of one transport.
type half struct {
	*miekg.Server
	started, ended chan struct{}
	stopping       atomic.Bool
	failure        error // once ended is closed
}

func newHalf(server *miekg.Server) *half {
	h := &half{Server: server, started: make(chan struct{}), ended: make(chan struct{})}
	server.NotifyStartedFunc = func() { close(h.started) }
	return h
}

// begin returns once the half serves, or has failed: before that it cannot be stopped.
func (h *half) begin() {
	go func() {
		defer close(h.ended)
		if err := h.ActivateAndServe(); err != nil && !h.stopping.Load() {
			h.failure = fmt.Errorf("answer DNS: %w", err)
		}
	}()
	select {
	case <-h.started:
	case <-h.ended:
	}
}

// stop takes nothing new, and returns when the half has ended.
func (h *half) stop(ctx context.Context) {
	h.stopping.Store(true)
	if h.Listener != nil {
		_ = h.Listener.Close() // where that fails the server is shut down all the same
		linger := time.NewTimer(lingerTime)
		defer linger.Stop()
		select {
		case <-h.ended:
		case <-linger.C:
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	_ = h.ShutdownContext(ctx) // one that has ended, or does not in time, is no failure
	<-h.ended
}

// accept looks at a message's header: a question and nothing but that is read further.
// What answers somebody is left alone, or two servers could talk to each other for ever.
func accept(h miekg.Header) miekg.MsgAcceptAction {
	const response, opcodes = 1 << 15, 0xF
	switch {
	case h.Bits&response != 0:
		return miekg.MsgIgnore
	case h.Bits>>11&opcodes != miekg.OpcodeQuery:
		return miekg.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount != 0 || h.Nscount > 1 || h.Arcount > 2: // IXFR has an authority, TSIG and OPT are additional
		return miekg.MsgReject
	}
	return miekg.MsgAccept
}

// ServeDNS implements miekg.Handler.
func (s *Server) ServeDNS(w miekg.ResponseWriter, query *miekg.Msg) {
	over := overUDP
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
		over = overTCP
	}
	reply := s.reply(query, over, remote(w.RemoteAddr()))
	if reply == nil {
		return
	}
	if err := w.WriteMsg(reply); err != nil {
		s.metrics.unsent.Inc()
	}
}

// reply makes the answer to what came from an address; nil for none.
func (s *Server) reply(query *miekg.Msg, over transport, from netip.Addr) (reply *miekg.Msg) {
	defer func() {
		if problem := recover(); problem != nil {
			s.log.Error("a panic while a DNS question was answered", "panic", fmt.Sprint(problem), "stack", string(debug.Stack()))
			reply = new(miekg.Msg)
			reply.SetRcode(query, miekg.RcodeServerFailure)
		}
	}()
	if len(query.Question) != 1 { // the header has one, and the message ended there
		s.metrics.count(over, miekg.RcodeFormatError)
		return new(miekg.Msg).SetRcodeFormatError(query)
	}
	reply, cost := answer(s.zones.Load(), s.challenges, query)
	if over == overUDP {
		switch s.limit.judge(from, cost, query.Question[0].Qtype, int(s.perSecond.Load()), time.Since(s.began)) {
		case drop:
			s.metrics.dropped.Inc()
			return nil
		case slip:
			s.metrics.slipped.Inc()
			reply.Answer, reply.Ns, reply.Truncated = nil, nil, true
		case send:
			reply.Truncate(sizeFor(query))
		}
	} else {
		reply.Truncate(miekg.MaxMsgSize)
	}
	reply.Compress = true // Truncate does without where it can; the fewer bytes for a forged question the better
	s.metrics.count(over, reply.Rcode)
	return reply
}

// sizeFor is how long an answer over UDP may be.
func sizeFor(query *miekg.Msg) int {
	opt := query.IsEdns0()
	if opt == nil {
		return plainSize
	}
	return max(plainSize, min(int(opt.UDPSize()), ednsSize))
}

func remote(addr net.Addr) netip.Addr {
	switch addr := addr.(type) {
	case *net.UDPAddr:
		return addr.AddrPort().Addr()
	case *net.TCPAddr:
		return addr.AddrPort().Addr()
	}
	return netip.Addr{}
}

// bounded bounds what strangers' connections take.
func (s *Server) bounded(ln net.Listener) net.Listener {
	return &boundedListener{Listener: ln, metrics: s.metrics, perNetwork: make(map[netip.Prefix]int)}
}

// boundedListener closes at once what is too many.
type boundedListener struct {
	net.Listener
	metrics *metrics

	mu         sync.Mutex
	open       int
	perNetwork map[netip.Prefix]int
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := network(remote(conn.RemoteAddr()))
		if !l.take(from) {
			l.metrics.turnedAway.Inc()
			_ = conn.Close()
			continue
		}
		return &boundedConn{Conn: conn, until: time.Now().Add(wholeTime), give: sync.OnceFunc(func() { l.give(from) })}, nil
	}
}

func (l *boundedListener) take(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= mostConns || l.perNetwork[from] >= mostOfSource {
		return false
	}
	l.open++
	l.perNetwork[from]++
	l.metrics.connections.Set(float64(l.open))
	return true
}

func (l *boundedListener) give(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.perNetwork[from]--; l.perNetwork[from] == 0 {
		delete(l.perNetwork, from)
	}
	l.metrics.connections.Set(float64(l.open))
}

// boundedConn has deadlines that no question puts off for ever.
type boundedConn struct {
	net.Conn
	until time.Time // its end, however busy it is
	give  func()
}

// SetReadDeadline implements net.Conn: not after the connection's end.
func (c *boundedConn) SetReadDeadline(at time.Time) error {
	if at.IsZero() || at.After(c.until) {
		at = c.until
	}
	return c.Conn.SetReadDeadline(at)
}

// Write implements net.Conn. Who does not read is not waited for.
func (c *boundedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.give()
	return c.Conn.Close()
}

var _ miekg.Handler = (*Server)(nil)
