package edge

import (
	"net"
	"sync"
	"time"
)

// writeDeadline keeps the write deadline of a connection that others set too: every
// write gets idle time to be taken, net/http and crypto/tls may ask for less, and
// net/http's clearing after each request does not set a pipelining visitor free who
// never reads.
type writeDeadline struct {
	mu    sync.Mutex
	idle  time.Duration // how long one write may take; 0 is no limit of ours
	asked time.Time     // what SetWriteDeadline was last given
	armed time.Time     // the deadline that is set
}

// limit sets how long one write may take from now on; 0 hands the deadline over to
// whoever sets it.
func (d *writeDeadline) limit(idle time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle, d.armed = idle, time.Time{}
}

// renew gives the write that follows its time. One deadline serves many small writes,
// so it is moved only when half of it has passed.
func (d *writeDeadline) renew(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.idle == 0 {
		return
	}
	now := time.Now()
	if d.armed.Sub(now) > d.idle/2 {
		return
	}
	d.arm(conn, now)
}

// arm sets the earlier of our deadline and the one that was asked for.
func (d *writeDeadline) arm(conn net.Conn, now time.Time) {
	d.armed = now.Add(d.idle)
	if !d.asked.IsZero() && d.asked.Before(d.armed) {
		d.armed = d.asked
	}
	_ = conn.SetWriteDeadline(d.armed)
}

// set obeys what somebody asks for; a zero t gives our own deadline back its force.
func (d *writeDeadline) set(conn net.Conn, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = t
	if d.idle == 0 {
		return conn.SetWriteDeadline(t)
	}
	d.arm(conn, time.Now())
	return nil
}
