// Package dns answers the questions of the world's resolvers about the names whose zones
// are delegated to the server: dns.<domain>, below which the targets of reserved domains'
// CNAME records lie, and the domains of agent ingresses (RFC 1034, RFC 1035).
//
//   - Zones is what there is to say: an immutable snapshot, made by NewZones from the
//     configuration and what the store holds, and swapped whole.
//   - Challenges are the TXT records by which a certificate authority is shown that a
//     name is ours (RFC 8555 §8.4). They come and go by the minute and are asked for at
//     each question.
//   - Server answers. It knows nothing but its zones: it asks nobody else (no recursion),
//     gives no zone away (no AXFR), and reaches no store, so that a dead database stops
//     no answer.
//
// Answers are small, and those over UDP limited per network and kind (Limit), so that the
// server is of no use to somebody who floods a third party with forged questions.
//
// The zones are not signed: their parents publish no DS record, and resolvers take what
// they say as it is.
package dns
