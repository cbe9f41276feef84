// Package relay moves bytes between two connections, and looks at the first ones
// before it is known where they go. It is pure mechanism: both the server's edge
// and the agent use it, and it knows neither routes nor sessions.
//
//   - Pipe joins two connections until both directions have ended. Half-close
//     passes through; an abnormal end of one side is an abnormal end of the other,
//     never a clean end of file; idle transfers end and long ones do not.
//   - Peeked is a connection whose first bytes can be looked at without consuming
//     them, and SniffHello reads a TLS ClientHello that way.
//   - ProxyHeader and AcceptProxied speak the PROXY protocol, versions 1 and 2.
package relay
