package edge

import (
	"net"
	"sync"
	"time"
)

// writeDeadline keeps the write deadline of a connection that others set too. Visitors
// have to take what is written at a pace; net/http and crypto/tls may ask for less
// time, and net/http's clearing after each request does not set a pipelining visitor
// free who never reads.
//
// What counts is what the visitor has taken, not what the kernel holds for it: buffers
// of megabytes would make a visitor who takes a few bytes a minute look busy for hours.
type writeDeadline struct {
	mu       sync.Mutex
	paced    bool
	patience patience
	written  int64 // bytes the kernel took
	taken    int64 // of which the visitor has, when last looked

	asked time.Time // what SetWriteDeadline was last given
	armed time.Time // the deadline that is set

	writing time.Time     // when the write began that is under way; zero for none
	blocked time.Duration // spent in writes before
}

// leastWait is the least that must be earned for a write to be tried again: whoever is
// as slow as that is allowed to be must not wake us for every byte.
const leastWait = 250 * time.Millisecond

// hold holds the visitor to p from now on.
func (d *writeDeadline) hold(p pace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paced, d.patience, d.armed = p.most > 0, p.begin(), time.Time{}
}

// release hands the deadline over to whoever sets it.
func (d *writeDeadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paced, d.armed = false, time.Time{}
}

// begin gives the write that follows its time. One deadline serves many small writes,
// so it is moved only when half of it has passed.
func (d *writeDeadline) begin(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing = time.Now()
	if d.paced && d.armed.Sub(d.writing) <= d.nextLook()/2 {
		d.arm(conn, d.writing)
	}
}

// end notes how a write went: n bytes, and whether it met a deadline. It tells whether
// the rest may be tried again, because the visitor has taken enough meanwhile.
func (d *writeDeadline) end(conn net.Conn, n int, late bool) (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	waited := now.Sub(d.writing)
	d.writing, d.blocked, d.written = time.Time{}, d.blocked+waited, d.written+int64(n)
	if !d.paced {
		return false
	}
	d.patience.spend(waited)
	if !late && d.patience.left > 0 {
		return false
	}
	taken := max(d.taken, d.written-int64(untaken(conn)))
	d.patience.earn(taken - d.taken)
	d.taken = taken
	if d.patience.left < leastWait || !d.asked.IsZero() && !now.Before(d.asked) {
		return false
	}
	d.arm(conn, now)
	return true
}

// arm sets the earlier of our deadline and the one that was asked for.
func (d *writeDeadline) arm(conn net.Conn, now time.Time) {
	d.armed = now.Add(d.nextLook())
	if !d.asked.IsZero() && d.asked.Before(d.armed) {
		d.armed = d.asked
	}
	_ = conn.SetWriteDeadline(d.armed)
}

// nextLook is when a write that waits is looked at. What the visitor took before the
// write began is only counted then, so patience must not be used up first.
func (d *writeDeadline) nextLook() time.Duration { return min(d.patience.left, d.patience.most/4) }

// set obeys what somebody asks for; a zero t gives our own deadline back its force.
func (d *writeDeadline) set(conn net.Conn, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = t
	if !d.paced {
		return conn.SetWriteDeadline(t)
	}
	d.arm(conn, time.Now())
	return nil
}

// pending is how long the write that is under way has waited; 0 for none, and for who
// is held to no pace (an agent).
func (d *writeDeadline) pending() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.paced || d.writing.IsZero() {
		return 0
	}
	return time.Since(d.writing)
}

// exhausted tells whether the visitor has used up its patience.
func (d *writeDeadline) exhausted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.paced && d.patience.left < leastWait
}

// waited is how long writes have waited for the visitor so far, the one that is under
// way included.
func (d *writeDeadline) waited() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writing.IsZero() {
		return d.blocked
	}
	return d.blocked + time.Since(d.writing)
}
