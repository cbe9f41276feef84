// Package acme gets certificates from authorities that speak ACME (RFC 8555), and keeps
// them renewed (RFC 9773).
//
//   - Manager takes jobs whose time has come from a table that all processes share, has
//     an authority issue, and writes down what became of it: a certificate, or a reason
//     that a person can act on and the time of the next attempt. The certificate in force
//     is not touched before a better one is there.
//   - Directory is an authority: an account, orders, renewal windows.
//   - Challenges are the proofs that authorities look for: over HTTP, in a TLS handshake,
//     or in DNS. They are shared, too, so that any process can show them.
//   - Update and Command write TXT records into zones that are served elsewhere.
//
// The protocol's engine is acmez. Nothing here blocks a visitor.
package acme
