// Package testkit is what the tests of every package share: an in-memory
// connection with a real one's manners, a connection that misbehaves on request,
// a logger that ends up in the test's output, the check that no goroutine is left
// behind and, on Linux, a pseudo-terminal. internal/testkit/arch holds the
// architecture test.
//
// Everything here but the terminal works inside a testing/synctest bubble: it waits
// on conditions and timers only, never on the network.
package testkit
