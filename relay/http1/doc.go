// Package http1 is the mechanism of an HTTP/1.1 relay (RFC 9112): it reads the head of
// a message strictly, writes it anew with a few lines changed, and follows a body's
// framing so that its bytes can be moved as they are.
//
// Strict means that whatever two parsers could read in two ways is refused and never
// guessed: two lengths, a length beside a coding, bare line feeds, folded lines, blanks
// before a colon, control characters. What was accepted is written with one reading
// only. Nothing here does I/O by itself, knows a policy, or allocates once its buffers
// have grown to the size of the messages.
//
// All names and values are parts of the bytes that were parsed: they are valid until
// these are overwritten.
package http1
