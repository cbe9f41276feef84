package mux

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

// How long an end in order may take: the last write, and the peer's reading of it.
const (
	lastWrite  = time.Second
	lingerRead = time.Second
)

// Session is many streams over one connection, which it owns. All methods may be
// called from anywhere at any time.
//
// Lock order: wmu, then smu; a stream's rmu is taken with neither of them held.
type Session struct {
	config Config
	conn   net.Conn
	wire   wire   // below conn; nil where nothing gathers
	in     *input // the reader's alone
	start  time.Time

	// wmu guards the writing side: out, and each stream's send window and pending
	// bytes.
	wmu      sync.Mutex
	out      output
	writeErr error // of the connection; nothing is written after it
	dead     bool  // the session has ended
	keeper   keeper
	idle     *sync.Cond // on wmu: nobody writes any more, after the end
	roomy    *sync.Cond // on wmu: a batch was taken, opens that waited may go on
	nextID   uint32
	pinger   pinger

	// smu guards the set of streams and what limits it.
	smu         sync.Mutex
	streams     map[uint32]*Stream
	limits      Limits
	ours        int // of streams
	peers       int // of streams
	internal    int // of streams: heartbeats
	unaccepted  int // of ours
	undelivered int // of the peer's: not yet returned by Accept
	opens       openQueue
	untyped     expiries // the peer's streams that have not said their type
	closing     expiries // closed here, not yet by the peer
	draining    bool     // we said or were told that no more streams are opened
	nextTick    time.Time

	lastPeer uint32 // the highest id of the peer's streams
	resets   recentIDs

	incoming   queue                 // of smu
	aside      atomic.Pointer[aside] // nil until SetAside
	done       <-chan struct{}       // the session has ended
	life       context.Context       // ends with done
	endLife    context.CancelFunc
	closed     chan struct{} // the connection is closed, nothing of ours runs any more
	readerDone chan struct{}
	peerDrains chan struct{} // closed by the reader alone
	drainOnce  sync.Once
	timer      *time.Timer

	endOnce sync.Once
	cause   *postern.Error // valid once done is closed
	goAway  muxCode
	abrupt  bool // the connection is of no more use: no goodbye

	budget   atomic.Pointer[Budget] // of limits.Buffered bytes, for new streams
	inFlight atomic.Int64           // bytes sent and not yet read
	moves    atomic.Bool            // the peer may move streams
	windowOf atomic.Int64           // Config.MaxWindow, until SetMaxWindow
	heard    atomic.Int64           // when bytes last arrived, after start
	rtt      atomic.Int64           // smoothed
	rttLeast atomic.Int64           // of the recent ones
}

// New starts a session on conn and takes it over; it ends with Close, with the
// peer's end, or with the connection.
func New(conn net.Conn, c Config) *Session {
	c = c.withDefaults()
	s := &Session{
		config:     c,
		conn:       conn,
		wire:       wireBelow(conn),
		start:      time.Now(),
		streams:    make(map[uint32]*Stream),
		limits:     c.Limits,
		incoming:   newQueue(),
		keeper:     keeper{kicked: make(chan struct{}, 1)},
		closed:     make(chan struct{}),
		readerDone: make(chan struct{}),
		peerDrains: make(chan struct{}),
		nextID:     2,
	}
	s.life, s.endLife = context.WithCancel(context.Background())
	s.done = s.life.Done()
	if c.Client {
		s.nextID = 3
	}
	s.idle, s.roomy = sync.NewCond(&s.wmu), sync.NewCond(&s.wmu)
	s.setBudget(c.Budget)
	c.Budget.limit.Store(c.Limits.Buffered)
	s.windowOf.Store(int64(c.MaxWindow))
	s.out.hold.unsent = limitUnsent(conn)
	s.in = newInput(conn, s.noteHeard)
	s.startTimer()
	go s.read()
	return s
}

// noteHeard keeps when bytes last came, and gives the time since those before. The
// reader calls it.
func (s *Session) noteHeard() (quiet time.Duration) {
	now := time.Since(s.start)
	return now - time.Duration(s.heard.Swap(int64(now)))
}

// Accept blocks for the next stream of the peer and gives the type that it opened
// the stream with. Heartbeat streams are answered inside and never returned. After
// the session ended it returns Cause.
func (s *Session) Accept(ctx context.Context) (streamType uint32, st *Stream, err error) {
	for {
		select {
		case <-s.done:
			return 0, nil, s.cause
		default:
		}
		var gone bool
		s.smu.Lock()
		if st = s.incoming.pop(); st != nil {
			s.undelivered--
			gone = st.gone
		}
		s.smu.Unlock()
		switch {
		case st == nil:
			select {
			case <-s.incoming.arrived:
			case <-s.done:
			case <-ctx.Done():
				return 0, nil, ctx.Err()
			}
		case !gone || st.finished():
			return st.streamType, st, nil
			// Else the peer reset it while it waited: nobody needs to see it.
		}
	}
}

// SetLimits replaces the limits. Lower ones do not end streams that are open.
func (s *Session) SetLimits(l Limits) {
	l = l.withDefaults()
	s.budget.Load().limit.Store(l.Buffered)
	s.smu.Lock()
	s.limits = l
	s.grantOpens()
	s.smu.Unlock()
	s.beatSoon()
}

// Streams counts the streams that are open now, heartbeats excluded.
func (s *Session) Streams() int {
	s.smu.Lock()
	defer s.smu.Unlock()
	return len(s.streams) - s.internal
}

// Crowded tells whether bulk has to wait on this connection.
func (s *Session) Crowded() bool { return s.out.hold.on.Load() }

// LocalAddr is the connection's.
func (s *Session) LocalAddr() net.Addr { return s.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (s *Session) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// Drain lets the session run out: Open fails with CodeLinkDraining from now on,
// and streams that are open live on. With RichResets the peer is told to open no
// more either; a muxado peer would end the session and is told nothing.
func (s *Session) Drain() {
	s.drainOnce.Do(func() {
		s.stopOpens()
		s.AskToMove()
	})
}

// AskToMove asks the peer, as Drain does, to go over to another session, and goes on
// opening streams meanwhile. Without RichResets it does nothing.
func (s *Session) AskToMove() {
	if !s.config.RichResets {
		return
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if !s.dead {
		s.out.putGoAway(maxStream, codeNone, &postern.Error{Code: postern.CodeLinkDraining})
		s.kick()
	}
}

// Draining is closed once the peer has asked, with Drain, for its streams over
// another session.
func (s *Session) Draining() <-chan struct{} { return s.peerDrains }

// Close ends the session and every stream. With RichResets the peer learns why;
// nil is a plain end. What Write has taken is still sent if the peer reads on.
// Only the first Close counts. It does not wait: see Closed.
func (s *Session) Close(why *postern.Error) {
	code := codeNone
	if why == nil {
		why = postern.Errorf(postern.CodeLinkLost, "The session was closed.")
	} else {
		code = muxCodeOf(why)
	}
	s.end(why, code)
}

// Done is closed once the session has ended, for whatever reason.
func (s *Session) Done() <-chan struct{} { return s.done }

// AfterDone runs f on a goroutine of its own once the session has ended, at once if
// it has; stop takes that back. It costs no goroutine meanwhile.
func (s *Session) AfterDone(f func()) (stop func() bool) { return context.AfterFunc(s.life, f) }

// Closed is closed a moment after Done: goodbye has been said and the connection
// is closed.
func (s *Session) Closed() <-chan struct{} { return s.closed }

// Cause says why the session ended; nil before that.
func (s *Session) Cause() *postern.Error {
	select {
	case <-s.done:
		return s.cause
	default:
		return nil
	}
}

// end ends the session with a goodbye. No lock may be held.
func (s *Session) end(why *postern.Error, code muxCode) { s.die(why, code, false) }

// lost ends a session whose connection failed.
func (s *Session) lost(doing string, err error) {
	why := postern.Errorf(postern.CodeLinkLost, "The connection failed.")
	s.die(why.Because(fmt.Errorf("mux: %s: %w", doing, err)), codeNone, true)
}

func (s *Session) die(why *postern.Error, code muxCode, abrupt bool) {
	s.endOnce.Do(func() {
		s.wmu.Lock()
		s.cause, s.goAway, s.abrupt, s.dead = why, code, abrupt, true
		wait := lastWrite
		if abrupt {
			wait = 0
		}
		// Also frees a writer that a stalled connection holds.
		_ = s.conn.SetWriteDeadline(time.Now().Add(wait))
		s.roomy.Broadcast()
		s.wmu.Unlock()

		s.endLife()
		go s.finish()
		s.config.Logger.DebugContext(context.Background(), "mux session ended", "cause", why, "after", time.Since(s.start))
		s.failStreams(why)
		s.budget.Load().leave(s)
	})
}

// failStreams gives every stream the end of the session as its error.
func (s *Session) failStreams(why *postern.Error) {
	failure := sessionError(why)
	s.smu.Lock()
	s.draining = true
	s.opens.grantAll() // they find the session dead
	streams := make([]*Stream, 0, len(s.streams))
	for _, st := range s.streams {
		streams = append(streams, st)
	}
	s.smu.Unlock()
	for _, st := range streams {
		st.fail(failure, false)
		s.remove(st)
	}
}

// sessionError is what streams and Open report after the session's end.
func sessionError(why *postern.Error) *postern.Error {
	if why.Code == postern.CodeLinkLost {
		return why
	}
	return postern.Errorf(postern.CodeLinkLost, "The session ended: %s", why.Text()).Because(why)
}

// lastWords is the text of the last GOAWAY. A muxado peer logs it: it gets the
// message without our code.
func (s *Session) lastWords() *postern.Error {
	if s.goAway == codeNone {
		return nil
	}
	return s.cause
}

// lastAdmitted is the highest id of the peer's streams.
func (s *Session) lastAdmitted() uint32 {
	s.smu.Lock()
	defer s.smu.Unlock()
	return s.lastPeer
}

// recovered ends the session after a panic in one of its goroutines: the process
// and every other session live on.
func (s *Session) recovered(where string) {
	if r := recover(); r != nil {
		s.config.Logger.ErrorContext(context.Background(), "panic in a mux session", "where", where, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		s.die(postern.Errorf(postern.CodeInternal, "The session failed inside."), codeInternal, true)
	}
}
