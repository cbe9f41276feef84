package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// sending is a request's body on its way to the service, on the relay. What came with
// the head leaves with the head; only a body that is longer takes a goroutine, which
// holds the visitor to making progress.
type sending struct {
	c       *conversation
	framing http1.Framing
	left    int64 // where framing is Length
	chunks  http1.Chunks
	ready   []byte         // came with the head
	held    []byte         // behind it: the beginning of a chunk's line
	taken   int            // bytes of c.in that belong to the request
	tap     func(b []byte) // of those that count their bytes; nil for nobody
	started bool           // bytes were sent that we no longer have

	received atomic.Int64
	read     atomic.Bool // all of it came from the visitor, by its own framing
	done     atomic.Bool // and was sent
}

// begin takes what has come of the body behind a head of size bytes. An error means
// that the body is malformed.
func (u *sending) begin(c *conversation, size int) *postern.Error {
	*u = sending{c: c, framing: c.request.Framing, left: c.request.Length, taken: size}
	rest := c.in.Unread()[size:]
	whole := true
	switch u.framing {
	case http1.Length:
		n := int(min(int64(len(rest)), u.left))
		u.ready, u.left, u.taken = rest[:n], u.left-int64(n), size+n
		u.received.Store(int64(n))
		whole = u.left == 0
	case http1.Chunked:
		pass, taken, done, problem := u.chunks.Feed(rest)
		if problem != nil {
			return problem
		}
		u.ready, u.taken, whole = rest[:pass], size+taken, done
		u.received.Store(u.chunks.Data)
		if !done {
			u.held, u.taken = rest[taken:], size+len(rest)
		}
	}
	u.read.Store(whole)
	u.done.Store(whole)
	return nil
}

// complete tells whether the body's end came from the visitor.
func (u *sending) complete() bool { return u.read.Load() }

// send sends what has not come with the head, beside whoever reads the answer.
func (u *sending) send(pair *upstreamConn) {
	if u.done.Load() {
		return
	}
	u.started = true
	u.c.watch.run(func() bool { return u.copy(pair) })
}

// sendBuffer is what an upload passes through: four frames of the link, as relay's own
// buffer. A round number of KiB would end in a frame, and a record, of a few bytes.
const sendBuffer = 4 * (16<<10 - 8)

var sendBuffers = sync.Pool{New: func() any { return new([sendBuffer]byte) }}

// copy tells whether all was sent.
func (u *sending) copy(pair *upstreamConn) bool {
	w := &u.c.watch
	buffer := sendBuffers.Get().(*[sendBuffer]byte)
	defer sendBuffers.Put(buffer)
	held := copy(buffer[:], u.held)
	p := u.c.x.live.pace().begin()
	for seen := int64(0); ; {
		p.earn(u.received.Load() - seen)
		seen = u.received.Load()
		before := time.Now()
		if !w.readBy(before.Add(max(0, p.left))) {
			return false
		}
		room := buffer[held:]
		if u.framing == http1.Length {
			room = room[:min(int64(len(room)), u.left)]
		}
		n, err := u.c.conn.Read(room)
		p.spend(time.Since(before))
		var left int
		if n > 0 {
			var ok bool
			if left, ok = u.forward(pair, buffer[:held+n], n); !ok {
				return false
			}
			held = left
		}
		switch {
		case u.done.Load():
			return true
		case err != nil && timedOut(err):
			w.fail(tooSlow(err))
			return false
		case err != nil:
			w.fail(errVisitorGone)
			return false
		}
	}
}

// forward sends b, of which the last n bytes are new. It returns how many of them,
// now at the front, must be offered again; ok is false when nothing more can be sent.
func (u *sending) forward(pair *upstreamConn, b []byte, n int) (held int, ok bool) {
	if u.framing == http1.Length {
		u.left -= int64(n)
		u.received.Add(int64(n))
		if u.tap != nil {
			u.tap(b)
		}
		return 0, u.write(pair, b, u.left == 0)
	}
	pass, taken, over, problem := u.chunks.Feed(b)
	if problem != nil {
		u.c.watch.fail(problem)
		return 0, false
	}
	u.received.Store(u.chunks.Data)
	if over {
		// What follows is the next request's. The last chunk is never shorter as it
		// came than as we write it, so writing it here harms nothing.
		u.c.in.Append(b[taken:])
		return 0, u.write(pair, u.chunks.AppendEnd(b[:pass]), true)
	}
	ok = u.write(pair, b[:pass], false)
	return copy(b, b[taken:]), ok
}

// write sends b. A service that takes no more is no failure: it may have answered.
func (u *sending) write(pair *upstreamConn, b []byte, last bool) bool {
	if last {
		u.read.Store(true)
	}
	if failure := u.c.x.broken.Load(); failure != nil {
		u.c.watch.fail(failure)
		return false
	}
	parting := u.c.partings()
	parting.begin()
	_, err := pair.Write(b)
	parting.end()
	if err != nil {
		return false
	}
	if last {
		u.done.Store(true)
	}
	return true
}

// partings looks out for the visitor while the service takes no more of its body.
func (c *conversation) partings() *parting {
	if c.parting == nil {
		c.parting = &parting{conn: c.visitor.NetConn(), gone: func() { c.watch.fail(errVisitorGone) }}
	}
	return c.parting
}

// tooSlow is the error for a visitor who ran out of patience.
func tooSlow(err error) *postern.Error {
	return postern.Errorf(postern.CodeRequestTimeout, "the request's body stopped or came too slowly").Because(err)
}
