// Package sqlstore implements server/store on database/sql, for SQLite and
// PostgreSQL, with one set of queries and one directory of migrations.
//
// SQL is written for PostgreSQL and checked at generation time by sqlc (sqlc.yaml,
// internal/query). What it may use is what both engines understand alike; a test
// refuses the two spellings that SQLite misreads, "::type" and "= ANY(". This
// package names no driver: its caller registers one and says what it is called.
//
// SQLite runs in WAL mode with one connection that writes and several that read, so
// a reader never waits for the writer. With synchronous=FULL a write that returned has
// been synced to the disk: neither a crash of the process nor one of the machine loses
// it.
//
// PostgreSQL is used in the same way, one connection that writes and several that read,
// and a lock orders the writers of all servers. The schema is changed under an advisory
// lock, so that of servers that start together one migrates. Sessions have timeouts of
// their own on the database's side, and every query has a deadline on ours.
package sqlstore
