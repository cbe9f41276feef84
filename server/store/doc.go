// Package store is the contract for durable state: accounts and what they own,
// reservations of names and ports, and the outbox of events. There is one small
// interface per aggregate, and Tx, which holds them all together for one
// transaction.
//
// Live state (sessions, endpoints that are online) is never stored; it lives in
// server/cluster. Only server/service writes.
//
// # What every implementation promises
//
//   - Write is atomic and serialisable: two Writes behave as if one had run after
//     the other. Either everything that fn did is there afterwards, or nothing.
//   - Read sees one consistent state, and never waits for a Write.
//   - Ids sort as bytes, whatever the database's locale.
//   - Times keep microseconds and come back in UTC.
//   - Errors are *postern.Error: CodeNotFound where a single thing was asked for and
//     is not there, CodeConflict where it exists already, CodeStoreUnavailable for
//     everything that is the store's own trouble (closed, locked, full, broken, out
//     of time), with the driver's error as the cause.
//
// server/store/storetest proves all of this for an implementation.
package store
