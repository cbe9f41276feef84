// Package event carries what happened in the control plane: the record that the
// outbox keeps, the names of the event types, and an in-process bus.
//
// A change and its event are committed in one transaction; the record is published
// on the Bus after the commit. The bus is a hint that makes things fast, the outbox
// is the truth: a subscriber that was too slow gets a resync mark in place of what
// it missed, reads the state it cares about from the store, and goes on. So nobody
// who listens can hold up a commit.
package event
