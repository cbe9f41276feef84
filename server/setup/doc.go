// Package setup takes a bare machine to a running server: it looks whether the names, the
// ports and the certificate authority that the server needs are there, writes its
// configuration, has the system run it, and waits until it is well.
//
// A check says what it found and, where that is not good, what to change. What cannot be
// seen from the machine itself it does not pretend to see. Everything may be done again:
// what is there already stays, and nothing of a person's is replaced without consent.
package setup
