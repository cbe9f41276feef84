// Package inspect keeps what went through an endpoint for its owner to look at: HTTP
// exchanges, rebuilt from the bytes of a relayed stream without touching it, and
// numbers of connections and requests.
//
// A Recorder hands out a Stream for every relayed stream. The Stream reads along: it
// never blocks on anybody, never fails, and gives up on what is neither HTTP/1.1 nor
// HTTP/2, which is written down as HTTP/1.1 would have it. How many
// exchanges are kept is bounded twice: by the Store's bytes, where the newest win, and
// by a number a second, so that an agent under load is not slowed by copying what
// nobody could read anyway. Beyond that number exchanges are counted and timed only.
//
// Everything captured stays in memory, with the secrets that it holds.
package inspect
