package chisel

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern/internal/frames"
)

const (
	// tinyInput is what a silent connection waits with: room for a heartbeat, a
	// keystroke or a small request.
	tinyInput = 256
	// The large buffer goes back after so many reads in a row that did not need it, or
	// with the first after so long a silence: at the latest with the next heartbeat.
	shortRead  = 2 << 10
	leanReads  = 4
	leanSilent = time.Second
)

// input is the reading side of a WebSocket: it takes frames apart as they arrive and
// never holds a message. It belongs to one reader at a time.
type input struct {
	from   net.Conn
	ahead  []byte // read before the WebSocket began
	server bool   // we are the server: the peer masks

	slab   *slab // nil while little comes
	unread []byte
	tiny   [tinyInput]byte
	lean   int
	last   time.Time // of the last read
	window *windowHolder

	left    uint64 // of the data frame that is being read
	key     uint32
	within  bool   // a message whose last frame has not begun
	message uint64 // bytes of it

	reads  atomic.Uint64 // that gave something: whoever watches the peer looks at it
	budget atomic.Int64  // bytes that may still come; negative: any number
	most   atomic.Int64  // bytes of one message; 0: any number

	control func(opcode byte, payload []byte) error
}

func (in *input) read(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		if in.left == 0 {
			if total > 0 && len(in.unread) < frames.MostHeader {
				break // what follows may need to be waited for
			}
			if err := in.next(); err != nil {
				return total, err
			}
			continue
		}
		if len(in.unread) == 0 {
			if total > 0 {
				break
			}
			if err := in.fill(); err != nil {
				return 0, inside(err)
			}
		}
		n := int(min(uint64(min(len(p)-total, len(in.unread))), in.left))
		if in.server {
			in.key = frames.Unmask(p[total:], in.unread[:n], in.key)
		} else {
			copy(p[total:], in.unread[:n])
		}
		in.unread = in.unread[n:]
		in.left -= uint64(n)
		total += n
	}
	return total, nil
}

// next reads heads, and the control frames between, until a data frame has begun.
func (in *input) next() error {
	h, err := in.head()
	if err != nil {
		return err
	}
	if h.Masked != in.server {
		return frames.Bad("a frame whose mask is not as its sender's role wants it")
	}
	switch h.Opcode {
	case frames.Text:
		return &frames.ProtocolError{Status: frames.StatusUnsupported, Text: "the peer sent text"}
	case frames.Binary, frames.Continue:
		if in.within != (h.Opcode == frames.Continue) {
			return frames.Bad("a message begins within another, or goes on without one")
		}
		if h.Opcode == frames.Binary {
			in.message = 0
		}
		in.message += h.Length
		if most := in.most.Load(); most > 0 && in.message > uint64(most) {
			return &frames.ProtocolError{Status: frames.StatusTooBig, Text: "a message of more than 64 KiB from a stranger"}
		}
		in.within = !h.Final
		in.left, in.key = h.Length, h.Key
		return nil
	}
	for uint64(len(in.unread)) < h.Length {
		if err := in.fill(); err != nil {
			return inside(err)
		}
	}
	payload := in.unread[:h.Length]
	in.unread = in.unread[h.Length:]
	if h.Masked {
		frames.Unmask(payload, payload, h.Key)
	}
	return in.control(h.Opcode, payload)
}

func (in *input) head() (frames.Header, error) {
	for {
		h, size, err := frames.ParseHeader(in.unread)
		if err != nil {
			return h, err
		}
		if size > 0 {
			in.unread = in.unread[size:]
			return h, nil
		}
		begun := len(in.unread) > 0 || in.within
		if err := in.fill(); err != nil {
			if begun {
				err = inside(err)
			}
			return h, err
		}
	}
}

// inside makes an end within a message one that is not clean.
func inside(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads once. What is unread then lies in a row.
func (in *input) fill() error {
	if len(in.ahead) > 0 {
		n := copy(in.tiny[copy(in.tiny[:], in.unread):], in.ahead)
		in.unread, in.ahead = in.tiny[:len(in.unread)+n], in.ahead[n:]
		return in.spend(n)
	}
	space := in.space()
	kept := copy(space, in.unread)
	n, err := in.from.Read(space[kept:])
	in.unread = space[:kept+n]
	if n > 0 {
		in.reads.Add(1)
		in.adapt(n, len(space)-kept)
		return in.spend(n)
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// space gives the buffer to read into. What is unread is less than half of any.
func (in *input) space() []byte {
	switch {
	case in.slab == nil && in.lean < 0:
		in.slab = slabs.Get().(*slab)
		in.lean = 0
	case in.slab != nil && in.lean >= leanReads && len(in.unread) < tinyInput/2:
		old := in.slab
		copy(in.tiny[:], in.unread)
		in.unread = in.tiny[:len(in.unread)]
		slabs.Put(old)
		in.slab, in.lean = nil, 0
	}
	if in.slab != nil {
		return in.slab[:]
	}
	return in.tiny[:]
}

// adapt notes whether the buffer has the right size.
func (in *input) adapt(n, room int) {
	now := time.Now()
	silent := now.Sub(in.last)
	in.last = now
	in.window.arrived(now)
	switch {
	case in.slab == nil && n == room:
		in.lean = -1 // there is probably more
	case in.slab == nil || n >= shortRead:
		in.lean = 0
	case silent > leanSilent:
		in.lean = leanReads
	default:
		in.lean++
	}
}

// spend takes n from what a stranger may send.
func (in *input) spend(n int) error {
	if budget := in.budget.Load(); budget >= 0 {
		if int64(n) > budget {
			return &frames.ProtocolError{Status: frames.StatusPolicy, Text: "a stranger sent more than a handshake needs"}
		}
		in.budget.Add(-int64(n))
	}
	return nil
}

// rest gives the large buffer back for good.
func (in *input) rest() {
	if in.slab != nil {
		slabs.Put(in.slab)
		in.slab, in.unread = nil, nil
	}
}
