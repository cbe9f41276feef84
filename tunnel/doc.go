// Package tunnel puts a public URL in front of a Go program that nobody outside can
// reach: the program dials out to a Postern server and receives visitors as a
// net.Listener.
//
//	listener, err := tunnel.Listen(ctx, tunnel.Options{})
//	if err != nil { … }
//	fmt.Println("online at", listener.URL())
//	err = http.Serve(listener, handler)
//
// Forward does the same for a service that listens already, on this machine or on
// another.
//
// Interruptions need no code: when the server restarts or the network changes, the
// same URL comes back, and Accept just goes on waiting. Only Close, and the server's
// operator, end a Listener.
//
// A Client goes the other way: it reaches ports of private gateways, TCP and UDP, from
// wherever the program runs.
//
//	client, err := tunnel.NewClient(tunnel.Options{})
//	if err != nil { … }
//	conn, err := client.Dial(ctx, "development", "tcp", 5432)
//
// # Compatibility
//
// This package is promised: what compiles against it today compiles against every
// later version 1, and fields and methods are only ever added.
package tunnel
