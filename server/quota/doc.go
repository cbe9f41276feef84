// Package quota counts what accounts and their credentials use, and says when it is too
// much. It has no store and does no I/O: limits are given to it, so they hold while a
// database is gone.
//
// Each account and each credential has one Meter, which whoever carries its traffic
// keeps a pointer to: asking it costs a pointer load, counting a few atomic additions,
// and nothing is allocated. Meters hands them out and swaps their limits.
//
// Sessions, endpoints, connections and requests over a limit are refused. Bytes are
// not: Debt says how long to wait before more of them are moved.
//
// Counters are those of one process. They begin at zero when it starts (Usage.Since),
// also when it has taken over from another one.
package quota
