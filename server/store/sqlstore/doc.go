// Package sqlstore implements server/store on database/sql, for SQLite and
// PostgreSQL, with one set of queries and one directory of migrations.
//
// SQL is written for PostgreSQL and checked at generation time by sqlc (sqlc.yaml,
// internal/query). What it may use is what both engines understand alike; a test
// refuses the two spellings that SQLite misreads, "::type" and "= ANY(". This
// package names no driver: its caller registers one and says what it is called.
//
// SQLite runs in WAL mode with one connection that writes and several that read, so
// a reader never waits for the writer. With synchronous=NORMAL a crash of the process
// loses nothing; a crash of the machine may lose the last transactions and never
// breaks the file.
package sqlstore
