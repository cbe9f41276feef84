// Package program runs the real program for tests that look at it from outside: it
// builds the binary, starts servers and agents as processes of their own, and reads
// what they hold from the places where an operator would look (/metrics, /proc, the
// Go runtime's own trace). It knows no *testing.T: everything that can fail returns
// an error, so that it can be used from any goroutine.
package program
