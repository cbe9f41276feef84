package flow

import "sync/atomic"

// Drop is why a datagram was dropped.
type Drop int

// The reasons.
const (
	DropQueue       Drop = iota // its flow's queue was full: the stream took less than came
	DropMemory                  // all queues together were full
	DropFlows                   // it would have needed a flow, of which there were too many
	DropSource                  // it would have needed a flow more than its address may have
	DropOpening                 // it would have needed a flow while too many were being opened
	DropRefused                 // its flow was refused a moment ago
	DropSend                    // the network did not take it: no route, no buffer, too long
	DropUnreachable             // ICMP said that nobody listens there (ECONNREFUSED)
	DropEnded                   // its flow ended with it in the queue
	DropSystem                  // the system's buffer was full before we looked; Linux tells
	drops
)

// String is the reason's name, as for a metric's label.
func (d Drop) String() string {
	return [...]string{"queue_full", "memory", "too_many_flows", "too_many_flows_of_address",
		"opening", "refused", "send_failed", "unreachable", "ended", "system_buffer_full"}[d]
}

// Drops are all reasons, for those who list them.
func Drops() []Drop {
	all := make([]Drop, drops)
	for i := range all {
		all[i] = Drop(i)
	}
	return all
}

// Counters count what one or many servers and relays do. Reading them is safe at any
// time. In is from the network to streams, Out from streams to the network.
type Counters struct {
	DatagramsIn, BytesIn   atomic.Int64 // that came from the network, the dropped ones too
	DatagramsOut, BytesOut atomic.Int64 // that the network took
	Opened                 atomic.Int64 // flows
	Open                   atomic.Int64 // flows that are open now
	Refused                atomic.Int64 // flows that could not be opened
	Expired                atomic.Int64 // flows that ended because they were idle
	Evicted                atomic.Int64 // flows that ended for a newer one

	dropped [drops]atomic.Int64
}

// Dropped counts the datagrams that were dropped for a reason.
func (c *Counters) Dropped(why Drop) int64 { return c.dropped[why].Load() }

// AllDropped counts them for all reasons.
func (c *Counters) AllDropped() (n int64) {
	for i := range c.dropped {
		n += c.dropped[i].Load()
	}
	return n
}

func (c *Counters) drop(why Drop, n int) {
	if n > 0 {
		c.dropped[why].Add(int64(n))
	}
}

func (c *Counters) came(datagrams, bytes int) {
	c.DatagramsIn.Add(int64(datagrams))
	c.BytesIn.Add(int64(bytes))
}

func (c *Counters) went(datagrams, bytes int) {
	c.DatagramsOut.Add(int64(datagrams))
	c.BytesOut.Add(int64(bytes))
}
