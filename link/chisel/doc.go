// Package chisel is the chisel v3 wire: SSH in a WebSocket, as outsystemscc and chisel
// speak it, in both directions. It translates and decides nothing: who may connect and
// what may be bound is the link.Registrar's to say.
//
// Accept makes a stream of bytes of a WebSocket upgrade and Serve runs a connector's
// session on it, a link.Session: each reverse remote that the connector asks for
// becomes a link.Binder's endpoint, each visitor a channel of SSH. Dial is the other
// end, for our own connector at a real chisel server: Accept of the Client gives the
// streams that the server opens, for remotes that were declared and no others.
//
// # The WebSocket
//
// SSH is golang.org/x/crypto/ssh. The frames are our own: a library that is otherwise
// well kept reads each through a buffer of 4 KiB and takes its locks each time, which
// costs four times as much where chisel's clients send nothing but frames of 4 KiB
// (BenchmarkWebSocket). A message is passed on while it arrives and never held; one from
// a stranger has 64 KiB at most, and so has every message that we send, for chisel from
// 1.12 on refuses longer ones. A connection on which nothing moves holds no large buffer.
// Whether a peer is there is asked with pings of the WebSocket, which all real peers
// answer; of SSH's global requests they answer "ping" alone.
//
// # What real peers cannot, and what is done about it
//
// chisel up to 1.11 and outsystemscc end both directions when one has ended: see
// halfClose. They accept a channel before they dial, and close it when they cannot: a
// stream that ends without a byte is CodeUpstreamUnreachable. They answer 100 sources of
// UDP a channel, and end the channel when its target refuses a datagram: see sources and
// datagrams. They cut datagrams off at 9012 bytes. Some hang up when a ping is not
// answered within two seconds: see tunnel.write. SSH has no reset: see stream. Its
// windows are x/crypto's, 2 MiB a channel, and no peer can be told of less: over a slow
// path bulk would stand before what is small beside it. What is under way in TCP is held
// near what the path carries instead: see receiveWindow.
//
// Between two Posterns, which know each other by OwnHeader, none of this applies, and a
// channel's extra data has the visitor's address in a second line.
package chisel
