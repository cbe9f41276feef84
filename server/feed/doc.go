// Package feed has subscribers follow the outbox to the end of time: each event once at
// least, in the order of the commits, across restarts and crashes.
//
// The event bus (server/event) is for those who derive a state that they can read again:
// it forgets what a slow subscriber did not take. A follower here is one who must not
// miss an event, such as what delivers events to others. Its place in the outbox is
// stored under its name. Events are read from the store; the bus only says when. So it
// does not matter whether an event was ever published: a process that dies between a
// commit and its publishing loses nothing.
//
// Followers do not know of each other, and commits do not know of followers: one that
// hangs or fails holds up itself alone. It is not waited for by the outbox's pruning
// either. What was pruned before a follower had it is told to it as a gap.
package feed
