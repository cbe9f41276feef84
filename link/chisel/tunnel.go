package chisel

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// beatInterval is how often the peer's WebSocket is asked whether it is there. A
	// peer of whom nothing came in two intervals is gone: that is known within 20 s of
	// its last byte.
	beatInterval = 6 * time.Second
	missedBeats  = 2

	inFront    = 128 << 10
	leastWrite = 2 << 10
)

// channelType is the type of all channels; the peer looks at their extra data only.
const channelType = "chisel"

// tunnel is what both ends have: the connection, its SSH, and the streams in it.
type tunnel struct {
	conn   *Conn
	ssh    ssh.Conn
	logger *slog.Logger
	// dialsFirst tells that the peer accepts a channel when it has its target, and not
	// before; halfCloses that it goes on with one direction when the other has ended.
	dialsFirst, halfCloses bool

	writers atomic.Int32 // that send, or wait to

	done chan struct{} // closed once SSH has ended

	mu      sync.Mutex
	streams map[*stream]struct{}
	cause   *postern.Error // set once the end is known, before done is closed
	beats   *time.Timer
	heard   uint64
	missed  int
}

func newTunnel(conn *Conn, logger *slog.Logger) *tunnel {
	return &tunnel{conn: conn, logger: logger, done: make(chan struct{}), streams: map[*stream]struct{}{}}
}

// watch has silent peers found out.
func (t *tunnel) watch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = t.conn.heard()
	t.beats = time.AfterFunc(beatInterval, t.beat)
}

func (t *tunnel) beat() {
	t.mu.Lock()
	if t.cause != nil {
		t.mu.Unlock()
		return
	}
	heard := t.conn.heard()
	if heard != t.heard {
		t.missed = 0
	} else {
		t.missed++
	}
	t.heard = heard
	if t.missed >= missedBeats {
		t.mu.Unlock()
		t.end(postern.Errorf(postern.CodeLinkLost, "nothing came for %s", missedBeats*beatInterval))
		t.conn.cut()
		return
	}
	t.beats.Reset(beatInterval)
	t.mu.Unlock()
	t.conn.beat()
}

// end notes why the tunnel ends; the first to say it is right. It frees SSH's reader,
// should it wait for somebody to take a channel's requests.
func (t *tunnel) end(why *postern.Error) {
	t.mu.Lock()
	if t.cause != nil {
		t.mu.Unlock()
		return
	}
	t.cause = why
	if t.beats != nil {
		t.beats.Stop()
	}
	streams := slices.Collect(maps.Keys(t.streams))
	t.mu.Unlock()
	for _, s := range streams {
		s.lose(why)
		s.discardRequests()
	}
}

// ended waits for SSH's end, of which whoever served its requests and channels has
// heard, and makes it known.
func (t *tunnel) ended() *postern.Error {
	err := t.ssh.Wait()
	t.end(t.whyEnded(err))
	_ = t.conn.Close()
	close(t.done)
	return t.Cause()
}

// whyEnded prefers what the WebSocket said to what SSH makes of it.
func (t *tunnel) whyEnded(err error) *postern.Error {
	if told := t.conn.Ended(); told != nil {
		err = told
	}
	return connectionEnded(err)
}

// connectionEnded is why streams end with their connection.
func connectionEnded(err error) *postern.Error {
	return postern.Errorf(postern.CodeLinkLost, "the connection ended").Because(link.Cause(err))
}

// lost tells why streams end where they end with the tunnel; nil while it lives.
func (t *tunnel) lost() *postern.Error {
	if why := t.Cause(); why != nil {
		return why
	}
	if err := t.conn.Ended(); err != nil {
		return connectionEnded(err)
	}
	return nil
}

// Done is closed once everything has ended; Cause then says why.
func (t *tunnel) Done() <-chan struct{} { return t.done }

// Cause tells why the session ends; nil while it lives.
func (t *tunnel) Cause() *postern.Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cause
}

// Streams counts the streams that have not ended.
func (t *tunnel) Streams() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.streams)
}

// Ping measures a round trip with a ping of the WebSocket, which answers past all that
// waits within SSH and which every real peer understands.
func (t *tunnel) Ping(ctx context.Context) (time.Duration, error) { return t.conn.Ping(ctx) }

// write sends p on a channel. Where the way out is slow, all writers together put no
// more than inFront before the answer to a ping, which has to wait for its turn.
func (t *tunnel) write(channel ssh.Channel, p []byte) error {
	writers := int(t.writers.Add(1))
	defer t.writers.Add(-1)
	for len(p) > 0 {
		n := len(p)
		if t.conn.out.slow.Load() {
			n = min(n, max(inFront/writers, leastWrite))
		}
		if _, err := channel.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		writers = int(t.writers.Load())
	}
	return nil
}

// The order of locks is: a stream's, then the tunnel's.

// add makes a stream known; false once the tunnel has ended.
func (t *tunnel) add(s *stream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause != nil {
		return false
	}
	t.streams[s] = struct{}{}
	return true
}

func (t *tunnel) remove(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.streams, s)
}
