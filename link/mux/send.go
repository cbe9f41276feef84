package mux

import (
	"errors"
	"os"
	"sync"
	"time"
)

// ErrYielded is what a Write gives that Yield has called back.
var ErrYielded = errors.New("mux: the write was called back")

// errWriteEnded is what Write gives after CloseWrite.
var errWriteEnded = errors.New("mux: write after CloseWrite")

// Write sends p. It returns once all of it is on its way or queued to be; it waits
// for the peer's window and for its turn on the connection. With an error, n bytes
// were taken and arrive, in order, if anything does.
func (st *Stream) Write(p []byte) (n int, err error) { return st.write(p, false) }

// WriteNow is Write that does not wait for the window or its turn: it returns
// ErrYielded then, and what it has sent. It may wait for another Write, and for the
// connection.
func (st *Stream) WriteNow(p []byte) (n int, err error) { return st.write(p, true) }

func (st *Stream) write(p []byte, yields bool) (n int, err error) {
	s := st.session
	s.wmu.Lock()
	defer s.wmu.Unlock()
	for st.writing {
		st.waiters++
		st.writable.Wait()
		st.waiters--
	}
	if err := st.mayWrite(); err != nil || len(p) == 0 {
		return 0, err
	}
	st.writing, st.yields, st.pending = true, yields, p
	for {
		for len(st.pending) > 0 && st.sendWindow > 0 && s.out.room(st, len(st.pending)) {
			s.out.take(st)
		}
		st.flush()
		if len(st.pending) == 0 {
			break
		}
		if err = st.mayWrite(); err != nil {
			break
		}
		if st.yields {
			err = ErrYielded
			break
		}
		if st.sendWindow > 0 {
			if s.out.room(st, len(st.pending)) {
				continue
			}
			s.out.wait(st)
		}
		waitUntil(&st.writable, st.writeUntil, &st.writeTimer)
	}
	n = len(p) - len(st.pending)
	st.writing, st.pending = false, nil
	if st.waiters > 0 {
		st.writable.Broadcast()
	}
	return n, err
}

// Yield calls a Write back that waits: it returns ErrYielded and what it has sent.
func (st *Stream) Yield() {
	s := st.session
	s.wmu.Lock()
	if st.writing {
		st.yields = true
		st.writable.Broadcast()
	}
	s.wmu.Unlock()
}

// flush sends what has gathered if nobody does: here where no deadline can pass
// meanwhile, else through the session's goroutine. wmu is held.
func (st *Stream) flush() {
	s := st.session
	if s.out.busy || s.out.empty() {
		return
	}
	if st.writeUntil.IsZero() || s.survivesStall(st.writeUntil) {
		s.flush(inlineRounds)
	} else {
		s.kick()
	}
}

// survivesStall tells whether a write to the connection that starts now ends
// before t even if the connection stalls, which then ends the session.
func (s *Session) survivesStall(t time.Time) bool {
	return time.Until(t) > s.config.Tolerance*3/2
}

// mayWrite tells why nothing can be written now. wmu is held.
func (st *Stream) mayWrite() error {
	if st.writeErr != nil {
		return st.writeErr
	}
	if !st.writeUntil.IsZero() && !time.Now().Before(st.writeUntil) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// CloseWrite ends our direction: the far side reads io.EOF after the last byte. A
// Write that is under way comes first. A second call does nothing.
func (st *Stream) CloseWrite() error {
	s := st.session
	s.wmu.Lock()
	for st.writing {
		st.waiters++
		waitUntil(&st.writable, st.writeUntil, &st.writeTimer)
		st.waiters--
		if err := st.mayWrite(); err != nil {
			s.wmu.Unlock()
			return err
		}
	}
	return st.finish(errWriteEnded)
}

// finish sends our FIN once; why is what Write gives from then on. The caller
// holds wmu, and finish lets it go.
func (st *Stream) finish(why error) error {
	s := st.session
	if err := st.writeErr; err != nil {
		s.wmu.Unlock()
		if err == errWriteEnded {
			return nil
		}
		return err
	}
	st.writeErr = why
	s.out.putData(st.id, flagFin, nil)
	st.writable.Broadcast()
	st.flush()
	s.wmu.Unlock()
	s.halfClosed(st, true)
	return nil
}

// grant opens st's send window by n; false means that the peer has granted more
// than the wire can count.
func (st *Stream) grant(n uint32) bool {
	s := st.session
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if st.sendWindow+int64(n) > maxStream {
		return false
	}
	st.sendWindow += int64(n)
	st.regained(int64(n))
	if st.writing {
		st.writable.Broadcast()
	}
	return true
}

// failWrite ends our direction only.
func (st *Stream) failWrite(why error) {
	s := st.session
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if st.writeErr == nil {
		st.writeErr = why
	}
	st.writable.Broadcast()
}

// share is how much of the batch that is being gathered is st's.
func (st *Stream) share(epoch uint32) int {
	if st.shareEpoch != epoch {
		return 0
	}
	return int(st.shareBytes)
}

func (st *Stream) charge(epoch uint32, n int) {
	st.shareBytes = int32(st.share(epoch) + n)
	st.shareEpoch = epoch
}

// waitUntil waits on c, at most until the deadline (zero: for ever). The caller
// holds c.L and checks afterwards what woke it.
func waitUntil(c *sync.Cond, deadline time.Time, timer **time.Timer) {
	if deadline.IsZero() {
		c.Wait()
		return
	}
	left := time.Until(deadline)
	if *timer == nil {
		*timer = time.AfterFunc(left, func() {
			c.L.Lock()
			c.Broadcast()
			c.L.Unlock()
		})
	} else {
		(*timer).Reset(left)
	}
	c.Wait()
	(*timer).Stop()
}
