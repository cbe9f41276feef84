package relay

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// bulkPause is how long a busy direction keeps its large buffer without a byte.
	// Dropping it at once would split every message of a few KiB in two.
	bulkPause = 2 * time.Second
	// lastWords is how long a side may go on talking after it stopped listening.
	lastWords = 2 * time.Second
)

// direction copies from src to dst. All fields but the atomic ones belong to its
// goroutine, which may be another one after each rest.
type direction struct {
	pipe     *pipe
	src, dst Conn
	from, to Side
	opposite *direction
	total    *atomic.Int64 // of the caller's counters
	moved    int64

	awaited awaiter      // src, where it is one that can be waited for without a goroutine
	socket  syscall.Conn // src's, where it is the kernel's own
	lingers bool         // it goes to rest, see quiet
	waits   int          // looks in a row that found the other direction busy

	writing    atomic.Bool // waits in dst.Write, which has a deadline of its own
	ended      atomic.Bool // src's clean end was passed on to dst
	resting    atomic.Bool // nothing comes: the opposite one need not wait with a goroutine
	parked     atomic.Bool // has no goroutine
	writeUntil time.Time   // the write deadline that is set
}

// init makes d the direction that comes from a side.
func (d *direction) init(p *pipe, from Side, total *atomic.Int64) {
	d.pipe, d.from, d.total = p, from, total
	d.src, d.dst, d.to, d.opposite = p.a, p.b, B, &p.back
	if from == B {
		d.src, d.dst, d.to, d.opposite = p.b, p.a, A, &p.forth
	}
	d.awaited, _ = d.src.(awaiter)
	d.socket = kernels(d.src)
	if p.options.Idle > 0 {
		d.awaited = nil // its deadlines need somebody who waits
	}
	d.resting.Store(d.awaited != nil)
}

// step is what comes next in a direction's life.
type step int

const (
	goQuiet step = iota // little comes: wait in a small buffer
	goBulk              // much comes: take a large one, or splice
	atRest              // nothing comes: another goroutine goes on
	over
)

// run copies until this direction has ended, and passes the end on, or until it is at
// rest: nothing of d may be touched then.
func (d *direction) run() {
	for next := goQuiet; ; {
		switch {
		case next == atRest:
			return
		case next == over:
			d.isOver()
			return
		case next == goQuiet:
			next = d.quiet()
		case d.canSplice():
			next = d.splice()
		default:
			next = d.bulk()
		}
	}
}

// isOver takes leave of the pipe, which ends with the second direction.
func (d *direction) isOver() {
	d.resting.Store(true)
	if d.pipe.going.Add(-1) == 0 {
		d.pipe.finish()
	}
}

// quiet relays small messages. Where nothing comes for a moment the direction goes to
// rest, or waits for ever if Idle allows it.
func (d *direction) quiet() step {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(small)
	d.armQuiet()
	for {
		if d.awaited != nil && d.opposite.resting.Load() && d.park() {
			return atRest
		}
		n, err := d.src.Read(small[:])
		if n > 0 {
			d.awake()
		}
		switch {
		case n > 0 && !d.deliver(small[:n]):
			return over
		case err != nil && timedOut(err):
			if d.idleTooLong() {
				return over
			}
			if d.rest() {
				return atRest
			}
		case err != nil:
			return d.readEnded(err)
		case n == len(small):
			return goBulk // there is probably more
		}
	}
}

// bulk relays through a large buffer until a pause, or has one side's own goroutine do so.
func (d *direction) bulk() step {
	if p, ok := d.src.(pump); ok {
		return d.pour(p)
	}
	if p, ok := d.dst.(pump); ok {
		return d.draw(p)
	}
	large := bulkBuffers.Get().(*[bulkBuffer]byte)
	defer bulkBuffers.Put(large)
	before := d.armPause()
	for {
		n, err := d.src.Read(large[:])
		switch {
		case n > 0 && !d.deliver(large[:n]):
			return over
		case err != nil && timedOut(err):
			if d.moved == before {
				return goQuiet
			}
			before = d.armPause()
		case err != nil:
			return d.readEnded(err)
		}
	}
}

// deliver writes b to dst and tells whether this direction goes on.
func (d *direction) deliver(b []byte) bool {
	d.armWrite(len(b))
	d.writing.Store(true)
	n, err := d.dst.Write(b)
	d.count(int64(n)) // first: in between, a long write would look like a long silence
	d.writing.Store(false)
	if err != nil {
		d.writeFailed(err)
	}
	return err == nil
}

func (d *direction) count(n int64) {
	if n > 0 {
		d.moved += n
		d.total.Add(n)
		d.pipe.touch()
	}
}

// readEnded passes the end of src on: a clean one as a half-close, any other as a
// reset.
func (d *direction) readEnded(err error) step {
	if err != io.EOF { //nolint:errorlint // what only wraps it, such as the end of a link below, is no clean end
		d.pipe.fail(d.from, broken(err))
		return over
	}
	// After a connection broke under a write, its read may report an end of file
	// that never came from the peer. EPIPE alone is said after a real one.
	if failed := d.pipe.ended(); failed != nil && !errors.Is(failed, syscall.EPIPE) {
		d.pipe.abort(failed)
		return over
	}
	// What closes both directions of a socket at once says the same as to end one and
	// close it a moment later.
	if closing := d.opposite.ended.Load() && d.opposite.socket != nil; !closing {
		if err := d.dst.CloseWrite(); err != nil {
			d.writeFailed(err)
			return over
		}
	}
	d.ended.Store(true)
	return over
}

// writeFailed ends this direction. The other one may still carry dst's last words:
// a refusal that was sent before dst closed.
func (d *direction) writeFailed(err error) {
	if timedOut(err) {
		d.pipe.fail(Neither, postern.Errorf(postern.CodeIdle, "the other side takes too little of what is sent to it").Because(err))
		return
	}
	why := broken(err)
	d.pipe.note(d.to, why)
	d.pipe.abortLater(why)
}

// armIdle lets the next read wait until the whole pipe has been idle for too long.
func (d *direction) armIdle() {
	idle := d.pipe.options.Idle
	if idle <= 0 {
		_ = d.src.SetReadDeadline(time.Time{})
		return
	}
	wait := idle - d.pipe.idleFor()
	if wait <= 0 { // only because the other direction waits in a write: look again later
		wait = min(idle, time.Second)
	}
	d.awaitRead(wait)
}

// armPause lets the next reads wait for bulkPause, and returns what has been moved
// so far. The deadline is not moved with every read: that would cost as much as a
// small read itself.
func (d *direction) armPause() int64 {
	d.awaitRead(bulkPause)
	return d.moved
}

func (d *direction) awaitRead(wait time.Duration) { _ = d.src.SetReadDeadline(time.Now().Add(wait)) }

// idleTooLong ends the pipe if no byte moves, nor waits to be taken, either way.
func (d *direction) idleTooLong() bool {
	idle := d.pipe.options.Idle
	if idle <= 0 || d.pipe.idleFor() < idle || d.opposite.writing.Load() {
		return false
	}
	if d.opposite.ended.Load() {
		// src has all that it will be sent, but maybe not out of the kernel's buffers
		// yet: a reset would throw that away.
		_ = d.src.Close()
	}
	d.pipe.fail(Neither, postern.Errorf(postern.CodeIdle, "no byte moved either way for %s", idle))
	return true
}

// armWrite sees to it that a write of n bytes has as long as it is allowed, and not
// much longer. A deadline that is late enough already is left alone.
func (d *direction) armWrite(n int) {
	allowed := d.writeAllowance(n)
	if allowed == 0 {
		return
	}
	now := time.Now()
	if d.writeUntil.Sub(now) >= allowed {
		return
	}
	d.writeUntil = now.Add(allowed + allowed/4)
	_ = d.dst.SetWriteDeadline(d.writeUntil)
}

// writeAllowance is how long a write of n bytes may take; 0 is for ever.
func (d *direction) writeAllowance(n int) time.Duration {
	var allowed time.Duration
	if idle := d.pipe.options.Idle; idle > 0 {
		allowed = idle + atRate(n, slowestReader)
	}
	if rate := d.pipe.options.MinRate; rate > 0 {
		byRate := minRateGrace + atRate(n, rate)
		if allowed == 0 || byRate < allowed {
			allowed = byRate
		}
	}
	return allowed
}

func atRate(n int, perSecond int64) time.Duration {
	return time.Duration(float64(n) / float64(perSecond) * float64(time.Second))
}
