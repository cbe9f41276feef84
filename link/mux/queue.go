package mux

// queue is streams that wait for whoever accepts them. It grows with them: a channel
// would take room for as many as may wait, in each session. A mutex of its user's
// guards streams; arrived may be waited for without it.
type queue struct {
	streams []*Stream
	taken   int           // of streams, from its start
	arrived chan struct{} // tells one who waits that there may be some; of one
}

// keptQueue is how many places an empty queue keeps.
const keptQueue = 16

func newQueue() queue { return queue{arrived: make(chan struct{}, 1)} }

func (q *queue) len() int { return len(q.streams) - q.taken }

func (q *queue) push(st *Stream) {
	q.streams = append(q.streams, st)
	q.tell()
}

// pop takes out the first stream, nil where there is none. If others are left, it
// tells the next who waits.
func (q *queue) pop() *Stream {
	if q.len() == 0 {
		return nil
	}
	st := q.streams[q.taken]
	q.streams[q.taken] = nil
	q.taken++
	switch {
	case q.len() > 0:
		if q.taken > keptQueue && q.taken > len(q.streams)/2 { // it may never become empty
			n := copy(q.streams, q.streams[q.taken:])
			clear(q.streams[n:])
			q.streams, q.taken = q.streams[:n], 0
		}
		q.tell()
	case cap(q.streams) > keptQueue:
		q.streams, q.taken = nil, 0
	default:
		q.streams, q.taken = q.streams[:0], 0
	}
	return st
}

func (q *queue) tell() {
	select {
	case q.arrived <- struct{}{}:
	default:
	}
}
