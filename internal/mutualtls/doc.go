// Package mutualtls decides whom certificates let in, wherever TLS ends: on the server's
// edge and at the agent.
//
// A Policy is compiled once from what an endpoint asks for and never changes. Its Apply
// has crypto/tls verify chains in the handshake, so that clients see the alert that fits
// (certificate_required, unknown_ca, certificate_expired), and looks in VerifyConnection
// at what that leaves out: revocation lists, the length of chains, and resumed sessions,
// for which a chain is verified anew. Session tickets are a tls.Config's own.
//
// What crypto/x509 verifies is good. That includes authorities of version 1, which old
// scripts make and which cannot say that they are any; and a certificate that is given and
// is no authority's vouches for itself alone.
//
// Revocation is looked up for every certificate of a chain whose issuer has a list; an
// issuer is a name and a key, and one without a list revokes nothing. A list past its next update refuses all of its
// issuer's certificates, unless the endpoint says otherwise.
package mutualtls
