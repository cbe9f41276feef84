package flow

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// flow is one source's.
type flow struct {
	server *Server
	peer   peer
	began  time.Duration // since the Server's start, as used
	queue  queue
	work   func() // drain, bound once

	used   atomic.Int64 // when something moved last
	spoken bool         // something came back; of the goroutine of replies

	datagramsIn, bytesIn, datagramsOut, bytesOut, dropped atomic.Int64

	// The rest belongs to the table, under its lock.
	state  state
	cancel context.CancelFunc // of Open, while it runs
	stream net.Conn           // since Open returned it
	origin *origin
	byAge  links // among the flows of its state
	byAddr links // among the flows of its origin
}

// state is how far a flow has come.
type state int

const (
	unanswered state = iota // being opened, or nothing has come back yet
	answered
	refused // it could not be opened: it is here so that nobody tries again at once
	gone
	states = int(gone) // of which there are lists
)

// open makes the flow's stream, and then relays replies until its end.
func (f *flow) open(ctx context.Context, first []byte) {
	s := f.server
	defer s.parts.Done()
	stream, err := s.config.Open(ctx, f.peer.remote, first)
	give(first)
	if !s.opened(f, stream, err) {
		return
	}
	s.parts.Add(1)
	go f.replies() // with a stack of its own: that of Open is larger
	if f.queue.begin(stream) {
		s.parts.Add(1)
		f.drain()
	}
}

// drain writes the queue to the stream.
func (f *flow) drain() {
	defer f.server.parts.Done()
	dropped, err := f.queue.drain(&f.server.queued)
	if err != nil {
		f.drop(DropEnded, dropped)
		f.end(Failed, err)
	}
}

// replies sends what the stream brings to the source, until the flow's end.
func (f *flow) replies() {
	s, r := f.server, NewReader(f.stream)
	defer s.parts.Done()
	defer r.Release()
	for {
		batch, n, err := r.batch()
		if err != nil {
			f.streamEnded(err)
			return
		}
		s.replied(f)
		t, err := s.socket.send(f.peer, batch[:n])
		batch.release()
		t.into(s.config.Counters)
		f.datagramsOut.Add(int64(t.datagrams))
		f.bytesOut.Add(int64(t.bytes))
		f.dropped.Add(int64(t.failed))
		if err != nil {
			f.end(Closed, nil)
			return
		}
	}
}

func (f *flow) streamEnded(err error) {
	if errors.Is(err, io.EOF) {
		f.end(Done, nil)
		return
	}
	f.end(Failed, err)
}

// push queues a datagram, and tells whether somebody has to write now.
func (f *flow) push(payload []byte) (wake bool) {
	s := f.server
	f.datagramsIn.Add(1)
	f.bytesIn.Add(int64(len(payload)))
	wake, why, ok := f.queue.push(payload, &s.queued, s.config.Memory)
	if !ok {
		f.drop(why, 1)
	}
	return wake
}

func (f *flow) drop(why Drop, n int) {
	f.server.config.Counters.drop(why, n)
	f.dropped.Add(int64(n))
}

// end takes the flow down, unless it is gone already. It does not wait for the flow's
// goroutines, which follow.
func (f *flow) end(why End, err error) {
	if f.server.remove(f, why) {
		f.finish(why, err)
	}
}

// finish closes what a flow holds that the table has let go.
func (f *flow) finish(why End, err error) {
	s := f.server
	f.drop(DropEnded, f.queue.close(&s.queued))
	if f.stream != nil {
		f.close(f.stream, why, err)
	}
}

// close closes the stream that Open made, and tells of it.
func (f *flow) close(stream net.Conn, why End, err error) {
	_ = stream.Close()
	if ended := f.server.config.Ended; ended != nil {
		ended(f.peer.remote, stream, f.result(why, err))
	}
}

func (f *flow) result(why End, err error) Result {
	return Result{
		Why: why, Err: err, Began: f.server.start.Add(f.began),
		DatagramsIn: f.datagramsIn.Load(), BytesIn: f.bytesIn.Load(),
		DatagramsOut: f.datagramsOut.Load(), BytesOut: f.bytesOut.Load(), Dropped: f.dropped.Load(),
	}
}
