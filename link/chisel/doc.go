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
// SSH has no reset. What this means for the end of a stream is told at stream.
package chisel
