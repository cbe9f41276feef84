// Package uploaded reads the certificates and private keys that people send as PEM text
// (RFC 7468). It says exactly what is wrong with a text that is not what it should be:
// most of them are two files taken for each other, a file too many or too few, or a chain
// in another order.
//
// Nothing but whitespace may be outside of the blocks, and nothing but a certificate in a
// block of a chain: what is accepted here is shown to others, and must not have a key in
// it that somebody pasted along. No message quotes what may be a key.
//
// That is why PEM is taken apart here and not by package material, which puts right what it
// can: a text that was accepted is kept as it was sent, and read again by encoding/pem. What
// is in the blocks is read and judged by package material.
//
// Errors are *postern.Error, with ngrok's codes.
package uploaded
