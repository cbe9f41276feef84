// Package websocket carries a link through networks that let nothing but HTTPS pass:
// it makes a net.Conn of a WebSocket (RFC 6455) and knows nothing of what travels in
// it.
//
// What travels is the very connection that an agent would otherwise make directly,
// TLS handshake included, so whoever ends the TLS around the WebSocket, a company's
// proxy or a reverse proxy before the server, sees ciphertext. link/native/spec.md
// §1.1 is its specification.
//
// Messages are binary and never compressed; their boundaries mean nothing.
package websocket
