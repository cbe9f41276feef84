// Package edge is the visitors' side of the server: it listens, admits, tells
// protocols apart, looks the route up, opens a stream to an agent and relays.
//
// One port serves everybody (see Edge.ServeHTTPS): the first bytes and the TLS
// ClientHello decide between a visitor of an https endpoint, one of a tls
// endpoint, and an agent. TCP endpoints have ports of their own (Edge.OpenPort).
//
// The package reaches no store and no service: what it knows is a route.Table, and
// certificates, agents and the server's own hosts are handed in as functions. So a
// database that is down cannot stop traffic.
//
// Whatever looks at requests, or changes them, is a Subscriber: it says for each route
// what it needs, and the path is chosen from that. The access log and metrics are two.
//
// Promises that the tests hold it to: every read from a stranger has a deadline and
// a byte budget; a message is parsed once and written anew, and nothing ambiguous is
// passed on; a body is never held whole; what broke on one side never looks complete
// on the other; what strangers say about themselves (X-Forwarded-*) is replaced.
package edge
