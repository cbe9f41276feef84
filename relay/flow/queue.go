package flow

import (
	"io"
	"sync"
	"sync/atomic"
)

// queue holds the datagrams that wait for one flow's stream, framed as they will leave.
// The goroutine that writes exists while there is something to write.
type queue struct {
	mu      sync.Mutex
	waiting []byte    // of the pool; nil while nothing waits
	count   int       // datagrams in waiting
	stream  io.Writer // nil until the flow is open
	writing bool      // somebody writes, or will at once
	closed  bool
}

// push adds a datagram. wake tells that a call of drain is due, from a goroutine that may
// block. all counts the bytes of the buffers of all queues, of which there may be most.
func (q *queue) push(payload []byte, all *atomic.Int64, most int64) (wake bool, why Drop, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, DropEnded, false
	}
	if need := len(q.waiting) + lengthSize + len(payload); need > cap(q.waiting) {
		if why, ok := q.grow(need, all, most); !ok {
			return false, why, false
		}
	}
	q.waiting = Append(q.waiting, payload)
	q.count++
	wake = q.stream != nil && !q.writing
	q.writing = q.writing || wake
	return wake, 0, true
}

// grow makes room for need bytes in all.
func (q *queue) grow(need int, all *atomic.Int64, most int64) (Drop, bool) {
	larger := take(need)
	if larger == nil {
		return DropQueue, false
	}
	more := int64(cap(larger) - cap(q.waiting))
	if all.Add(more) > most {
		all.Add(-more)
		give(larger)
		return DropMemory, false
	}
	larger = append(larger, q.waiting...)
	give(q.waiting)
	q.waiting = larger
	return 0, true
}

// next takes everything that waits. It is nil where nothing does, and then the caller
// writes no longer.
func (q *queue) next() (chunk []byte, count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	chunk, count = q.waiting, q.count
	q.waiting, q.count = nil, 0
	q.writing = chunk != nil
	return chunk, count
}

// begin has what waits written to the stream from now on; wake as in push.
func (q *queue) begin(stream io.Writer) (wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stream = stream
	wake = !q.closed && q.waiting != nil && !q.writing
	q.writing = q.writing || wake
	return wake
}

// drain writes until nothing waits. The error is the stream's; dropped are the datagrams
// that it did not take.
func (q *queue) drain(all *atomic.Int64) (dropped int, err error) {
	for {
		chunk, count := q.next()
		if chunk == nil {
			return 0, nil
		}
		_, err := q.stream.Write(chunk)
		all.Add(-int64(cap(chunk)))
		give(chunk)
		if err != nil {
			return count, err
		}
	}
}

// close drops what waits, and all that comes later.
func (q *queue) close(all *atomic.Int64) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped = q.count
	all.Add(-int64(cap(q.waiting)))
	give(q.waiting)
	q.waiting, q.count, q.closed = nil, 0, true
	return dropped
}
