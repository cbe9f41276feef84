package relay

import (
	"fmt"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
)

// linger is how long a direction waits for more with the goroutine that it has. A dialogue
// goes on within it; a goroutine that has sent holds 8 KiB of stack, and two of them would
// be most of what an idle connection costs.
const linger = 50 * time.Millisecond

// mostWaits bounds how much longer than linger it may be until a rest is noticed.
const mostWaits = 5

// awaiter is a connection that can be waited for without a goroutine, as link.Awaiter.
type awaiter interface {
	AwaitReadable(wake func()) bool
}

// socketed is a connection around another one of which reading is reading the socket, as
// *Peeked; nil while it is not.
type socketed interface{ Socket() syscall.Conn }

// kernels finds the socket that reading c reads; nil where that is more.
func kernels(c Conn) syscall.Conn {
	switch c := c.(type) {
	case socketed:
		return c.Socket()
	case syscall.Conn:
		return c
	}
	return nil
}

// begin starts a direction beside another one, with a goroutine only where something is
// there to be moved that may take a while.
func (d *direction) begin() {
	defer d.survive()
	if d.awaited == nil {
		d.pipe.options.Go(d.goOn)
		return
	}
	if d.park() {
		return
	}
	if d.opposite.socket != nil && d.moved == 0 {
		// The first words to a socket, which always takes so much.
		if !d.first() {
			d.isOver()
			return
		}
		if d.park() {
			return
		}
	}
	d.pipe.options.Go(d.goOn)
}

// first moves what a small buffer takes and tells whether the direction goes on.
func (d *direction) first() bool {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(small)
	n, err := d.src.Read(small[:])
	switch {
	case n > 0 && !d.deliver(small[:n]):
		return false
	case err != nil && !timedOut(err):
		return d.readEnded(err) != over
	}
	return true
}

// goOn is a goroutine of a direction.
func (d *direction) goOn() {
	defer d.survive()
	d.run()
}

// survive ends the pipe in which something has failed inside.
func (d *direction) survive() {
	reason := recover()
	if reason == nil {
		return
	}
	if d.pipe.going.Load() <= 0 {
		panic(reason) // the caller's own, at the end
	}
	d.pipe.fail(Neither, postern.Errorf(postern.CodeInternal, "the relay failed inside Postern").
		Because(fmt.Errorf("%v\n%s", reason, debug.Stack())))
	d.isOver()
}

// park has the source start another goroutine when it can be read; false: it can. Nothing
// of d may be touched after true.
func (d *direction) park() bool {
	d.parked.Store(true)
	if d.awaited.AwaitReadable(d.wake) {
		return true
	}
	d.parked.Store(false)
	return false
}

func (d *direction) wake() {
	d.parked.Store(false)
	d.pipe.options.Go(d.goOn)
}

// armQuiet lets the reads that follow wait until the direction is to go to rest.
func (d *direction) armQuiet() {
	rests := d.pipe.options.Idle <= 0 && d.awaited == nil && (d.opposite.awaited != nil || d.leaves())
	if !rests {
		d.armIdle()
		return
	}
	d.lingers, d.waits = true, 0
	d.resting.Store(false)
	d.awaitRead(linger)
}

// leaves tells whether the direction can go on, on a goroutine that holds nothing.
func (d *direction) leaves() bool { return d.pipe.leaves && d.socket != nil && canWatch }

// awake notes that something has come, for a direction that rests where it is.
func (d *direction) awake() {
	if d.resting.Load() && d.awaited == nil {
		d.armQuiet()
	}
}

// rest is what follows a read that has met its deadline; true: another goroutine goes on.
func (d *direction) rest() bool {
	if !d.lingers {
		d.armIdle()
		return false
	}
	if quiet := d.pipe.idleFor(); quiet < linger && !d.resting.Load() {
		// The other one moves, perhaps for hours: it is looked at less and less often.
		d.awaitRead(max(linger<<d.waits-quiet, linger/4))
		d.waits = min(d.waits+1, mostWaits)
		return false
	}
	d.armIdle()
	d.resting.Store(true)
	if o := d.opposite; o.awaited != nil && !o.parked.Load() {
		_ = o.src.SetReadDeadline(time.Now()) // it goes to rest, too
	}
	if !d.leaves() {
		return false
	}
	go d.watch()
	return true
}

// watch waits for the next byte on a stack that is as small as can be.
func (d *direction) watch() {
	if raw, err := d.socket.SyscallConn(); err == nil {
		_ = raw.Read(readable) // the read that follows finds what is wrong
	}
	d.pipe.options.Go(d.goOn)
}
