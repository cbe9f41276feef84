package chisel

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern/internal/frames"
)

const (
	// mostMessage is the payload of one message.
	mostMessage = slabSize - frames.MostHeader
	// A message holds several small writes up to pieceSize together, or one. SSH hands a
	// packet over in a piece of exactly pieceSize and a rest, and chisel reads it in the
	// same pieces: where messages end as pieces do, it need not copy the rest of a
	// message with every read.
	pieceSize = 4 << 10
	// directWrite is from when on a server's write is not copied: it leaves at once,
	// behind what has gathered.
	directWrite = 8 << 10
	// pieceTimeout is how long the first piece of a packet waits for the rest. Hardly
	// any packet has exactly pieceSize bytes.
	pieceTimeout = time.Millisecond
	// quietTime is how long ago the last send must be for a small write not to wait for
	// company.
	quietTime = 50 * time.Microsecond
	// A way out that takes fewer bytes a second than slowRate, though somebody waits to
	// send for at least half of the time, is a slow one. It is looked at every paceTime.
	slowRate = 8 << 20
	paceTime = 200 * time.Millisecond
)

// output is the writing side of a WebSocket. Small writes gather in a buffer, and the
// first one starts a flush, which sends all that has come meanwhile in one system
// call: SSH hands every packet over by itself. Large ones are sent by who writes them.
type output struct {
	to      net.Conn
	buffers func(*net.Buffers) (int64, error) // sends several at once; nil where that cannot be
	server  bool

	sending sync.Mutex // held while something is sent; taken before mu
	pace    pace       // guarded by sending
	slow    atomic.Bool

	mu       sync.Mutex
	room     sync.Cond // in the buffer, or failed
	gather   *slab     // nil while nothing is gathered
	n        int       // bytes in gather: whole frames, then the open one
	open     int       // where the payload of the open frame begins; 0: none is open
	ping     []byte    // control frames that wait, as far as each kind needs
	pong     []byte
	goodbye  []byte
	sent     time.Time   // when something was sent last
	late     *time.Timer // flushes a piece whose rest does not come
	flushing bool
	closing  bool // what has been taken is sent, and nothing more is taken
	failed   error
	after    func() // once all is sent, or cannot be; then nothing more is
}

func (o *output) init(to net.Conn, server bool) {
	o.to, o.server, o.pace.since = to, server, time.Now()
	o.room.L = &o.mu
	switch to := to.(type) {
	case *net.TCPConn:
		o.buffers = func(b *net.Buffers) (int64, error) { return b.WriteTo(to) }
	case interface {
		WriteBuffers(b *net.Buffers) (int64, error)
	}:
		o.buffers = to.WriteBuffers
	}
}

// pace finds out how fast the way out is.
type pace struct {
	since time.Time
	bytes int64
	busy  time.Duration // that sends took
}

// add notes a send, and every paceTime whether the way is slow.
func (p *pace) add(started time.Time, bytes int64, slow *atomic.Bool) {
	now := time.Now()
	p.bytes += bytes
	p.busy += now.Sub(started)
	passed := now.Sub(p.since)
	if passed < paceTime {
		return
	}
	slow.Store(p.busy >= passed/2 && float64(p.bytes) < slowRate*passed.Seconds())
	*p = pace{since: now}
}

// headSize is room for the head of any message: a length of 16 bits, and a mask.
func (o *output) headSize() int {
	if o.server {
		return 4
	}
	return 8
}

// write takes p, and blocks while the buffer is full or p is being sent.
func (o *output) write(p []byte) (int, error) {
	if o.server && len(p) >= directWrite {
		return o.writeDirect(p)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	total := 0
	for total < len(p) {
		if err := o.refusal(); err != nil {
			return total, err
		}
		k := o.put(p[total:])
		total += k
		switch {
		case k == len(p) && k < pieceSize && !o.flushing && o.quiet():
			return total, o.sendNow()
		case k == 0:
			o.start()
			o.room.Wait()
		case len(p) == pieceSize && !o.flushing:
			o.startLate()
		default:
			o.start()
		}
	}
	return total, nil
}

// quiet tells whether nothing was sent for a moment: then there is nobody whose writes
// could go along, and to wait for them would only take time. mu is held.
func (o *output) quiet() bool { return time.Since(o.sent) > quietTime }

// sendNow sends what has gathered, on the writer's goroutine. mu is held, and given up
// meanwhile.
func (o *output) sendNow() error {
	o.flushing = true
	o.mu.Unlock()
	o.sending.Lock()
	err := o.sendTaken(nil)
	o.sending.Unlock()
	o.mu.Lock()
	if o.pending() {
		go o.flush()
	} else {
		o.rest()
	}
	return err
}

func (o *output) refusal() error {
	if o.failed == nil && o.closing {
		return net.ErrClosed
	}
	return o.failed
}

// put gathers p, or as much of it as one message can have, if there is room for that.
// mu is held.
func (o *output) put(p []byte) int {
	p = p[:min(len(p), mostMessage-8)]
	if o.open > 0 && o.n-o.open+len(p) > pieceSize {
		o.seal()
	}
	if o.gather == nil {
		o.gather = slabs.Get().(*slab)
	}
	if o.n+o.headSize()+len(p) > slabSize {
		return 0
	}
	if o.open == 0 {
		o.n += o.headSize()
		o.open = o.n
	}
	o.n += copy(o.gather[o.n:], p)
	return len(p)
}

// seal ends the open message. mu is held.
func (o *output) seal() {
	if o.open == 0 {
		return
	}
	payload := o.gather[o.open:o.n]
	at := o.open - o.headSize()
	head := o.head(frames.Binary, payload)
	if spared := o.headSize() - len(head); spared > 0 { // a length takes no more bytes than it needs
		copy(o.gather[at+len(head):], payload)
		o.n -= spared
	}
	copy(o.gather[at:], head)
	o.open = 0
}

// head makes the head of a frame, and masks its payload where we are the client.
func (o *output) head(opcode byte, payload []byte) []byte {
	head := make([]byte, 2, frames.MostHeader)
	head[0] = 0x80 | opcode
	if len(payload) < 126 {
		head[1] = byte(len(payload))
	} else {
		head[1] = 126
		head = binary.BigEndian.AppendUint16(head, uint16(len(payload)))
	}
	if !o.server {
		key := rand.Uint32()
		head[1] |= 0x80
		head = binary.LittleEndian.AppendUint32(head, key)
		frames.Unmask(payload, payload, key)
	}
	return head
}

// writeDirect sends p, which needs no mask, behind all that has gathered.
func (o *output) writeDirect(p []byte) (int, error) {
	o.sending.Lock()
	defer o.sending.Unlock()
	total := 0
	for total < len(p) {
		piece := p[total:min(len(p), total+mostMessage)]
		sent := len(piece)
		if o.buffers == nil { // each piece would be a write, and a record of TLS, of its own
			var err error
			if sent, err = o.gatherSome(piece); err != nil {
				return total, err
			}
			piece = nil
		}
		if err := o.sendTaken(piece); err != nil {
			return total, err
		}
		total += sent
	}
	return total, nil
}

// gatherSome gathers as much of p as there is room for.
func (o *output) gatherSome(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.refusal(); err != nil {
		return 0, err
	}
	return o.put(p), nil
}

// sendTaken sends what has gathered, and piece as a message of its own behind it.
// sending is held.
func (o *output) sendTaken(piece []byte) error {
	o.mu.Lock()
	if err := o.refusal(); err != nil && (piece != nil || o.failed != nil) {
		o.mu.Unlock()
		return err
	}
	o.seal()
	taken, n := o.gather, o.n
	control, goodbye := o.controls(), o.goodbye
	o.gather, o.n, o.goodbye = nil, 0, nil
	started := time.Now()
	o.sent = started
	o.room.Broadcast()
	o.mu.Unlock()

	var buffers net.Buffers
	if len(control) > 0 {
		buffers = append(buffers, control)
	}
	if n > 0 {
		buffers = append(buffers, taken[:n])
	}
	if piece != nil {
		buffers = append(buffers, o.head(frames.Binary, piece), piece)
	}
	if goodbye != nil {
		buffers = append(buffers, o.control(nil, frames.Close, goodbye))
	}
	sent, err := o.send(&buffers)
	o.pace.add(started, sent, &o.slow)
	if taken != nil {
		slabs.Put(taken)
	}
	if err == nil && goodbye != nil {
		err = net.ErrClosed
	}
	if err != nil {
		o.mu.Lock()
		o.fail(err)
		o.mu.Unlock()
	}
	return err
}

func (o *output) send(b *net.Buffers) (int64, error) {
	if o.buffers != nil {
		return o.buffers(b)
	}
	return b.WriteTo(o.to)
}

// start has somebody send what is there. mu is held.
func (o *output) start() {
	if !o.flushing {
		o.flushing = true
		go o.flush()
	}
}

// startLate does so after a moment, if nobody has until then. mu is held.
func (o *output) startLate() {
	if o.late != nil {
		o.late.Reset(pieceTimeout)
		return
	}
	o.late = time.AfterFunc(pieceTimeout, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.n > 0 && o.failed == nil {
			o.start()
		}
	})
}

// flush sends until nothing is left.
func (o *output) flush() {
	for o.more() {
		o.sending.Lock()
		_ = o.sendTaken(nil) // a failure is noted
		o.sending.Unlock()
	}
}

// more tells whether there is something to send; if not, the flush is over.
func (o *output) more() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending() {
		return true
	}
	o.rest()
	return false
}

// pending tells whether there is something to send. mu is held.
func (o *output) pending() bool {
	return o.failed == nil && (o.n > 0 || o.ping != nil || o.pong != nil || o.goodbye != nil)
}

// rest notes that nobody sends. mu is held.
func (o *output) rest() {
	o.flushing = false
	if after := o.after; after != nil {
		o.after = nil
		after()
	}
}

// controls gives the control frames that wait, encoded. mu is held.
func (o *output) controls() []byte {
	var out []byte
	if o.ping != nil {
		out = o.control(out, frames.Ping, o.ping)
	}
	if o.pong != nil {
		out = o.control(out, frames.Pong, o.pong)
	}
	o.ping, o.pong = nil, nil
	return out
}

func (o *output) control(out []byte, opcode byte, payload []byte) []byte {
	return append(append(out, o.head(opcode, payload)...), payload...)
}

// fail has every write fail from now on. mu is held.
func (o *output) fail(err error) {
	if o.failed == nil {
		o.failed = err
	}
	if o.gather != nil {
		slabs.Put(o.gather)
		o.gather, o.n, o.open = nil, 0, 0
	}
	if o.late != nil {
		o.late.Stop()
	}
	o.room.Broadcast()
}

// say sends a control frame before all data that waits. One of each kind waits at
// most: of several pings that were not answered yet, the last one counts.
func (o *output) say(opcode byte, payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refusal() != nil {
		return
	}
	payload = append([]byte{}, payload...)
	switch opcode {
	case frames.Ping:
		o.ping = payload
	case frames.Pong:
		o.pong = payload
	case frames.Close: // behind all data: it is the last frame
		o.goodbye = payload
		o.closing = true
		o.room.Broadcast()
	}
	o.start()
}

// finish has after called once what was taken is sent, and refuses everything from now
// on. Sending gets until limit.
func (o *output) finish(limit time.Time, after func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	done := func() {
		o.fail(net.ErrClosed)
		after()
	}
	if o.failed != nil || !o.flushing && o.n == 0 {
		done()
		return
	}
	_ = o.to.SetWriteDeadline(limit)
	o.after = done
	o.start()
	o.room.Broadcast()
}
