// Package mux carries many streams over one connection. It speaks the wire of
// muxado v2 (frames, flow control, typed streams, heartbeats), so ngrok's SDKs
// are its peers as they are, and with RichResets a few extensions that our own
// agent and server agree on.
//
// A Session owns its connection and two goroutines: one reads, the other writes
// whatever nobody else is there to write. A Stream owns no goroutine and, while
// it is idle, no buffer. DESIGN.md beside this file says who holds which lock,
// who writes when, and how memory is bounded.
//
// The peer may be a stranger. Nothing that it claims is believed before it is
// checked: DATA beyond a window is refused at its header, streams and bytes are
// capped by Limits, and no frame can make a session buffer without a bound.
package mux
