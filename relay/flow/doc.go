// Package flow carries UDP over streams. A flow is all that one source address sends to
// one port and what comes back to it. It travels as one stream of datagrams, each behind
// its length in 16 bits, most significant first, at most 65,507 bytes. An empty datagram
// is a datagram too.
//
//   - Reader and Writer are the framing, for any stream.
//   - Server gives every source that sends to a UDP socket a flow of its own, with an
//     idle timeout and caps.
//   - Relay is the far end: it joins one flow with one connected UDP socket.
//
// As everywhere with UDP, what does not fit is dropped, and here it is counted. Nothing
// that is slow on one flow delays another one.
//
// The package is mechanism: it knows neither routes nor sessions.
package flow
