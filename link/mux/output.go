package mux

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// Bounds on what is gathered while the connection is being written to. A small
// frame waits behind at most the batch that is on its way and the one that is
// being gathered: 2 × gatherMost and a frame.
const (
	bulkMost   = 64 << 10  // above it, or above its pace, bulk waits its turn
	gatherMost = 128 << 10 // above it everybody waits
	smallWrite = 4 << 10   // a write up to here is not bulk
	openMost   = 4 << 20   // above it Open waits too

	// controlRoom is left free before the data of a batch, so that the control frames
	// that must go first leave in the same write.
	controlRoom = 1 << 10
	// controlMost ends a session whose peer makes us answer and does not read.
	controlMost = 64 << 10

	smallBatch = 8 << 10
	largeBatch = controlRoom + gatherMost + maxPayload + headerSize

	// inlineRounds is how many batches a stream's goroutine writes, its own included,
	// before the session's goroutine takes over.
	inlineRounds = 2
)

// batch is frames that leave in one write: data from controlRoom on.
type batch struct{ b []byte }

var (
	smallBatches = sync.Pool{New: func() any { return &batch{make([]byte, 0, smallBatch)} }}
	largeBatches = sync.Pool{New: func() any { return &batch{make([]byte, 0, largeBatch)} }}
)

// output is the writing side of the connection: flat combining. Whoever finds it
// idle writes what has gathered; everybody else appends and goes on. Session.wmu
// guards it, and is never held over a write.
type output struct {
	control []byte // frames that go first: window updates, heartbeats, refusals
	data    *batch // nil while there are none
	busy    bool   // somebody writes, or has been asked to
	epoch   uint32 // counts batches, for each stream's fair share
	quick   ring   // small writes that found no room
	bulk    ring   // streams with more to send than there was room for
	fresh   time.Time
	pace    pace
	hold    hold
}

// used is how many bytes of data wait.
func (o *output) used() int {
	if o.data == nil {
		return 0
	}
	return len(o.data.b) - controlRoom
}

func (o *output) empty() bool {
	return o.data == nil && len(o.control) == 0 && o.quick.empty() && (o.bulk.empty() || o.hold.on.Load())
}

// grow makes room for n more bytes of data.
func (o *output) grow(n int) {
	if o.data == nil {
		pool := &smallBatches
		if controlRoom+n > smallBatch {
			pool = &largeBatches
		}
		o.data = pool.Get().(*batch)
		o.data.b = o.data.b[:controlRoom]
	}
	if cap(o.data.b)-len(o.data.b) >= n {
		return
	}
	if cap(o.data.b) == smallBatch && len(o.data.b)+n <= largeBatch {
		large := largeBatches.Get().(*batch)
		large.b = append(large.b[:0], o.data.b...)
		o.data.recycle()
		o.data = large
	}
}

// recycle returns b to its pool; one that append has moved is left to the
// collector.
func (b *batch) recycle() {
	switch cap(b.b) {
	case smallBatch:
		smallBatches.Put(b)
	case largeBatch:
		largeBatches.Put(b)
	}
}

// putData appends one DATA frame.
func (o *output) putData(stream uint32, flags uint8, payload []byte) {
	o.grow(headerSize + len(payload))
	b := appendHeader(o.data.b, header{length: uint32(len(payload)), kind: kindData, flags: flags, stream: stream})
	o.data.b = append(b, payload...)
}

// putReset appends an RST, behind whatever the stream has sent before.
func (o *output) putReset(stream uint32, code muxCode, why *postern.Error) {
	var space [4 + maxReason]byte
	body := appendReason(binary.BigEndian.AppendUint32(space[:0], uint32(code)), why)
	o.grow(headerSize + len(body))
	b := appendHeader(o.data.b, header{length: uint32(len(body)), kind: kindReset, stream: stream})
	o.data.b = append(b, body...)
}

// putGoAway appends the last word of a session, or of its opening of streams.
func (o *output) putGoAway(last uint32, code muxCode, why *postern.Error) {
	var space [8 + maxReason]byte
	body := binary.BigEndian.AppendUint32(space[:0], last)
	body = appendReason(binary.BigEndian.AppendUint32(body, uint32(code)), why)
	o.grow(headerSize + len(body))
	b := appendHeader(o.data.b, header{length: uint32(len(body)), kind: kindGoAway})
	o.data.b = append(b, body...)
}

// collect takes what leaves in the next write: control frames, then data. Waiting
// writers are served first, so that their data is in it. Either result may be
// empty.
func (o *output) collect() (control []byte, data *batch) {
	if !o.hold.on.Load() {
		o.epoch++
	}
	for o.used() < gatherMost && !o.quick.empty() {
		o.serve(&o.quick)
	}
	for !o.bulk.empty() && !o.hold.on.Load() {
		o.serve(&o.bulk) // once at least: small writes must not starve bulk
		if o.used() >= o.pace.bulk() {
			break
		}
	}
	control, data = o.control, o.data
	o.control, o.data = nil, nil
	if data != nil && len(control) <= controlRoom {
		start := controlRoom - len(control)
		copy(data.b[start:], control)
		return data.b[start:controlRoom:controlRoom], data
	}
	return control, data
}

// serve gives the first stream in r one frame's worth of room.
func (o *output) serve(r *ring) {
	st := r.pop()
	if len(st.pending) == 0 || st.sendWindow <= 0 || st.writeErr != nil {
		return // it gave up, or waits for its window now
	}
	o.take(st)
	switch {
	case len(st.pending) == 0:
		st.writable.Broadcast()
	case st.sendWindow > 0:
		o.bulk.push(st)
	}
}

// take moves one frame of st's pending bytes into the batch; the window must be
// open.
func (o *output) take(st *Stream) {
	n := int(min(int64(len(st.pending)), st.sendWindow, int64(o.pace.frame())))
	o.putData(st.id, 0, st.pending[:n])
	st.pending = st.pending[n:]
	st.spent(n)
	st.charge(o.epoch, n)
}

// room tells whether st may append n bytes at once instead of waiting its turn.
func (o *output) room(st *Stream, n int) bool {
	used := o.used()
	small := o.small(st, n)
	switch {
	case small && o.busy:
		return used < gatherMost && o.quick.empty()
	case !o.busy && (small || !o.hold.on.Load()):
		return used < o.pace.bulk()
	}
	return used < o.pace.bulk() && o.quick.empty() && o.bulk.empty() && !o.hold.on.Load()
}

// small tells whether the n bytes that st still has to write are no bulk. While bulk
// is held back, many small writes are bulk as well.
func (o *output) small(st *Stream, n int) bool {
	most := maxPayload
	if o.hold.on.Load() {
		most = smallWrite
	}
	return n <= smallWrite && st.share(o.epoch)+n <= most
}

// wait queues st for room.
func (o *output) wait(st *Stream) {
	if st.queued {
		return
	}
	if o.small(st, len(st.pending)) {
		o.quick.push(st)
	} else {
		o.bulk.push(st)
	}
}

// ring is a queue of streams, linked through themselves.
type ring struct{ head, tail *Stream }

func (r *ring) empty() bool { return r.head == nil }

func (r *ring) push(st *Stream) {
	st.queued, st.nextQueued = true, nil
	if r.tail == nil {
		r.head = st
	} else {
		r.tail.nextQueued = st
	}
	r.tail = st
}

func (r *ring) pop() *Stream {
	st := r.head
	r.head = st.nextQueued
	if r.head == nil {
		r.tail = nil
	}
	st.queued, st.nextQueued = false, nil
	return st
}
