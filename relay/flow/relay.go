package flow

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options tune one Relay. The zero value is without limits.
type Options struct {
	// Idle ends the relay when nothing moved in either direction for so long; 0 is
	// never.
	Idle time.Duration

	// Counters, where set, count. In is from the socket to the stream.
	Counters *Counters
}

// exitBuffer is what the system is asked to hold for the socket of one flow.
const exitBuffer = 1 << 20

// Relay joins a stream of datagrams with a connected UDP socket (any connection of which
// each Read and Write is one datagram) until the stream ends, either breaks, ctx ends or
// nothing moves. Both are closed when it returns, and nothing of it runs any longer.
//
// A service that is not there is no reason to end: the network's reports of it are
// counted, and datagrams that come later are sent as before.
func Relay(ctx context.Context, stream, socket net.Conn, o Options) Result {
	if o.Counters == nil {
		o.Counters = new(Counters)
	}
	if udp, ok := socket.(*net.UDPConn); ok {
		enlarge(udp, exitBuffer)
	}
	r := &relay{stream: stream, conn: socket, socket: openConnected(socket), options: o, start: time.Now()}
	o.Counters.Opened.Add(1)
	o.Counters.Open.Add(1)
	defer o.Counters.Open.Add(-1)
	stop := context.AfterFunc(ctx, func() { r.end(Closed, nil) })
	defer stop()
	if o.Idle > 0 {
		r.mu.Lock()
		r.timer = time.AfterFunc(o.Idle, r.check)
		r.mu.Unlock()
		defer r.timer.Stop()
	}
	r.losses = watch(r.socket)
	var inward sync.WaitGroup
	inward.Go(r.inward)
	r.outward()
	inward.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Result{
		Why: r.why, Err: r.err, Began: r.start, Dropped: r.dropped.Load(),
		DatagramsIn: r.datagramsIn.Load(), BytesIn: r.bytesIn.Load(),
		DatagramsOut: r.datagramsOut.Load(), BytesOut: r.bytesOut.Load(),
	}
}

// relay is one call of Relay.
type relay struct {
	stream, conn net.Conn
	socket       socket
	options      Options
	start        time.Time
	used         atomic.Int64 // when something moved, since start

	datagramsIn, bytesIn, datagramsOut, bytesOut, dropped atomic.Int64

	losses  losses  // of inward
	writer  *Writer // of inward
	failure error   // of writer

	mu    sync.Mutex
	timer *time.Timer
	ended bool
	why   End
	err   error
}

// outward sends what the stream brings.
func (r *relay) outward() {
	reader := NewReader(r.stream)
	defer reader.Release()
	for {
		batch, n, err := reader.batch()
		if errors.Is(err, io.EOF) {
			r.end(Done, nil)
			return
		}
		if err != nil {
			r.end(Failed, err)
			return
		}
		r.touch()
		t, err := r.socket.send(peer{}, batch[:n])
		batch.release()
		t.into(r.options.Counters)
		r.datagramsOut.Add(int64(t.datagrams))
		r.bytesOut.Add(int64(t.bytes))
		r.dropped.Add(int64(t.failed))
		if err != nil {
			r.end(Failed, err)
			return
		}
	}
}

// inward puts on the stream what the socket brings.
func (r *relay) inward() {
	r.writer = NewWriter(r.stream)
	handle := r.take // bound once
	for failed := 0; failed < failures; {
		err := r.socket.receive(handle)
		if err == nil {
			r.touch()
			err = r.flush()
			failed = 0
			r.losses.count(r.options.Counters, time.Duration(r.used.Load()), false)
		}
		switch {
		case err == nil:
		case r.failure != nil, errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), isTimeout(err):
			r.end(Failed, err)
			return
		case unreachable(err): // as often as datagrams were sent, so it cannot spin
			r.options.Counters.drop(DropUnreachable, 1)
		default:
			if failed++; failed == failures {
				r.end(Failed, err)
			}
		}
	}
}

// take is one datagram from the socket.
func (r *relay) take(_ peer, payload []byte) {
	r.options.Counters.came(1, len(payload))
	r.datagramsIn.Add(1)
	r.bytesIn.Add(int64(len(payload)))
	if r.failure != nil {
		return
	}
	err := r.writer.Queue(payload)
	if errors.Is(err, ErrTooLong) {
		r.options.Counters.drop(DropSend, 1)
		r.dropped.Add(1)
		return
	}
	r.failure = err
}

// flush writes the batch that was taken.
func (r *relay) flush() error {
	if r.failure == nil {
		r.failure = r.writer.Flush()
	}
	return r.failure
}

func (r *relay) touch() { r.used.Store(int64(time.Since(r.start))) }

// check ends the relay where nothing has moved for Idle.
func (r *relay) check() {
	left := r.options.Idle - (time.Since(r.start) - time.Duration(r.used.Load()))
	if left <= 0 {
		r.options.Counters.Expired.Add(1)
		r.end(Idle, nil)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.timer.Reset(left)
	}
}

// end closes both sides. Only the first call counts.
func (r *relay) end(why End, err error) {
	r.mu.Lock()
	first := !r.ended
	if first {
		r.ended, r.why, r.err = true, why, err
	}
	r.mu.Unlock()
	if !first {
		return
	}
	_ = r.stream.Close()
	_ = r.conn.Close()
}
