// Package service holds the use cases of the control plane, and is the only writer of
// resources: it validates, changes rows and records the event in one transaction, and
// publishes the event after the commit.
//
// # When the store is down
//
// Traffic does not depend on this package at all. What agents need to come back does,
// so it is remembered in memory: a credential, name or port that this process knows is
// admitted without the store, and a revocation that it knows still wins. What needs a
// new row fails with CodeStoreUnavailable. Session events and the times of last use
// wait in memory, bounded, and are written once the store answers.
//
// # Who holds a name
//
// The first bind of a name holds it for its account until 30 days after its last use.
// Two accounts never hold names of which one is below the other: whoever has
// app.example.com alone decides about api.app.example.com, and a wildcard needs all
// that it covers. Names under the reserved labels of a server's own domain are never
// given to anybody.
//
// # Who is assigned a name again
//
// Names that the server chooses come in series, one for each credential and endpoint
// name. Agents that share a credential are told apart by their installation, such as
// the name of their machine: each gets the place of the series that it had online last,
// in whatever order they start. One that is not known, or whose place is taken, gets the
// lowest that is free, so that a fresh container continues where the one before it
// stopped. Assigned ports work alike.
package service
