package mux

import (
	"log/slog"
	"time"
)

// Defaults of Config and Limits.
const (
	defaultWindow      = 256 << 10 // muxado's, which no peer negotiates
	defaultMaxWindow   = 4 << 20
	defaultBacklog     = 128 // muxado's
	defaultPeerStreams = 16 << 10
	defaultBuffered    = 64 << 20
	defaultStall       = 20 * time.Second
)

// Config says how a Session behaves. The zero value is a server's end that talks
// to a muxado peer, without a heartbeat of its own.
type Config struct {
	// Client is true at the side that dialled, the agent. It opens streams with odd
	// ids from 3; the server's are even, from 2.
	Client bool

	// Window is the bytes that either side may send on a stream before it is told
	// more; both sides must assume the same. 0 is 256 KiB, muxado's.
	Window uint32

	// MaxWindow bounds the receive window of a stream whose reader keeps up; 0 is
	// 4 MiB. Equal to Window it switches the tuning off.
	MaxWindow uint32

	// RichResets is for peers that are this package too, and know it: RST carries
	// the reason's code and text, and GOAWAY can drain.
	RichResets bool

	// Limits are in force until SetLimits.
	Limits Limits

	// Budget is shared by sessions that serve one peer; their Limits.Buffered must be
	// the same. nil: the session has one of its own.
	Budget *Budget

	// AcceptBacklog bounds the peer's streams that Accept has not returned; one more
	// is refused with AcceptQueueFull. 0 is 128.
	AcceptBacklog int

	// Heartbeat is the time between our pings; 0 sends none. A session that heard
	// nothing for Tolerance while a ping waits for its answer is dead. Tolerance 0
	// is 20 s; it also bounds how long a write may stall the connection.
	Heartbeat, Tolerance time.Duration

	// Logger gets what is worth a line; nil logs nothing.
	Logger *slog.Logger
}

// Limits bound what a session takes on. They may be small until the peer has
// authenticated itself and be raised with SetLimits.
type Limits struct {
	// PeerStreams is how many streams of the peer may be open; one more is refused
	// with StreamRefused. 0 is 16384.
	PeerStreams int

	// OpenStreams is how many of our streams may be open, heartbeat included; Open
	// waits above it. 0 is no limit.
	OpenStreams int

	// Buffered is the memory in bytes that received, unread data of the whole
	// session may take. When it is used up the stream that holds most of it is reset.
	// 0 is 64 MiB.
	Buffered int64

	// Unaccepted is how many of our streams may be open without a sign that the
	// peer's application has accepted them; Open waits above it. It keeps bursts from
	// overflowing the accept queue of a muxado peer. 0 is no limit.
	Unaccepted int
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	if c.MaxWindow == 0 {
		c.MaxWindow = defaultMaxWindow
	}
	c.MaxWindow = min(max(c.MaxWindow, c.Window), maxStream)
	if c.AcceptBacklog <= 0 {
		c.AcceptBacklog = defaultBacklog
	}
	if c.Tolerance <= 0 {
		c.Tolerance = defaultStall
	}
	if c.Budget == nil {
		c.Budget = NewBudget()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

func (l Limits) withDefaults() Limits {
	if l.PeerStreams <= 0 {
		l.PeerStreams = defaultPeerStreams
	}
	if l.Buffered <= 0 {
		l.Buffered = defaultBuffered
	}
	return l
}
