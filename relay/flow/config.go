package flow

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Config is what a Server does with sources.
type Config struct {
	// Open makes the stream of a source's flow and has first, its first datagram with
	// the length before it, sent as the first bytes. It may block until ctx ends, which
	// it does when the flow has to go or the Server stops; it is called from many
	// goroutines. The stream is the Server's to close. After an error the source is not
	// heard for HoldOff.
	Open func(ctx context.Context, source netip.AddrPort, first []byte) (net.Conn, error)

	// Ended, where set, is told of the end of each flow that Open made, once, after the
	// stream was closed.
	Ended func(source netip.AddrPort, stream net.Conn, r Result)

	// Idle ends a flow in which nothing moved for so long; 0 is a minute.
	Idle time.Duration

	// Flows is how many flows there may be, 0 is 16,384; FlowsPerSource how many of one
	// IPv4 address or one /64 of IPv6, 0 is 1,024. When there are as many, the one that
	// has been idle for longest makes room: one without an answer before one with. Of
	// those that are in use none does, and the newcomer's datagrams are dropped.
	Flows, FlowsPerSource int

	// Opening is how many calls of Open there may be at once, 0 is 256.
	Opening int

	// Memory is what all queues may hold together, in bytes; 0 is 32 MiB. One flow's
	// queue holds 512 KiB at most.
	Memory int64

	// HoldOff is for how long a source is not heard whose flow could not be opened, or
	// ended within that time; 0 is one second.
	HoldOff time.Duration

	// Counters count; nil for the Server's own.
	Counters *Counters
}

// The defaults of Config.
const (
	DefaultIdle           = time.Minute
	DefaultFlows          = 16 << 10
	DefaultFlowsPerSource = 1 << 10

	defaultOpening = 256
	defaultMemory  = 32 << 20
	defaultHoldOff = time.Second
)

const (
	// unansweredRest and answeredRest are how long a flow must have been idle before it
	// makes room for another. They bound how many flows a flood of made-up sources can
	// open in a second, and keep it from those who are served.
	unansweredRest = time.Second
	answeredRest   = 10 * time.Second

	// socketBuffer is what the system is asked to hold of each direction: it must last
	// while this process waits for its turn on a busy processor.
	socketBuffer = 4 << 20
)

func (c Config) withDefaults() Config {
	fill := func(n *int, fallback int) {
		if *n <= 0 {
			*n = fallback
		}
	}
	fill(&c.Flows, DefaultFlows)
	fill(&c.FlowsPerSource, DefaultFlowsPerSource)
	fill(&c.Opening, defaultOpening)
	if c.Idle <= 0 {
		c.Idle = DefaultIdle
	}
	if c.HoldOff <= 0 {
		c.HoldOff = defaultHoldOff
	}
	if c.Memory <= 0 {
		c.Memory = defaultMemory
	}
	if c.Counters == nil {
		c.Counters = new(Counters)
	}
	return c
}

// End is why a flow ended.
type End string

// The reasons.
const (
	Idle    End = "idle"    // nothing moved for Config.Idle
	Evicted End = "evicted" // it had been idle for longest when there were too many
	Done    End = "done"    // the far side closed the stream
	Failed  End = "failed"  // the stream broke, or was refused
	Closed  End = "closed"  // the Server stopped, or End was called
)

// Result is how a flow ended, and what it carried. In is from the source.
type Result struct {
	Why                        End
	Err                        error // of the stream, for Failed
	DatagramsIn, DatagramsOut  int64
	BytesIn, BytesOut, Dropped int64
	Began                      time.Time
}
