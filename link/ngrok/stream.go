package ngrok

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
)

const (
	// window is how much can leave on a stream before the agent has accepted it:
	// muxado's initial window. A byte beyond it needs a window update, which only
	// an agent that reads the stream sends. So no more than this is ever kept.
	window = 256 << 10

	// typeSize is the stream's type, which counts against the window.
	typeSize = 4

	// reopenings bounds how often a refused stream is tried again, over half a
	// second in all.
	reopenings    = 6
	firstBackoff  = 10 * time.Millisecond
	reopenTimeout = 5 * time.Second
)

// stream is one visitor's connection that survives a refusal. The agent refuses a
// stream when its accept queue is full; it has consumed nothing of it then, so
// the same bytes may be sent on a fresh stream. They are kept until something
// shows that the agent has accepted: it sent data, or it opened the window.
type stream struct {
	session    *mux.Session
	streamType uint32
	life       context.Context // ends with Close and Reset
	end        context.CancelFunc

	mu          sync.Mutex
	current     *mux.Stream
	generation  int           // counts reopenings
	moving      chan struct{} // closed when the reopening under way is over; nil: none
	stopMoving  context.CancelFunc
	kept        []byte // sent on current behind the type; nil once accepted
	accepted    bool
	writeClosed bool
	readBy      time.Time
	writeBy     time.Time
}

var (
	_ link.Stream   = (*stream)(nil)
	_ link.Readable = (*stream)(nil)
)

func newStream(session *mux.Session, opened *mux.Stream, streamType uint32, first []byte) *stream {
	s := &stream{session: session, current: opened, streamType: streamType, kept: first}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	for {
		current, generation := s.settled()
		n, err := current.Read(p)
		if n > 0 || err == nil || err == io.EOF {
			s.prove(generation)
			return n, err
		}
		if !current.Refused() {
			return n, err
		}
		if failed := s.reopen(generation, err, &s.readBy); failed != nil {
			return 0, failed
		}
	}
}

// Write implements net.Conn.
func (s *stream) Write(p []byte) (int, error) {
	total := 0
	for {
		current, generation, kept := s.keep(p)
		n, err := current.Write(p)
		if err == nil {
			return total + n, nil
		}
		if !current.Refused() {
			// What was kept of p and not sent must not be sent by a reopening, for
			// the caller will send it again or give up.
			return total + s.forget(generation, n, kept), err
		}
		if failed := s.reopen(generation, err, &s.writeBy); failed != nil {
			return total, failed
		}
		// The reopening has sent what was kept of p; the rest is left.
		total += kept
		if p = p[kept:]; len(p) == 0 {
			return total, nil
		}
	}
}

// keep notes what is about to be written, as far as it can leave before the agent
// has accepted.
func (s *stream) keep(p []byte) (current *mux.Stream, generation, kept int) {
	// A reopening has taken what it sends: nothing may be added until it is over.
	s.lockSettled()
	defer s.mu.Unlock()
	if !s.accepted && s.current.Accepted() {
		s.accept()
	}
	if !s.accepted {
		kept = min(len(p), max(window-typeSize-len(s.kept), 0))
		s.kept = append(s.kept, p[:kept]...)
	}
	return s.current, s.generation, kept
}

// forget takes back what keep noted and Write did not send, and gives the number
// of bytes that were or will be sent.
func (s *stream) forget(generation, sent, kept int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation != generation {
		return max(sent, kept) // a reopening sent all that was kept
	}
	if !s.accepted && sent < kept {
		s.kept = s.kept[:len(s.kept)-(kept-sent)]
	}
	return sent
}

// prove notes that the agent has accepted the stream.
func (s *stream) prove(generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.accepted && s.generation == generation {
		s.accept()
	}
}

// accept is called with mu held.
func (s *stream) accept() {
	s.accepted = true
	s.kept = nil
}

// settled gives the stream to use, after a reopening that is under way.
func (s *stream) settled() (*mux.Stream, int) {
	s.lockSettled()
	defer s.mu.Unlock()
	return s.current, s.generation
}

// lockSettled takes mu when no reopening is under way; one lasts seconds at most.
func (s *stream) lockSettled() {
	s.mu.Lock()
	for s.moving != nil {
		moving := s.moving
		s.mu.Unlock()
		<-moving
		s.mu.Lock()
	}
}

// reopen replaces the refused stream of the given generation, unless that has
// happened already. refusal is returned when it cannot be done; by is the deadline
// of the call that needs it.
func (s *stream) reopen(generation int, refusal error, by *time.Time) error {
	s.lockSettled()
	if s.generation != generation {
		s.mu.Unlock()
		return nil
	}
	if generation >= reopenings || s.accepted || s.life.Err() != nil {
		s.mu.Unlock()
		return refusal
	}
	s.moving = make(chan struct{})
	until := time.Now().Add(reopenTimeout)
	if !by.IsZero() && by.Before(until) {
		until = *by
	}
	ctx, cancel := context.WithDeadline(s.life, until)
	defer cancel()
	s.stopMoving = cancel
	kept := s.kept
	s.mu.Unlock()

	fresh, err := s.openAgain(ctx, kept, generation)

	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.moving)
	s.moving = nil
	if err != nil {
		return err
	}
	return s.install(fresh)
}

// install puts the fresh stream in place, with mu held, and brings it to the state
// that callers have asked for meanwhile.
func (s *stream) install(fresh *mux.Stream) error {
	s.current = fresh
	s.generation++
	if s.life.Err() != nil {
		fresh.Reset(&postern.Error{Code: postern.CodeStreamReset})
		return net.ErrClosed
	}
	_ = fresh.SetReadDeadline(s.readBy)
	_ = fresh.SetWriteDeadline(s.writeBy)
	if s.writeClosed {
		return fresh.CloseWrite()
	}
	return nil
}

// openAgain waits a little, longer each time, and opens with the kept bytes.
func (s *stream) openAgain(ctx context.Context, kept []byte, attempt int) (*mux.Stream, error) {
	backoff := firstBackoff << attempt
	timer := time.NewTimer(backoff/2 + rand.N(backoff))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, s.interrupted()
	}
	head, rest := kept, []byte(nil)
	if len(kept) > oneFrame {
		head, rest = kept[:oneFrame], kept[oneFrame:]
	}
	fresh, err := s.session.Open(ctx, s.streamType, head)
	if err == nil && len(rest) > 0 {
		err = writeWithin(ctx, fresh, rest)
	}
	if err != nil && ctx.Err() != nil {
		return nil, s.interrupted()
	}
	return fresh, err
}

// interrupted tells why a reopening was given up: the stream's end or a deadline.
func (s *stream) interrupted() error {
	if s.life.Err() != nil {
		return net.ErrClosed
	}
	return os.ErrDeadlineExceeded
}

// writeWithin writes what the window has room for. A refusal meanwhile is no
// error here: the caller's next Read or Write finds it and tries again.
func writeWithin(ctx context.Context, fresh *mux.Stream, rest []byte) error {
	stop := context.AfterFunc(ctx, func() { fresh.Reset(&postern.Error{Code: postern.CodeStreamReset}) })
	defer stop()
	if _, err := fresh.Write(rest); err != nil && !fresh.Refused() {
		return err
	}
	return nil
}

// Readable tells whether Read would return at once, as mux.Stream's does.
func (s *stream) Readable() bool {
	current, _ := s.settled()
	return current.Readable()
}
