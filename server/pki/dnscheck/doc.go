// Package dnscheck says whether the records that people were asked to create are there:
// the NS records of an agent ingress, the CNAME records of a reserved domain and of its
// challenges, and the CAA records that let an authority issue a certificate.
//
//   - Walk asks the name servers of the zones themselves, which it finds through
//     recursive resolvers: a record that was created a minute ago counts, whatever caches
//     still say. It never asks the server's own zones where somebody else's are meant.
//   - Domain, Ingress, Operator and CAA are the verdicts: functions of what a Lookup says. Each gives
//     Findings, with a code where something is to be done.
package dnscheck
