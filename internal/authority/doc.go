// Package authority is a certificate authority in a directory, for mutual TLS between
// people who know each other: it makes the CA, certificates of servers and clients,
// takes them back in a revocation list (RFC 5280), and writes what a client needs into
// one folder that can be handed over.
//
// What it makes is what today's clients ask for: X.509 version 3, names in the
// subjectAltName, key usages for one purpose, random serial numbers, identifiers of the
// subject's and the authority's key, and lives of months instead of decades. Keys can
// stay where they are made: a certificate signing request is signed as well, and of what
// it asks for only the key, and a server's names, are taken.
//
// The directory is the whole state. Each certificate that was ever issued is a file below
// issued/, the revocation list is the record of what was taken back, and files appear
// whole or not at all. Nothing is overwritten unless the caller says so, and private keys
// are readable by their owner only.
//
// Errors are *postern.Error and name the field, the value and what to do instead.
package authority
