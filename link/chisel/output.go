package chisel

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// output is the writing side of a WebSocket. Writers put bytes into a buffer, and
// whoever finds nobody writing starts a flush, which sends all that has gathered as
// one message in one system call: SSH hands every packet over by itself. What has been
// taken and not yet been sent is two buffers at most.
type output struct {
	to     net.Conn
	server bool

	mu       sync.Mutex
	room     sync.Cond // in the buffer, or failed
	gather   *slab     // nil while nothing is gathered
	n        int       // payload bytes in gather
	ping     []byte    // control frames that wait, as far as each kind needs
	pong     []byte
	goodbye  []byte
	flushing bool
	closing  bool // what has been taken is sent, and nothing more is taken
	failed   error
	after    func() // once all is sent, or cannot be; then nothing more is
}

// mostMessage is the payload of one message.
const mostMessage = slabSize - mostFrameHeader

func (o *output) init(to net.Conn, server bool) {
	o.to, o.server = to, server
	o.room.L = &o.mu
}

// write takes p, and blocks while the buffers are full.
func (o *output) write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	total := 0
	for {
		switch {
		case o.failed != nil:
			return total, o.failed
		case o.closing:
			return total, net.ErrClosed
		case len(p) == 0:
			return total, nil
		}
		if o.gather == nil {
			o.gather = slabs.Get().(*slab)
		}
		k := copy(o.gather[mostFrameHeader+o.n:], p)
		o.n += k
		total += k
		p = p[k:]
		o.start()
		for len(p) > 0 && o.failed == nil && !o.closing && o.n == mostMessage {
			o.room.Wait()
		}
	}
}

// start has somebody send what is there. mu is held.
func (o *output) start() {
	if !o.flushing {
		o.flushing = true
		go o.flush()
	}
}

// flush sends until nothing is left.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.failed == nil {
		control := o.controls()
		goodbye := o.goodbye
		data, n := o.gather, o.n
		if o.gather = nil; n == 0 && len(control) == 0 && goodbye == nil {
			break
		}
		o.n, o.goodbye = 0, nil
		o.room.Broadcast()
		o.mu.Unlock()
		err := o.send(control, data, n, goodbye)
		o.mu.Lock()
		if err != nil || goodbye != nil {
			if err == nil {
				err = net.ErrClosed
			}
			o.fail(err)
		}
	}
	o.flushing = false
	if after := o.after; after != nil {
		o.after = nil
		after()
	}
}

// controls gives the control frames that wait, encoded.
func (o *output) controls() []byte {
	var frames []byte
	if o.ping != nil {
		frames = o.appendControl(frames, opPing, o.ping)
	}
	if o.pong != nil {
		frames = o.appendControl(frames, opPong, o.pong)
	}
	o.ping, o.pong = nil, nil
	return frames
}

func (o *output) appendControl(frames []byte, opcode byte, payload []byte) []byte {
	var frame [mostFrameHeader + mostControl]byte
	n := copy(frame[mostFrameHeader:], payload)
	start := o.seal(frame[:], opcode, n)
	return append(frames, frame[start:mostFrameHeader+n]...)
}

// seal makes a frame of n bytes at b[mostFrameHeader:].
func (o *output) seal(b []byte, opcode byte, n int) (start int) {
	h := header{opcode: opcode, length: uint64(n)}
	if !o.server {
		h.masked, h.key = true, rand.Uint32()
		payload := b[mostFrameHeader : mostFrameHeader+n]
		unmask(payload, payload, h.key)
	}
	return h.put(b)
}

// send writes control frames, a message of n bytes in data, and a close frame. It
// gives data back.
func (o *output) send(control []byte, data *slab, n int, goodbye []byte) error {
	var err error
	if len(control) > 0 {
		_, err = o.to.Write(control)
	}
	if n > 0 && err == nil {
		start := o.seal(data[:], opBinary, n)
		_, err = o.to.Write(data[start : mostFrameHeader+n])
	}
	if data != nil {
		slabs.Put(data)
	}
	if goodbye != nil && err == nil {
		_, err = o.to.Write(o.appendControl(nil, opClose, goodbye))
	}
	return err
}

// fail has every write fail from now on. mu is held.
func (o *output) fail(err error) {
	if o.failed == nil {
		o.failed = err
	}
	if o.gather != nil {
		slabs.Put(o.gather)
		o.gather, o.n = nil, 0
	}
	o.room.Broadcast()
}

// say sends a control frame before all data that waits. One of each kind waits at
// most: of several pings that were not answered yet, the last one counts.
func (o *output) say(opcode byte, payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil || o.closing {
		return
	}
	payload = append([]byte{}, payload...)
	switch opcode {
	case opPing:
		o.ping = payload
	case opPong:
		o.pong = payload
	case opClose: // behind all data: it is the last frame
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
	if !o.flushing {
		o.fail(net.ErrClosed)
		after()
		return
	}
	_ = o.to.SetWriteDeadline(limit)
	o.after = func() {
		o.fail(net.ErrClosed)
		after()
	}
	o.room.Broadcast()
}
