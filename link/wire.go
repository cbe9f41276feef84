package link

import (
	"net"
	"sync"
)

// wireGather is what Wire keeps at most: four full TLS records with their headers and
// tags, and a short one.
const wireGather = 66 << 10

var gatherBuffers = sync.Pool{New: func() any { return new([wireGather]byte) }}

// Wire is a link's connection below TLS. TLS writes a record at a time, and each
// write is a system call that wakes the other end for 16 KiB; between Gather and
// Flush, Wire sends several records in one. It holds no buffer at other times.
// Writes may come from several goroutines, as from TLS; Gather and Flush from one.
type Wire struct {
	net.Conn

	mu     sync.Mutex
	gather *[wireGather]byte // nil while nothing is gathered
	n      int               // bytes in gather
	failed error
}

// NewWire wraps conn, which it owns from now on.
func NewWire(conn net.Conn) *Wire { return &Wire{Conn: conn} }

// NetConn returns the connection below.
func (w *Wire) NetConn() net.Conn { return w.Conn }

// Gather has the writes that follow wait for Flush, or for 66 KiB.
func (w *Wire) Gather() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gather == nil {
		w.gather = gatherBuffers.Get().(*[wireGather]byte)
	}
}

// Flush writes what was gathered and ends the gathering. It blocks as Write does.
// After a failure every write fails: a part of a record may have left.
func (w *Wire) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gather == nil {
		return w.failed
	}
	err := w.send()
	gatherBuffers.Put(w.gather)
	w.gather = nil
	return err
}

// Write sends p, or keeps it while writes are gathered.
func (w *Wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.failed != nil:
		return 0, w.failed
	case w.gather == nil:
		return w.Conn.Write(p)
	case w.n+len(p) > len(w.gather):
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	if len(p) > len(w.gather) {
		return w.Conn.Write(p)
	}
	w.n += copy(w.gather[w.n:], p)
	return len(p), nil
}

// send writes what was gathered. mu is held.
func (w *Wire) send() error {
	if w.n > 0 && w.failed == nil {
		_, w.failed = w.Conn.Write(w.gather[:w.n])
	}
	w.n = 0
	return w.failed
}
