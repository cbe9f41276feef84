package testkit

import (
	"net"
	"os"
	"sync"
	"time"
)

// Direction names one or both directions of a FaultConn, seen from its user.
type Direction int

// The directions.
const (
	Reads Direction = 1 << iota
	Writes
	Both = Reads | Writes
)

// stallBuffer is what a stalled direction still swallows before Write waits, as a
// kernel's send buffer does in front of a black hole.
const stallBuffer = 64 << 10

// FaultConn wraps a connection and breaks it on request. Its zero faults are none;
// every fault may be switched while calls are pending. Make one with Fault.
type FaultConn struct {
	inner net.Conn

	mu      sync.Mutex
	changed *sync.Cond
	stalled Direction
	cut     bool
	closed  bool
	rate    int // bytes a second each way, 0 is no limit
	split   int // most bytes of one inner write, 0 is no limit

	pending []byte // read from inner while Reads were stalled
	backlog []byte // written by the user while Writes were stalled

	readBy, writeBy     deadline
	readNext, writeNext time.Time // when the rate allows the next bytes

	writing bool // somebody is in inner.Write; a flag, as synctest cannot see through a mutex
}

// Fault wraps inner, which it owns from now on.
func Fault(inner net.Conn) *FaultConn {
	c := &FaultConn{inner: inner}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Cut breaks the connection both ways at once, as a reset does: pending and later
// calls fail with ECONNRESET, and so do the other end's where inner can reset.
func (c *FaultConn) Cut() {
	c.mu.Lock()
	c.cut = true
	c.changed.Broadcast()
	c.mu.Unlock()
	if l, ok := c.inner.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // best effort: without it the other end sees a clean end
	}
	_ = c.inner.Close() // what matters is that it is gone
}

// Stall turns directions into a black hole: reads see nothing more, writes succeed
// until 64 KiB are swallowed and then wait. Deadlines still work. Nothing is lost:
// Resume delivers it all.
func (c *FaultConn) Stall(d Direction) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled |= d
	c.changed.Broadcast()
}

// Resume ends stalls. It may block while swallowed bytes are handed on.
func (c *FaultConn) Resume(d Direction) {
	c.mu.Lock()
	c.stalled &^= d
	c.changed.Broadcast()
	if c.stalled&Writes != 0 || len(c.backlog) == 0 {
		c.mu.Unlock()
		return
	}
	for c.writing {
		c.changed.Wait()
	}
	c.writing = true
	held := c.backlog
	c.backlog = nil
	c.mu.Unlock()
	_, _ = c.inner.Write(held) // its writer was told of success long ago
	c.endWrite()
}

// SetRate limits each direction to so many bytes a second; 0 lifts the limit.
func (c *FaultConn) SetRate(bytesPerSecond int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = bytesPerSecond
	c.readNext, c.writeNext = time.Time{}, time.Time{}
	c.changed.Broadcast()
}

// SplitWrites hands every write on in pieces of at most n bytes; 0 stops that.
func (c *FaultConn) SplitWrites(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.split = n
}

// Read reads from inner as the faults allow.
func (c *FaultConn) Read(p []byte) (int, error) {
	for {
		size, held, err := c.beforeRead(p)
		if held > 0 || err != nil {
			return held, err
		}
		n, err := c.inner.Read(p[:size])
		if done, err := c.afterRead(p[:n], err); done {
			return n, err
		}
	}
}

// beforeRead waits for leave to read up to size bytes, or hands held bytes out.
func (c *FaultConn) beforeRead(p []byte) (size, held int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.await(Reads, &c.readBy, &c.readNext); err != nil {
		return 0, 0, err
	}
	size = c.allowance(len(p))
	if len(c.pending) > 0 {
		held = copy(p[:size], c.pending)
		c.pending = c.pending[held:]
		c.charge(&c.readNext, held)
	}
	return size, held, nil
}

// afterRead keeps the bytes back when a stall began while inner.Read was waiting.
func (c *FaultConn) afterRead(p []byte, err error) (done bool, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return true, errReset
	}
	if c.stalled&Reads != 0 && len(p) > 0 {
		c.pending = append(c.pending, p...)
		return false, nil
	}
	c.charge(&c.readNext, len(p))
	return true, err
}

// Write writes to inner as the faults allow.
func (c *FaultConn) Write(p []byte) (written int, err error) {
	for {
		n, swallowed, err := c.beginWrite(p)
		if err != nil {
			return written, err
		}
		if !swallowed {
			n, err = c.inner.Write(p[:n])
			c.endWrite()
			if err != nil {
				return written + n, c.writeError(err)
			}
		}
		p, written = p[n:], written+n
		if len(p) == 0 {
			return written, nil
		}
	}
}

// beginWrite waits for leave to write the first n bytes of p to inner, which
// endWrite ends, or swallows them.
func (c *FaultConn) beginWrite(p []byte) (n int, swallowed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if n = c.swallow(p); n > 0 {
			return n, true, nil
		}
		if err := c.await(Writes, &c.writeBy, &c.writeNext); err != nil {
			return 0, false, err
		}
		if !c.writing && len(c.backlog) == 0 {
			break
		}
		c.changed.Wait()
	}
	c.writing = true
	n = c.allowance(len(p))
	if c.split > 0 {
		n = min(n, c.split)
	}
	c.charge(&c.writeNext, n)
	return n, false, nil
}

// swallow takes what a stall still has room for; 0 when nothing is stalled.
func (c *FaultConn) swallow(p []byte) int {
	if c.stalled&Writes == 0 || c.cut || c.closed || c.writeBy.passed() {
		return 0
	}
	n := min(len(p), stallBuffer-len(c.backlog))
	c.backlog = append(c.backlog, p[:n]...)
	return n
}

func (c *FaultConn) endWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	c.changed.Broadcast()
}

func (c *FaultConn) writeError(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errReset
	}
	return err
}

// await waits, with the lock held, until direction d may move bytes.
func (c *FaultConn) await(d Direction, by *deadline, next *time.Time) error {
	for {
		wait := time.Duration(0)
		if c.rate > 0 {
			wait = time.Until(*next)
		}
		switch {
		case c.cut:
			return errReset
		case c.closed:
			return net.ErrClosed
		case by.passed():
			return os.ErrDeadlineExceeded
		case c.stalled&d == 0 && wait <= 0:
			return nil
		}
		if wait > 0 {
			timer := time.AfterFunc(wait, c.wake)
			c.changed.Wait()
			timer.Stop()
			continue
		}
		c.changed.Wait()
	}
}

// allowance is how many of n bytes may move at once: with a rate, ten
// milliseconds' worth.
func (c *FaultConn) allowance(n int) int {
	if c.rate == 0 {
		return n
	}
	return min(n, max(1, c.rate/100))
}

func (c *FaultConn) charge(next *time.Time, n int) {
	if c.rate == 0 || n == 0 {
		return
	}
	from := time.Now()
	if next.After(from) {
		from = *next
	}
	*next = from.Add(time.Duration(n) * time.Second / time.Duration(c.rate))
}

func (c *FaultConn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}
