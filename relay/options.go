package relay

import (
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

// Options tune one Pipe. The zero value relays without limits.
type Options struct {
	// Idle ends the pipe when no byte has moved in either direction for so long. It
	// starts anew with every byte, so it never ends a transfer that goes on. 0 is
	// never.
	Idle time.Duration

	// MinRate is the least number of bytes a second at which a side must take what
	// is waiting for it; a slower reader is cut off, so that it cannot hold buffers
	// and an agent's stream for ever. It gets minRateGrace on top. A side that has
	// nothing to read is not slow. 0 is no limit.
	MinRate int64

	// Counters, where set, count while the pipe runs.
	Counters *Counters

	// Go starts what relays on a goroutine that may have a large stack already; nil is
	// the go statement.
	Go func(func())
}

// Counters count the bytes that one or many pipes have delivered. Reading them is
// safe at any time.
type Counters struct {
	AToB atomic.Int64 // from a, written to b
	BToA atomic.Int64 // from b, written to a
}

// Side is one end of a pipe.
type Side string

// The sides that can end a pipe.
const (
	Neither Side = ""  // a deadline or the context of the pipe itself, or nothing
	A       Side = "a" // the first connection
	B       Side = "b" // the second connection
)

// Result is how a pipe ended.
type Result struct {
	AToB, BToA int64 // bytes delivered

	// Err is nil when both directions ended with a clean end of file. Else it is why
	// not: the code that a stream was reset with, CodeStreamReset for a connection
	// that broke, CodeIdle for the pipe's own deadlines, or what the context was
	// cancelled with. Both sides have been aborted with it.
	Err *postern.Error

	// By is the side whose connection failed; Neither when the pipe gave up itself.
	By Side
}

// minRateGrace lets a reader pause without being called slow.
const minRateGrace = 10 * time.Second

// slowestReader is the rate below which Idle takes a reader for idle: a write that
// waits in full buffers shows no progress until all of it has gone, and a TLS
// connection cannot take up a write again once its deadline has passed.
const slowestReader = 1 << 10 // bytes a second
