// Package handover lets one server process take over from another that runs, so that
// an upgrade drops nothing.
//
// The newcomer asks the running process, over a unix socket in the data directory, for
// its listeners and the directory's lock (Ask, Giver). Until the newcomer says that it
// serves, the running process goes on as if nothing had happened. Then it stops
// accepting and lives on for what it has: visitors' connections and agents' sessions.
//
// Meanwhile every two processes of the node are joined by a link (Peers), over which
// each lends the other the endpoints of its own sessions, never what it has borrowed
// itself: a visitor reaches an agent wherever the two have landed.
//
// docs/adr/0008-hand-over.md says why it is done so.
package handover
