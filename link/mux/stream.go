package mux

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

var (
	_ link.Stream   = (*Stream)(nil)
	_ link.Readable = (*Stream)(nil)
	_ link.Awaiter  = (*Stream)(nil)
)

// typeSize is the bytes that say a stream's type, the first of its payload.
const typeSize = 4

// role says who a stream's bytes are for.
type role uint8

const (
	roleUser    role = iota
	roleUntyped      // the peer's, its type has not arrived
	roleEcho         // the peer's heartbeat: we echo
	rolePing         // our heartbeat
)

// Stream is one stream of a session, a link.Stream. Read and Write may be used by
// one goroutine each at a time, everything else from anywhere at any time.
type Stream struct {
	session    *Session
	budget     *Budget
	id         uint32
	streamType uint32

	// Of the session's writing side; guarded by session.wmu.
	writable   sync.Cond // window, room, deadline or end
	sendWindow int64
	pending    []byte // of the Write that waits
	writeErr   error
	writeUntil time.Time
	writeTimer *time.Timer
	writing    bool   // a Write is under way
	queued     bool   // in a ring of the output
	yields     bool   // the Write under way is to return
	shareEpoch uint32 // the batch that shareBytes belongs to
	shareBytes int32
	nextQueued *Stream
	waiters    int // for the Write that is under way

	// Of the receiving side; guarded by rmu.
	rmu          sync.Mutex
	readable     sync.Cond
	segments     []segment
	firstSegment int       // the segments before it are read
	unread       int       // bytes in segments
	target       []byte    // of a Read that waits: filled without a buffer between
	filled       int       // bytes put into target
	waiting      int       // reads that wait
	credit       int64     // bytes that the peer may still send
	window       int64     // credit that a stream without unread bytes should have
	overdrawn    int64     // credit given before the window shrank, negative
	measured     time.Time // since when drained is counted; zero: anew at the next credit
	drained      int64     // bytes read meanwhile
	settled      bool      // no more credit is given
	readErr      error
	readUntil    time.Time
	readTimer    *time.Timer
	wake         func()       // of AwaitReadable
	held         atomic.Int64 // memory of segments

	// Of the session's set of streams; guarded by session.smu.
	role          role
	gone          bool // from the set
	accepted      bool // the peer's application has it (or it is the peer's)
	localEnd      bool // our FIN was sent
	peerEnd       bool // the peer's FIN came
	expiry        *expiries
	expires       time.Time
	before, after *Stream

	// The reader's alone.
	alive     bool           // a frame of it has come
	typeBytes uint8          // of the type and the head that have come
	head      [headSize]byte // of a stream that goes aside

	refused     atomic.Bool
	movedTo     atomic.Uint64 // 1<<32 | connection, once the peer has moved its direction
	outstanding atomic.Int64  // bytes sent that the peer has not read, as far as it says
}

func newStream(s *Session, id uint32) *Stream {
	st := &Stream{session: s, budget: s.budget.Load(), id: id, sendWindow: int64(s.config.Window), credit: int64(s.config.Window), window: int64(s.config.Window)}
	st.writable.L = &s.wmu
	st.readable.L = &st.rmu
	return st
}

// ID is the stream's number on the wire, for logs.
func (st *Stream) ID() uint32 { return st.id }

// LocalAddr is the connection's.
func (st *Stream) LocalAddr() net.Addr { return st.session.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (st *Stream) RemoteAddr() net.Addr { return st.session.conn.RemoteAddr() }

// Refused tells, after the stream has failed, whether the peer's accept queue was
// full: nothing was consumed, and what was sent may be sent again on a new stream.
func (st *Stream) Refused() bool { return st.refused.Load() }

// SetDeadline sets both deadlines.
func (st *Stream) SetDeadline(t time.Time) error {
	_ = st.SetReadDeadline(t)
	return st.SetWriteDeadline(t)
}

// SetReadDeadline sets the time after which Read fails with
// os.ErrDeadlineExceeded, a pending one included; zero is never.
func (st *Stream) SetReadDeadline(t time.Time) error {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	st.readUntil = t
	if st.target != nil {
		st.readable.Broadcast()
	}
	return nil
}

// SetWriteDeadline sets the time after which Write fails with
// os.ErrDeadlineExceeded, a pending one included; zero is never. A Write without a
// deadline, or one further away than the session's tolerance, is the cheapest: it
// may write to the connection itself. Should the connection stall just then, only
// the session's end frees it.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	s := st.session
	s.wmu.Lock()
	defer s.wmu.Unlock()
	st.writeUntil = t
	if st.writing {
		st.writable.Broadcast()
	}
	return nil
}

// Close ends both directions: the far side reads io.EOF after what was written,
// and what it sends from now on is answered with a reset. It does not wait for the
// far side.
func (st *Stream) Close() error {
	st.rmu.Lock()
	again, finished := st.readErr == net.ErrClosed, st.readErr == io.EOF
	st.shut(net.ErrClosed)
	st.rmu.Unlock()
	if again {
		return nil
	}
	s := st.session
	s.wmu.Lock()
	_ = st.finish(net.ErrClosed) // a Write that waits fails, what it gave away is sent
	if !finished {
		s.awaitPeer(st)
	}
	return nil
}

// Reset ends both directions abnormally: the far side's calls fail, with why as
// far as the wire carries it, and so do ours.
func (st *Stream) Reset(why *postern.Error) {
	if why == nil {
		why = postern.Errorf(postern.CodeStreamReset, "The stream was reset.")
	}
	st.session.reset(st, muxCodeOf(why), why)
}

// fail gives both directions an error, the first that comes. Unless drop is set,
// received bytes and a finished direction stay readable. It reports whether the
// stream was still in use.
func (st *Stream) fail(why *postern.Error, drop bool) bool {
	s := st.session
	s.wmu.Lock()
	wrote := st.writeErr == nil
	if wrote {
		st.writeErr = why
	}
	st.writable.Broadcast()
	s.wmu.Unlock()

	st.rmu.Lock()
	defer st.rmu.Unlock()
	open := st.readErr == nil
	switch {
	case drop && (open || st.readErr == io.EOF):
		st.shut(why)
	case open:
		st.readErr = why
		st.noteReadable()
	}
	return wrote || open
}

// finished tells whether the peer has ended its direction in order.
func (st *Stream) finished() bool {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	return st.readErr == io.EOF
}
