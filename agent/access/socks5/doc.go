// Package socks5 is the wire of the server's side of SOCKS version 5 (RFC 1928) with
// names and passwords (RFC 1929): what is read and written, not what it is for. Nothing
// here reads a byte more than its message has; deadlines are the caller's.
package socks5
