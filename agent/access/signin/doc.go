// Package signin is an address on this machine for an endpoint behind a password, for
// programs that can show the gate nothing themselves: a browser's scripts of another
// origin, whose Authorization is for the service.
//
// A Door passes requests to one endpoint and adds Postern-Authorization to each. Whoever
// may use it is signed in with somebody's password, so it listens on loopback only, answers
// to names of loopback only (or any page could reach it under a name of its own: DNS
// rebinding), and refuses pages of other sites, but those it was told of.
package signin
